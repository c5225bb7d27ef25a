// Taking our table out of the kernel, for an uninstall: exactly the one of our name.
import { type Nft, NftError, nftCommand } from './nft.ts';
import { transaction } from './table.ts';

/** unknown: there is no nft here that could be asked. */
export type TableRemoval = 'removed' | 'absent' | 'unknown';

/** @throws NftError when nft says no */
export async function removeTable(nft: Nft = nftCommand()): Promise<TableRemoval> {
  try {
    if ((await nft.list()) === undefined) return 'absent';
    await nft.apply(transaction(undefined));
    return 'removed';
  } catch (error) {
    if (error instanceof NftError && error.code === 'missing') return 'unknown';
    throw error;
  }
}
