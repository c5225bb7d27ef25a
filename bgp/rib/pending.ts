// What one peer still has to be told, while it is behind its update group: routes by slot, each with what the peer
// knows about it now. What it will be told is read from the group when its turn comes, so the last state wins, and the
// memory is bounded by the table however long it takes.
import type { AttributeTable } from './attribute-table.ts';
import { Column, Queue } from './records.ts';
import type { Slots } from './slots.ts';

/** The peer was told something, and has asked to hear it again. */
export const mustHear = -1;
/** The peer has no such route. */
export const notTold = 0;

export class Pending {
  private readonly slots: Slots;
  private readonly attributes: AttributeTable;
  /** What the peer was told + 2; 0 for a slot that is not pending. */
  private readonly told = new Column();
  private readonly queue = new Queue();
  private noted = 0;

  constructor(slots: Slots, attributes: AttributeTable) {
    this.slots = slots;
    this.attributes = attributes;
  }

  /** How many slots wait. */
  get count(): number {
    return this.noted;
  }

  has(slot: number): boolean {
    return this.told.get(slot) !== 0;
  }

  /** Notes that a slot has changed. What was noted first stays: that is what the peer knows. */
  note(slot: number, told: number): void {
    if (this.told.get(slot) !== 0) return;
    this.remember(slot, told);
    this.queue.push(slot);
  }

  /** Notes what the peer knows of a slot that somebody else walks over: it is not queued. */
  remember(slot: number, told: number): void {
    this.told.set(slot, 0, told + 2);
    this.slots.retain(slot);
    if (told > 0) this.attributes.retain(told);
    this.noted++;
  }

  /** The slot that has waited longest, or 0. */
  next(): number {
    while (this.queue.length > 0) {
      const slot = this.queue.shift();
      if (this.told.get(slot) !== 0) return slot;
    }
    return 0;
  }

  /**
   * Strikes a slot off and says what the peer was told: a set or {@link notTold}. The caller releases
   * both.
   */
  take(slot: number): number {
    const told = this.told.get(slot) - 2;
    this.told.set(slot, 0, 0);
    this.noted--;
    return told;
  }

  release(slot: number, told: number): void {
    this.slots.release(slot);
    if (told > 0) this.attributes.release(told);
  }

  /** Forgets everything, up to the given slot. */
  clear(end: number): void {
    for (let slot = 1; slot < end && this.noted > 0; slot++) if (this.has(slot)) this.release(slot, this.take(slot));
    while (this.queue.length > 0) this.queue.shift();
  }
}
