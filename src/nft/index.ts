// The node's nft table: natOutgoing, and what keeps packets to Services from going in circles.
import type { Log } from '../log.ts';
import { compile } from './compile.ts';
import { Keeper, type KeeperOptions } from './keeper.ts';
import { nftCommand } from './nft.ts';
import { type NftBasis, tableWish, unmetWishes } from './wish.ts';

export type { NftStatus } from './keeper.ts';
export type { NftBasis } from './wish.ts';
export { type TableRemoval, removeTable } from './cleanup.ts';
export { NftError } from './nft.ts';

export interface NftTable extends Pick<Keeper, 'troubles' | 'failures' | 'status' | 'settle'>, AsyncDisposable {
  /** From now on the table follows from this. Before the first call nothing is touched, and what is there stays. */
  follow(basis: NftBasis): void;
}

export function openNft(log: Log, options: Partial<Pick<KeeperOptions, 'nft' | 'everyMs'>> = {}): NftTable {
  let latest: NftBasis | undefined;
  const keeper = new Keeper({
    ...{ nft: nftCommand(), log, ...options },
    wish: () => (latest === undefined ? 'unknown' : compile(tableWish(latest))),
    unmet: () => {
      if (latest === undefined) return [];
      const names = latest.view.pools.map(({ metadata }) => metadata.name);
      return unmetWishes(tableWish(latest), names);
    },
  });
  return {
    follow: (basis) => {
      latest = basis;
      keeper.look();
    },
    get troubles() {
      return keeper.troubles;
    },
    failures: () => keeper.failures(),
    status: () => keeper.status(),
    settle: () => keeper.settle(),
    [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose](),
  };
}
