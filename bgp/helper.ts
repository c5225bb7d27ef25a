// The helper's side of graceful restart for one peer (RFC 4724 §4.2, RFC 9494 §4.2): which of its paths stay when the
// session goes, until when, and which go when it is back.
import type { AddressFamily, Terms } from './message.ts';
import { keptFamilies, longLivedSeconds, restartSeconds, staysOnReturn } from './restart.ts';
import { pathFlag } from './rib/path-table.ts';
import type { RibPeer } from './rib/peer.ts';
import { type Rib, families } from './rib/rib.ts';
import type { Clock } from './session/index.ts';
import type { PeerWish } from './wish.ts';

const kept = pathFlag.stale | pathFlag.longLivedStale;

export class RestartHelper {
  private readonly peer: RibPeer;
  private readonly rib: Rib;
  private readonly clock: Clock;
  /** Called after a deadline has removed or changed paths. */
  private readonly wake: () => void;
  private readonly timers = new Map<AddressFamily | 'return', () => void>();
  /** Until when the peer is expected back, in ms; undefined when it is not. */
  expectedUntil: number | undefined;

  constructor(peer: RibPeer, rib: Rib, clock: Clock, wake: () => void) {
    this.peer = peer;
    this.rib = rib;
    this.clock = clock;
    this.wake = wake;
  }

  /** Whether anything is still kept under a deadline. */
  get isHolding(): boolean {
    return this.timers.size > 0;
  }

  /** The session is gone. Its paths go too, unless the peer is restarting. */
  down(retain: boolean, terms: Terms, limits: PeerWish['gracefulRestart']): void {
    this.stop();
    const keep = retain ? keptFamilies(terms) : [];
    for (const family of keep) this.rib.tables[family].markStale(this.peer);
    this.rib.purge(
      this.peer,
      families.filter((family) => !keep.includes(family)),
    );
    if (keep.length === 0) return;
    const seconds = restartSeconds(terms, limits);
    this.expectedUntil = this.clock.now() + seconds * 1000;
    this.after('return', seconds, () => this.giveUp(keep, terms, limits));
  }

  /** The session is back: what may stay waits for End-of-RIB, the rest goes now. */
  returned(terms: Terms, { staleSecondsMax }: PeerWish['gracefulRestart']): void {
    this.stop();
    for (const family of families) {
      if (this.rib.tables[family].paths.countOf(this.peer.index) === 0) continue;
      if (!staysOnReturn(terms, family)) this.rib.purge(this.peer, [family]);
      else this.after(family, staleSecondsMax, () => this.sweep(family));
    }
  }

  /** The peer has said everything: what it did not say again goes (RFC 4724 §4.2). */
  endOfRib(family: AddressFamily): void {
    this.cancel(family);
    this.sweep(family);
  }

  /** The peer begins to say everything again (RFC 7313 §4); if it never ends, what it left out goes in the end. */
  beginRefresh(family: AddressFamily, seconds: number): void {
    this.peer.families[family].refreshing = true;
    this.rib.tables[family].markAll(this.peer, pathFlag.unrefreshed);
    this.after(family, seconds, () => this.endRefresh(family));
  }

  endRefresh(family: AddressFamily): void {
    if (!this.peer.families[family].refreshing) return;
    this.cancel(family);
    this.peer.families[family].refreshing = false;
    this.rib.tables[family].sweep(this.peer, pathFlag.unrefreshed);
    this.wake();
  }

  stop(): void {
    for (const key of [...this.timers.keys()]) this.cancel(key);
    this.expectedUntil = undefined;
    for (const family of families) this.peer.families[family].refreshing = false;
  }

  /** The restart time is over (RFC 4724 §4.2), and perhaps the long-lived one begins (RFC 9494 §4.2). */
  private giveUp(keep: readonly AddressFamily[], terms: Terms, limits: PeerWish['gracefulRestart']): void {
    this.expectedUntil = undefined;
    for (const family of keep) {
      const seconds = longLivedSeconds(terms, limits, family);
      if (seconds === 0) this.rib.purge(this.peer, [family]);
      else {
        this.rib.tables[family].markLongLived(this.peer);
        this.after(family, seconds, () => this.rib.purge(this.peer, [family]));
      }
    }
  }

  private sweep(family: AddressFamily): void {
    this.rib.tables[family].sweep(this.peer, kept);
    this.wake();
  }

  private after(key: AddressFamily | 'return', seconds: number, act: () => void): void {
    this.cancel(key);
    const cancel = this.clock.after(seconds * 1000, () => {
      this.timers.delete(key);
      act();
      this.wake();
    });
    this.timers.set(key, cancel);
  }

  private cancel(key: AddressFamily | 'return'): void {
    this.timers.get(key)?.();
    this.timers.delete(key);
  }
}
