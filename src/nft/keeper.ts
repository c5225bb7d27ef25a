// Keeps the table as it should be: looks when something has changed and every half minute, compares, and puts right.
import type { Log } from '../log.ts';
import type { Problem } from '../store/port.ts';
import { Loop } from '../agent/loop.ts';
import { type Nft, NftError } from './nft.ts';
import { TABLE, type Table, differences, parseTable, transaction } from './table.ts';

export interface KeeperOptions {
  readonly nft: Nft;
  readonly log: Log;
  /** What the table should be now; undefined for none. While nobody knows, what is there stays as it is. */
  readonly wish: () => Table | undefined | 'unknown';
  /** What the operator is told where there is no nft: every wish that cannot be met. */
  readonly unmet: () => readonly Problem[];
  /** How often it looks by itself. */
  readonly everyMs?: number;
}

export interface NftStatus {
  /** Whether there is, or should be, a table. */
  readonly wished: boolean;
  /** ms since the epoch: it was seen to be as it should be. */
  readonly lastCheck?: number;
  /** How often somebody else had changed it and it was put right. */
  readonly repairs: number;
}

/** Nothing tells us when somebody changes the table: nft's own monitor would tell of everybody's tables, all the time. */
const LOOK_EVERY_MS = 30_000;

export class Keeper implements AsyncDisposable {
  private readonly options: KeeperOptions;
  private readonly loop: Loop;
  private known: readonly Problem[] = [];
  private lastCheck: number | undefined;
  private repairs = 0;
  /** What was wished when the table was last seen to be right; null before. */
  private settled: Table | undefined | null = null;
  /** As nft lists it: another version may use other words than we do. */
  private shown: Table | undefined;

  constructor(options: KeeperOptions) {
    this.options = options;
    this.loop = new Loop({
      ...{ doing: `keeping nft table ${TABLE}`, log: options.log },
      ...{ everyMs: options.everyMs ?? LOOK_EVERY_MS, work: () => this.work() },
    });
  }

  look(): void {
    this.loop.look();
  }

  settle(): Promise<void> {
    return this.loop.settle();
  }

  get troubles(): readonly Problem[] {
    return this.known;
  }

  failures(): Loop[] {
    return [this.loop];
  }

  status(): NftStatus {
    const wished = this.settled !== null && this.settled !== undefined;
    return { wished, repairs: this.repairs, ...(this.lastCheck !== undefined && { lastCheck: this.lastCheck }) };
  }

  /** The table stays: packets go on being translated while nobody looks after it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.loop.close();
  }

  private async work(): Promise<void> {
    const wished = this.options.wish();
    if (wished === 'unknown') return;
    const isNews = this.settled === null || differences(wished, this.settled).length > 0;
    // A table that nobody wishes is looked for once; after that it is not ours if there is one.
    if (wished === undefined && !isNews) return;
    try {
      await this.enforce(wished, isNews);
      this.settled = wished;
      this.lastCheck = Date.now();
      this.known = [];
    } catch (error) {
      if (!(error instanceof NftError) || error.code !== 'missing') throw error;
      this.settled = null;
      this.known = wished === undefined ? [] : this.options.unmet();
    }
  }

  private async enforce(wished: Table | undefined, isNews: boolean): Promise<void> {
    const { nft, log } = this.options;
    const before = await this.read();
    const different = differences(isNews ? wished : this.shown, before);
    if (different.length === 0) {
      this.shown = before;
      return;
    }
    await nft.apply(transaction(wished));
    this.shown = await this.read();
    if (isNews) log.info({ different }, 'nft table is as wished');
    else {
      this.repairs++;
      log.warn({ different }, 'nft table had been changed by somebody else and was put right');
    }
    const otherwise = differences(wished, this.shown);
    if (otherwise.length > 0 && isNews) log.info({ otherwise }, 'this nft shows the table in other words');
  }

  private async read(): Promise<Table | undefined> {
    const text = await this.options.nft.list();
    return text === undefined ? undefined : parseTable(text);
  }
}
