// All tables of one family, and the work on them in slices: walks, decisions, update groups.
//
// No stage calls the next one. Input marks; `work` takes what is marked through decision and export, delivers it, and
// stops when its time is up, leaving the rest for the next slice.
import type { Address } from '#ip';
import type { AddressFamily } from '../message.ts';
import { AdjIn, type LimitNotes } from './adj-in.ts';
import { type AttributeTable, attributeField } from './attribute-table.ts';
import { type View, decide, isEligible } from './decision.ts';
import { hasCommunity, wellKnown } from './community.ts';
import type { ExportTerms } from './export.ts';
import type { LocalFacts } from './import.ts';
import { Importer } from './importer.ts';
import { LocRib, decided } from './loc-rib.ts';
import { Member } from './member.ts';
import type { NextHopTable } from './next-hop-table.ts';
import { PathTable, ownPeer, pathField, pathFlag, prefixFlag } from './path-table.ts';
import type { RibPeer } from './peer.ts';
import { PrefixTable, prefixField } from './prefix-table.ts';
import { type Slots, pathSlots, prefixSlots } from './slots.ts';
import { type GroupContext, UpdateGroup } from './update-group.ts';
import { type Walk, walkAccepted, walkPeer } from './walk.ts';

export interface Shared {
  readonly attributes: AttributeTable;
  readonly nextHops: NextHopTable;
  readonly peers: readonly (RibPeer | undefined)[];
  readonly local: () => LocalFacts;
  readonly notes: LimitNotes;
  /** Routes of peers are held back for this family. */
  readonly deferring: (family: AddressFamily) => boolean;
}

/** How much is done between looks at the clock. */
const stride = 256;

export class FamilyTable {
  readonly family: AddressFamily;
  readonly prefixes: PrefixTable;
  readonly paths: PathTable;
  readonly view: View;
  readonly locRib: LocRib;
  readonly adjIn: AdjIn;
  readonly importer: Importer;
  private readonly shared: Shared;
  private readonly groups = new Map<string, UpdateGroup>();
  private readonly groupOf = new Map<Member, UpdateGroup>();
  private readonly context: GroupContext;
  private readonly slots: { readonly prefix: Slots; readonly path: Slots };
  private walks: Walk[] = [];
  /** Groups without members that still hold what they announced. */
  private readonly retiring: UpdateGroup[] = [];

  constructor(family: AddressFamily, shared: Shared) {
    const { attributes, nextHops, peers } = shared;
    this.family = family;
    this.shared = shared;
    this.prefixes = new PrefixTable(family);
    this.paths = new PathTable(this.prefixes, attributes);
    this.view = { paths: this.paths, attributes, nextHops, peers };
    this.locRib = new LocRib(this.prefixes, this.view);
    this.importer = new Importer(attributes, shared.local);
    this.adjIn = new AdjIn(this, this.importer, shared.notes);
    this.slots = { prefix: prefixSlots(this.prefixes), path: pathSlots(this.prefixes, this.paths) };
    this.context = {
      prefixes: this.prefixes,
      view: this.view,
      attributes,
      interfaceOf: (nextHop: Address) => shared.local().interfaceOf(nextHop),
      deferring: () => shared.deferring(family),
      best: (prefix, count) => this.bestPaths(prefix, count),
    };
  }

  // Own routes.

  /** Originates the prefix with a set, or with another one than before. */
  originate(prefix: number, set: number, now: number): void {
    const path = this.paths.find(prefix, ownPeer, 0) || this.paths.add(prefix, ownPeer, 0);
    this.paths.set(path, pathField.heardAt, now);
    if (this.paths.setAttributes(path, set, set)) this.locRib.mark(prefix);
  }

  withdrawOwn(prefix: number): void {
    const path = this.paths.find(prefix, ownPeer, 0);
    if (path === 0) return;
    this.locRib.mark(prefix);
    this.paths.remove(path);
  }

  // Paths of a peer, all at once.

  /** Sets a flag on every path of a peer. @returns on how many. */
  markAll(peer: RibPeer, flag: number): number {
    const count = this.paths.countOf(peer.index);
    for (let place = 0; place < count; place++) this.paths.setFlag(this.paths.at(peer.index, place), flag);
    return count;
  }

