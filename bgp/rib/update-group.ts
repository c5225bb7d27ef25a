// One Adj-RIB-Out for all peers that are sent the same (RFC 4271 §3.2, shared): policy is asked and messages are
// written once per group, whatever the number of its members.
//
// The column says per slot what is announced, and the peer that it came from, which alone is not told. A change is
// recorded when the column changes and delivered at the end of the slice of work: to the members in step as shared
// bytes, for the others as a note of what they miss.
import type { Address } from '#ip';
import type { AttributeTable } from './attribute-table.ts';
import type { View } from './decision.ts';
import { type ExportVerdict, explainExport } from './explain-export.ts';
import { ExportCache } from './export-cache.ts';
import type { ExportTerms } from './export.ts';
import type { Member } from './member.ts';
import { Packer } from './pack.ts';
import { ownPeer, pathField } from './path-table.ts';
import { type PrefixTable, prefixField } from './prefix-table.ts';
import { Column } from './records.ts';
import type { Slots } from './slots.ts';

const announced = 0;
const sourceField = 1;
/** 1 while a change of the slot waits for delivery. */
const recorded = 2;
/** Slots that a member behind is given in one go. */
const batch = 4096;

/** What the tables of a family lend to its groups. */
export interface GroupContext {
  readonly prefixes: PrefixTable;
  readonly view: View;
  readonly attributes: AttributeTable;
  readonly interfaceOf: (nextHop: Address) => string | undefined;
  /** Paths from peers are held back, after a restart of ours (RFC 4724 §4.1). */
  readonly deferring: () => boolean;
  /** Up to `count` paths for a prefix, the best first. */
  readonly best: (prefix: number, count: number) => readonly number[];
}

export class UpdateGroup {
  readonly terms: ExportTerms;
  readonly slots: Slots;
  readonly members = new Set<Member>();
  private readonly context: GroupContext;
  private readonly column = new Column(3);
  private readonly cache: ExportCache;
  private readonly packer: Packer;
  /** Slots that have changed since the last delivery, each once: slot, what was announced then, and its source. */
  private readonly changes: number[] = [];
  /** With ADD-PATH: the slots announced for each prefix. */
  private readonly slotsOf: Map<number, readonly number[]> | undefined;
  /** Prefixes from here to `fillEnd` were there before the group, or what it goes by, and are still to be looked at. */
  private filled = 1;
  private fillEnd: number;
  /** Slots below this have been given back. */
  private retired = 1;
  private total = 0;
  private readonly bySource: number[] = [];

  constructor(terms: ExportTerms, slots: Slots, context: GroupContext) {
    this.terms = terms;
    this.slots = slots;
    this.context = context;
    this.cache = new ExportCache(terms, context);
    this.packer = new Packer(terms, slots, context.attributes);
    this.fillEnd = context.prefixes.end;
    if (terms.addPath > 0) this.slotsOf = new Map();
  }

  /** Routes that a member is sent: all but its own. */
  countFor(peer: number): number {
    return this.total - (this.bySource[peer] ?? 0);
  }

  /** What is announced for a slot to a peer: a set, or 0. */
  announcedTo(peer: number, slot: number): number {
    const set = this.column.get(slot, announced);
    return set !== 0 && this.column.get(slot, sourceField) === peer ? 0 : set;
  }

  /** Whether any route for the prefix is announced to the peer. */
  announces(peer: number, prefix: number): boolean {
    if (this.slotsOf === undefined) return this.announcedTo(peer, prefix) !== 0;
    return (this.slotsOf.get(prefix) ?? []).some((slot) => this.announcedTo(peer, slot) !== 0);
  }

  /** What a peer should be told of a prefix, and why. */
  explain(peer: number, prefix: number): ExportVerdict {
    return explainExport(this.terms, this.context, (attributes) => this.cache.fit(attributes), { peer, prefix });
  }

  /** Brings a prefix's part of the column up to Loc-RIB. */
  offer(prefix: number): void {
    if (this.slotsOf !== undefined) {
      this.offerPaths(prefix, this.slotsOf);
      return;
    }
    const best = this.context.prefixes.get(prefix, prefixField.best);
    this.put(prefix, best === 0 ? 0 : this.exported(best, prefix), best === 0 ? 0 : this.sourceOf(best));
  }

  /** Everything that it goes by besides Loc-RIB has changed: looks at all prefixes again. */
  reconsider(): void {
    this.cache.clear();
    this.filled = 1;
    this.fillEnd = this.context.prefixes.end;
  }

  /** Looks at up to `limit` more prefixes. @returns whether that was not all. */
  fill(limit: number): boolean {
    const end = Math.min(this.fillEnd, this.filled + limit);
    for (; this.filled < end; this.filled++) this.offer(this.filled);
    return this.isFilling();
  }

  /** Whether prefixes are still to be looked at: until then nobody is introduced. */
  isFilling(): boolean {
    return this.filled < this.fillEnd;
  }

  /** Hands the changes on: shared bytes for those in step, a note for the others. */
  deliver(): void {
    if (this.changes.length === 0) return;
    const members = [...this.members];
    const inStep = members.filter((member) => member.inStep);
    const behind = members.filter((member) => !member.inStep);
    const { packer } = this;
    this.eachChange((slot, old, oldSource) => {
      if (inStep.length > 0) this.share(inStep, slot, old, oldSource);
      for (const member of behind) member.miss(slot, old !== 0 && oldSource !== member.peer.index ? old : 0);
    });
    for (const { tag, bytes } of packer.finish()) {
      for (const member of inStep) if (member.peer.index !== tag) member.send(bytes);
    }
    this.forgetChanges();
  }

