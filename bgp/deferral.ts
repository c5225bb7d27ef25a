// After our own start: waits until the neighbours have said what they have to say, family by family, so that nothing
// stale is thrown away, and nothing half-known passed on, too early (RFC 4724 §4.1).
import type { AddressFamily } from './message.ts';
import { type Progress, type RestartOptions, isAwaited, passesOn } from './restart.ts';
import { families } from './rib/rib.ts';
import type { Clock } from './session/index.ts';

export interface DeferralOwner {
  /** All neighbours. */
  progress(): readonly Progress[];
  /** A family's wait is over. @param heldBack routes of neighbours were held back until now. */
  over(family: AddressFamily, heldBack: boolean): void;
  /** Every family's is. Said once. */
  converged(): void;
}

/** When nothing was said about a restart: how long to wait at most before the first convergence is declared. */
const defaultDeferralSeconds = 120;

export class Deferral {
  private readonly options: RestartOptions | undefined;
  private readonly clock: Clock;
  private readonly owner: DeferralOwner;
  private readonly began: number;
  private readonly waiting = new Set<AddressFamily>(families);
  private cancel: (() => void) | undefined;

  constructor(options: RestartOptions | undefined, clock: Clock, owner: DeferralOwner) {
    this.options = options;
    this.clock = clock;
    this.owner = owner;
    this.began = clock.now();
  }

  /** Whether routes of neighbours are held back: only after a restart, when others may be keeping better ones. */
  holdsBack(family: AddressFamily): boolean {
    return this.options?.restarting === true && this.waiting.has(family);
  }

  /** What an OPEN says about our restart (RFC 4724 §3). */
  state(): { readonly restarting: boolean; readonly forwarding: readonly AddressFamily[] } {
    if (this.options === undefined) return { restarting: false, forwarding: [] };
    // Once all is in place, the forwarding state outlives any session for as long as we run.
    if (this.waiting.size === 0) return { restarting: false, forwarding: families };
    return { restarting: this.options.restarting, forwarding: this.options.forwarding };
  }

  /** Whether End-of-RIB would be untrue for a neighbour: routes may still come that would be passed on to it. */
  delaysEndOfRib(family: AddressFamily, to: Progress): boolean {
    return this.holdsBack(family) && this.awaited(family).some((from) => from.name !== to.name && passesOn(from, to));
  }

  /** Looks again: a neighbour came, went or finished, or time has passed. */
  look(): void {
    if (this.waiting.size === 0) return;
    const late = this.clock.now() >= this.began + (this.options?.deferralSeconds ?? defaultDeferralSeconds) * 1000;
    for (const family of [...this.waiting]) {
      if (!late && this.awaited(family).length > 0) continue;
      const heldBack = this.holdsBack(family);
      this.waiting.delete(family);
      this.owner.over(family, heldBack);
    }
    if (this.waiting.size === 0) {
      this.stop();
      this.owner.converged();
    } else this.cancel ??= this.clock.after(1000, () => this.tick());
  }

  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }

  private tick(): void {
    this.cancel = undefined;
    this.look();
  }

  private awaited(family: AddressFamily): Progress[] {
    return this.owner.progress().filter((peer) => isAwaited(peer, family, this.began, this.clock.now()));
  }
}
