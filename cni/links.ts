// Removing veths. The kernel takes some 20 ms for each, nearly all of it waiting, but waits once for a whole group: what
// is asked for while a removal runs goes together in the next one.
import { CniError } from './error.ts';
import type { HostBatch, LineAnswer } from './port.ts';

/** "manx" in ASCII. Only links that are about to be removed are ever in this group. */
const group = 0x6d616e78;

interface Removal {
  readonly name: string;
  readonly resolve: () => void;
  readonly reject: (error: CniError) => void;
}

export class LinkRemover {
  private readonly batch: HostBatch;
  private waiting: Removal[] = [];
  private isRunning = false;

  constructor(batch: HostBatch) {
    this.batch = batch;
  }

  /** Removes a link, its other end with it; one that is gone already is no error. @throws CniError 102 */
  remove(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ name, resolve, reject });
      if (!this.isRunning) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.isRunning = true;
    while (this.waiting.length > 0) {
      const removals = this.waiting.splice(0);
      try {
        await this.removeTogether(removals);
      } catch (error) {
        for (const { name, reject } of removals) reject(refused(name, (error as Error).message, error));
      }
    }
    this.isRunning = false;
  }

  private async removeTogether(removals: readonly Removal[]): Promise<void> {
    if (removals.length === 1) {
      const [answer] = await this.batch.run([`link del dev ${removals[0]!.name}`]);
      settle(removals[0]!, answer!);
      return;
    }
    const lines = removals.map(({ name }) => `link set dev ${name} group ${group}`);
    const answers = await this.batch.run([...lines, `link del group ${group}`]);
    const removed = answers.at(-1)!;
    for (const [index, removal] of removals.entries()) {
      const grouped = answers[index]!;
      settle(removal, grouped.ok ? removed : grouped);
    }
  }
}

function settle({ name, resolve, reject }: Removal, answer: LineAnswer): void {
  if (answer.ok || isGone(answer.error)) resolve();
  else reject(refused(name, answer.error));
}

/** Also ENODEV for a group that has become empty: the other end's namespace died, and took the link along. */
function isGone(error: string): boolean {
  return /Cannot find device|No such device|does not exist/.test(error);
}

function refused(name: string, reason: string, cause?: unknown): CniError {
  return new CniError(102, `the kernel did not remove the interface ${name}: ${reason.trim()}`, { cause });
}
