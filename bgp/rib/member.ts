// A peer's place in an update group, for one family: in step with the group, or behind it and catching up.
//
// There is one way to catch up, whoever is behind: a new peer, one that reads slowly, one that asked for everything
// again or one whose policy has changed. What it must hear is a set of slots, and perhaps a walk over all of them; both
// are read from the group's state at the moment of sending.
import type { AttributeTable } from './attribute-table.ts';
import type { RibPeer } from './peer.ts';
import { Pending, mustHear, notTold } from './pending.ts';
import type { Slots } from './slots.ts';

/** What a walk over all slots is for. */
type Walk =
  /** Telling a peer that knows nothing, or just what was remembered about it. */
  | 'introduction'
  /** Telling all of it again (RFC 2918). */
  | 'refresh';

/** Gets a slot, and what the peer was told of it. */
export type Tell = (slot: number, told: number) => void;

/** Said to the peer when it has caught up: End-of-RIB, or what ends a refresh. */
export type Farewell = () => void;

export class Member {
  readonly peer: RibPeer;
  readonly pending: Pending;
  private readonly output: (messages: Uint8Array) => boolean;
  private walk: Walk | undefined;
  /** Slots below this have been walked over. */
  private cursor = 0;
  /** Slots that are being written, each with what was told: their holds are still to be given back. */
  private readonly taken: number[] = [];
  private readonly farewells: Farewell[] = [];
  /** The output is full: nothing is sent until it has drained. */
  waiting = false;

  constructor(peer: RibPeer, slots: Slots, attributes: AttributeTable, output: (messages: Uint8Array) => boolean) {
    this.peer = peer;
    this.pending = new Pending(slots, attributes);
    this.output = output;
  }

  /** Gets what the group gets, when the group does. */
  get inStep(): boolean {
    return !this.waiting && this.walk === undefined && this.pending.count === 0;
  }

  /** In step, and nothing is left to be said. */
  get isContent(): boolean {
    return this.inStep && this.farewells.length === 0;
  }

  send(messages: Uint8Array): void {
    if (!this.output(messages)) this.waiting = true;
  }

  /** Begins to walk over all slots. */
  begin(walk: Walk): void {
    this.walk = walk;
    this.cursor = 1;
  }

  /** Has `farewell` said once everything up to now has been told. */
  whenCaughtUp(farewell: Farewell): void {
    this.farewells.push(farewell);
  }

  /** Notes a change that the peer misses, with what it knew before. */
  miss(slot: number, told: number): void {
    // An introduction comes to it anyway, and asks what is remembered then.
    if (this.walk === 'introduction' && slot >= this.cursor) return;
    this.pending.note(slot, told);
  }

  /**
   * Hands on up to `limit` slots whose turn it is, each with what the peer was told: a set, {@link notTold} or
   * {@link mustHear}. Followed by {@link written}.
   * @param end every slot is below this.
   */
  take(limit: number, end: number, tell: Tell): void {
    let left = limit;
    for (; left > 0 && this.walk !== undefined; left--) {
      if (this.cursor < end) this.visit(this.cursor++, tell);
      else this.walk = undefined;
    }
    for (; left > 0; left--) {
      const slot = this.pending.next();
      if (slot === 0) return;
      this.hand(slot, this.pending.take(slot), tell);
    }
  }

  /** What was taken has been written: only now may a prefix that is gone give its number to another one. */
  written(): void {
    for (let i = 0; i < this.taken.length; i += 2) this.pending.release(this.taken[i]!, this.taken[i + 1]!);
    this.taken.length = 0;
  }

  /** Says what was to be said at the end, if this is the end. */
  settle(): void {
    if (this.walk !== undefined || this.pending.count > 0) return;
    for (const farewell of this.farewells.splice(0)) farewell();
  }

  private visit(slot: number, tell: Tell): void {
    if (!this.pending.has(slot)) {
      tell(slot, notTold);
      return;
    }
    const told = this.pending.take(slot);
    // In a refresh even what has come back to what the peer knows is said again.
    this.hand(slot, told, this.walk === 'refresh' && told > 0 ? (each) => tell(each, mustHear) : tell);
  }

  private hand(slot: number, told: number, tell: Tell): void {
    tell(slot, told);
    this.taken.push(slot, told);
  }
}