  /**
   * Keeps the paths of a peer that is restarting. What is stale already, from a restart before, goes (RFC 4724 §4.2).
   */
  markStale(peer: RibPeer): void {
    const old = pathFlag.stale | pathFlag.longLivedStale | pathFlag.doomed;
    const count = this.paths.countOf(peer.index);
    let fresh = 0;
    for (let place = 0; place < count; place++) {
      const path = this.paths.at(peer.index, place);
      const isFresh = !this.paths.hasFlag(path, old);
      this.paths.setFlag(path, isFresh ? pathFlag.stale : pathFlag.doomed);
      if (isFresh) fresh++;
    }
    peer.families[this.family].stale += fresh;
    if (fresh < count) this.sweep(peer, pathFlag.doomed);
  }

  /** The restart time is over: keeps stale paths as a last resort, but for those that forbid it (RFC 9494 §4.2). */
  markLongLived(peer: RibPeer): void {
    const { attributes } = this.shared;
    this.start(
      walkPeer(this.paths, peer.index, 'long-lived', (path) => {
        if (!this.paths.hasFlag(path, pathFlag.stale)) return;
        const heard = attributes.get(this.paths.get(path, pathField.heard));
        if (hasCommunity(heard, wellKnown.noLongLived)) return this.adjIn.remove(path, peer);
        this.paths.setFlag(path, pathFlag.longLivedStale);
        this.adjIn.importAgain(path, peer);
      }),
    );
  }

  /** Removes the paths of a peer that carry one of the flags and have not lost it by the time the walk comes to them. */
  sweep(peer: RibPeer, flags: number): void {
    this.start(
      walkPeer(this.paths, peer.index, `sweep ${flags}`, (path) => {
        if (this.paths.hasFlag(path, flags)) this.adjIn.remove(path, peer);
      }),
    );
  }

  /** Imports the paths of a peer again. */
  importAgain(peer: RibPeer): void {
    this.importer.forget();
    this.start(walkPeer(this.paths, peer.index, 'import', (path) => this.adjIn.importAgain(path, peer)));
  }

  /** Has every prefix decided on again that has a path over one of these next hops. */
  resolveAgain(isAffected: (nextHop: number) => boolean): void {
    this.start(
      walkAccepted(this.paths, 'resolve', (path) => {
        const { attributes } = this.shared;
        const set = this.paths.get(path, pathField.imported);
        if (!isAffected(attributes.field(set, attributeField.nextHop))) return;
        this.paths.setFlag(path, pathFlag.changed);
        this.locRib.mark(this.paths.get(path, pathField.prefix));
      }),
    );
  }

  /** Has every prefix with a path decided on again: the number of paths used at once has changed. */
  decideAgain(): void {
    this.start(walkAccepted(this.paths, 'decide', (path) => this.locRib.mark(this.paths.get(path, pathField.prefix))));
  }

  // Peers that are sent routes.

  /** Begins to send to a peer. */
  join(peer: RibPeer, terms: ExportTerms, key: string, output: (messages: Uint8Array) => boolean): Member {
    const group = this.groupFor(terms, key);
    const member = new Member(peer, group.slots, this.shared.attributes, output);
    this.enter(member, group);
    return member;
  }

  leave(member: Member): void {
    const group = this.groupOf.get(member)!;
    member.pending.clear(group.slots.end);
    this.groupOf.delete(member);
    this.remove(member, group);
  }

  /** Sends a peer what other terms make of the routes, as far as it differs from what it was told. */
  move(member: Member, terms: ExportTerms, key: string): void {
    const before = this.groupOf.get(member)!;
    if (this.groups.get(key) === before) return;
    before.deliver();
    const group = this.groupFor(terms, key);
    group.remember(member, before);
    this.remove(member, before);
    this.enter(member, group);
  }

  private groupFor(terms: ExportTerms, key: string): UpdateGroup {
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    const group = new UpdateGroup(terms, terms.addPath > 0 ? this.slots.path : this.slots.prefix, this.context);
    this.groups.set(key, group);
    return group;
  }

  /** What export goes by besides Loc-RIB has changed. */
  exportAgain(): void {
    for (const group of this.groups.values()) group.reconsider();
  }

  groupOfMember(member: Member): UpdateGroup {
    return this.groupOf.get(member)!;
  }

  // Work.