  /**
   * Sends a member that is behind, and does not wait, the next of what it missed; not while the group is filling.
   * @returns whether there is more that it could take now.
   */
  catchUp(member: Member): boolean {
    const { packer } = this;
    member.take(batch, this.slots.end, (slot, told) => {
      const now = this.announcedTo(member.peer.index, slot);
      if (now === told) return;
      if (now !== 0) packer.announce(slot, now, ownPeer);
      else if (told !== 0) packer.withdraw(slot, ownPeer);
    });
    for (const { bytes } of packer.finish()) member.send(bytes);
    member.written();
    member.settle();
    return !member.waiting && !member.isContent;
  }

  /** Has a member know what it was told in another group, which has delivered all its changes. */
  remember(member: Member, before: UpdateGroup): void {
    for (let slot = 1; slot < before.slots.end; slot++) {
      const told = before.announcedTo(member.peer.index, slot);
      if (told !== 0 && !member.pending.has(slot)) member.pending.remember(slot, told);
    }
  }

  /**
   * Gives back what a group without members holds, up to `limit` slots at a time.
   * @returns whether there is more.
   */
  retire(limit: number): boolean {
    this.forgetChanges();
    this.cache.clear();
    const end = Math.min(this.slots.end, this.retired + limit);
    for (; this.retired < end; this.retired++) {
      const set = this.column.get(this.retired, announced);
      if (set === 0) continue;
      this.column.set(this.retired, announced, 0);
      this.context.attributes.release(set);
      this.slots.release(this.retired);
    }
    return this.retired < this.slots.end;
  }

  private offerPaths(prefix: number, slotsOf: Map<number, readonly number[]>): void {
    const wanted = new Map<number, number>();
    for (const path of this.context.best(prefix, this.terms.addPath)) {
      const set = this.exported(path, prefix);
      // The export cache keeps only the last set alive; put() below holds it.
      if (set !== 0) this.put(path, set, this.sourceOf(path));
      if (set !== 0) wanted.set(path, set);
    }
    for (const slot of slotsOf.get(prefix) ?? []) if (!wanted.has(slot)) this.put(slot, 0, 0);
    if (wanted.size === 0) slotsOf.delete(prefix);
    else slotsOf.set(prefix, [...wanted.keys()]);
  }

  private exported(path: number, prefix: number): number {
    const isOwn = this.sourceOf(path) === ownPeer;
    return !isOwn && this.context.deferring() ? 0 : this.cache.exported(path, prefix);
  }

  private sourceOf(path: number): number {
    return this.context.view.paths.get(path, pathField.peer);
  }

  private put(slot: number, set: number, source: number): void {
    const page = this.column.pageFor(slot);
    const start = this.column.start(slot);
    const old = page[start + announced]!;
    const oldSource = page[start + sourceField]!;
    if (old === set && (set === 0 || oldSource === source)) return;
    const isFirst = page[start + recorded] === 0;
    if (isFirst) this.record(slot, old, oldSource);
    if (set !== 0) this.context.attributes.retain(set);
    // What was announced before the change is held until it has been delivered.
    if (old !== 0 && !isFirst) this.context.attributes.release(old);
    if (old === 0) this.slots.retain(slot);
    if (set === 0) this.slots.release(slot);
    page[start + announced] = set;
    page[start + sourceField] = source;
    page[start + recorded] = 1;
    this.count(old, oldSource, -1);
    this.count(set, source, 1);
  }

  private record(slot: number, old: number, oldSource: number): void {
    this.slots.retain(slot);
    this.changes.push(slot, old, oldSource);
  }

  private count(set: number, source: number, change: number): void {
    if (set === 0) return;
    this.total += change;
    this.bySource[source] = (this.bySource[source] ?? 0) + change;
  }

  /** What members in step are told of one change. Only the two peers that it came from and comes from now differ. */
  private share(inStep: readonly Member[], slot: number, old: number, oldSource: number): void {
    const { packer } = this;
    const page = this.column.page(slot);
    const start = this.column.start(slot);
    const now = page[start + announced]!;
    const source = page[start + sourceField]!;
    if (now === old && (now === 0 || source === oldSource)) return;
    if (now === 0) packer.withdraw(slot, oldSource);
    else if (now !== old) packer.announce(slot, now, source);
    if (now === 0 || old === 0 || source === oldSource) return;
    // The new source knew the old route and must lose it; the old source did not, and may know the new one.
    memberOf(inStep, source)?.miss(slot, old);
    if (now === old) memberOf(inStep, oldSource)?.miss(slot, 0);
  }

  private eachChange(visit: (slot: number, old: number, oldSource: number) => void): void {
    const { changes } = this;
    for (let i = 0; i < changes.length; i += 3) visit(changes[i]!, changes[i + 1]!, changes[i + 2]!);
  }

  private forgetChanges(): void {
    this.eachChange((slot, old) => {
      if (old !== 0) this.context.attributes.release(old);
      this.column.set(slot, recorded, 0);
      this.slots.release(slot);
    });
    this.changes.length = 0;
  }
}

function memberOf(members: readonly Member[], peer: number): Member | undefined {
  return peer === ownPeer ? undefined : members.find((member) => member.peer.index === peer);
}