  /**
   * Works until everything is done or the time is up.
   * @param selected called with each prefix whose chosen paths have changed.
   * @returns whether something is left that need not wait for a peer.
   */
  work(isTimeUp: () => boolean, selected: (prefix: number) => void): boolean {
    do {
      this.step();
      this.decide(stride, selected);
    } while ((this.walks.length > 0 || this.locRib.pending > 0) && !isTimeUp());
    this.fill(isTimeUp);
    for (const group of this.groups.values()) group.deliver();
    const behind = this.catchUp(isTimeUp);
    return behind || this.walks.length > 0 || this.locRib.pending > 0 || this.retiring.length > 0 || this.isFilling();
  }

  /** Up to `count` eligible paths for a prefix, the best first. */
  bestPaths(prefix: number, count: number): number[] {
    const eligible = Int32Array.from([...this.locRib.pathsOf(prefix)].filter((path) => isEligible(this.view, path)));
    const best: number[] = [];
    // Once we originate the prefix, no other path for it is ours to give.
    while (best.length < Math.min(count, eligible.length) && !this.isOwn(best[0])) {
      const rest = eligible.subarray(best.length);
      decide(this.view, rest, rest.length, 1);
      best.push(rest[0]!);
    }
    return best;
  }

  private isOwn(path: number | undefined): boolean {
    return path !== undefined && this.paths.get(path, pathField.peer) === ownPeer;
  }

  private remove(member: Member, group: UpdateGroup): void {
    group.members.delete(member);
    if (group.members.size > 0) return;
    for (const [key, each] of this.groups) if (each === group) this.groups.delete(key);
    this.retiring.push(group);
  }

  private enter(member: Member, group: UpdateGroup): void {
    group.members.add(member);
    this.groupOf.set(member, group);
    member.begin('introduction');
  }

  private start(walk: Walk): void {
    this.walks = this.walks.filter(({ peer, purpose }) => peer !== walk.peer || purpose !== walk.purpose);
    this.walks.push(walk);
  }

  private step(): void {
    if (this.walks.length > 0 && !this.walks[0]!.step(stride)) this.walks.shift();
    if (this.retiring.length > 0 && !this.retiring[0]!.retire(stride)) this.retiring.shift();
  }

  private decide(limit: number, selected: (prefix: number) => void): void {
    const { locRib, prefixes } = this;
    const groups = [...this.groups.values()];
    for (let left = limit; left > 0 && locRib.pending > 0; left--) {
      const prefix = locRib.take();
      const change = locRib.decide(prefix);
      for (const group of groups) {
        // With ADD-PATH any path counts, not only the best.
        if ((change & decided.best) !== 0 || group.terms.addPath > 0) group.offer(prefix);
      }
      if (change !== decided.nothing) this.report(prefix, selected);
      prefixes.release(prefix);
    }
  }

  /** The owner hears of prefixes with learned best paths, and when there are none any more. */
  private report(prefix: number, selected: (prefix: number) => void): void {
    const { prefixes } = this;
    const flags = prefixes.get(prefix, prefixField.flags);
    const best = prefixes.get(prefix, prefixField.best);
    const isLearned = best !== 0 && !this.isOwn(best);
    if (!isLearned && (flags & prefixFlag.reported) === 0) return;
    prefixes.set(prefix, prefixField.flags, isLearned ? flags | prefixFlag.reported : flags & ~prefixFlag.reported);
    selected(prefix);
  }

  // A step of each of these is taken in every turn, however late it is: input that never ends must not keep a new peer
  // from its routes.

  private fill(isTimeUp: () => boolean): void {
    let isFirst = true;
    for (const group of this.groups.values()) {
      for (; group.isFilling() && (isFirst || !isTimeUp()); isFirst = false) group.fill(stride);
    }
  }

  private isFilling(): boolean {
    return [...this.groups.values()].some((group) => group.isFilling());
  }

  private catchUp(isTimeUp: () => boolean): boolean {
    let isFirst = true;
    let more = false;
    for (const [member, group] of [...this.groupOf]) {
      if (member.isContent || member.waiting || group.isFilling()) continue;
      let left = true;
      for (; left && (isFirst || !isTimeUp()); isFirst = false) left = group.catchUp(member);
      more ||= left;
      // Next time it is another one's turn.
      if (left && this.groupOf.delete(member)) this.groupOf.set(member, group);
    }
    return more;
  }
}
