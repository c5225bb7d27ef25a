// Paths of one family as records of integers: who announced which prefix with which attributes, as heard and as
// imported. The paths for one prefix form a chain; the paths of one peer form a list, which is its Adj-RIB-In.
//
// Attributes as heard are kept beside those after import, so that a changed filter applies without asking the peer
// again. Nothing else is stored about a rejection: whoever wants the reason imports once more and reads it.
import type { AttributeTable } from './attribute-table.ts';
import { type PrefixTable, prefixField } from './prefix-table.ts';
import { Records } from './records.ts';

export const pathField = {
  prefix: 0,
  /** Index of the peer; {@link ownPeer} for a route of our own. */
  peer: 1,
  /** Attribute set as it was heard. */
  heard: 2,
  /** Attribute set after import, 0 when import rejected the path. */
  imported: 3,
  /** The next path for the same prefix. */
  next: 4,
  /** The path identifier that came with it, 0 without ADD-PATH (RFC 7911). */
  pathId: 5,
  /** When it was last heard, seconds since the epoch. */
  heardAt: 6,
  flags: 7,
  /** Its place in the list of its peer. */
  place: 8,
  /** Who else holds the record: see {@link PathTable.retain}. */
  holds: 9,
} as const;

/** Flags of a path. */
export const pathFlag = {
  /** Among the chosen paths when the prefix was last decided on. */
  selected: 1,
  /** Its attributes have changed since then. */
  changed: 2,
  /** From before the peer's restart (RFC 4724 §4.2). */
  stale: 4,
  /** Kept beyond the restart time (RFC 9494): usable, but only for want of anything else. */
  longLivedStale: 8,
  /** Not heard again yet since the peer began to send everything anew (RFC 7313 §4). */
  unrefreshed: 16,
  /** To be removed by a sweep that is under way, unless it is heard again first. */
  doomed: 32,
} as const;

/** The peer of routes that this speaker originates. */
export const ownPeer = 0;

/** Flags of a prefix. */
export const prefixFlag = {
  /** In the queue of those to be decided on. */
  dirty: 1,
  /** A selected path has gone since the last decision. */
  lost: 2,
  /** The best path has gone since the last decision. */
  bestLost: 4,
  /** Its best paths have been told to the owner of the speaker. */
  reported: 8,
} as const;

export class PathTable {
  private readonly prefixes: PrefixTable;
  private readonly attributes: AttributeTable;
  private readonly records = new Records(10);
  private readonly lists: PathList[] = [];
  private live = 0;

  constructor(prefixes: PrefixTable, attributes: AttributeTable) {
    this.prefixes = prefixes;
    this.attributes = attributes;
  }

  /** Paths in the table. */
  get count(): number {
    return this.live;
  }

  /** Every id is below this. */
  get end(): number {
    return this.records.end;
  }

  get(id: number, field: number): number {
    return this.records.get(id, field);
  }

  set(id: number, field: number, value: number): void {
    this.records.set(id, field, value);
  }

  hasFlag(id: number, flag: number): boolean {
    return (this.records.get(id, pathField.flags) & flag) !== 0;
  }

  setFlag(id: number, flag: number): void {
    this.records.set(id, pathField.flags, this.records.get(id, pathField.flags) | flag);
  }

  clearFlag(id: number, flag: number): void {
    this.records.set(id, pathField.flags, this.records.get(id, pathField.flags) & ~flag);
  }

  /** The path of this peer for the prefix, or 0. */
  find(prefix: number, peer: number, pathId: number): number {
    const { records } = this;
    let id = this.prefixes.get(prefix, prefixField.firstPath);
    while (id !== 0) {
      const page = records.page(id);
      const start = records.start(id);
      if (page[start + pathField.peer] === peer && page[start + pathField.pathId] === pathId) break;
      id = page[start + pathField.next]!;
    }
    return id;
  }

  /** Enters a path without attributes yet, behind those for the same prefix. */
  add(prefix: number, peer: number, pathId: number): number {
    const { records, prefixes } = this;
    const id = records.claim();
    const page = records.page(id);
    const start = records.start(id);
    page[start + pathField.prefix] = prefix;
    page[start + pathField.peer] = peer;
    page[start + pathField.pathId] = pathId;
    page[start + pathField.next] = prefixes.get(prefix, prefixField.firstPath);
    page[start + pathField.place] = this.listOf(peer).push(id);
    page[start + pathField.holds] = 1;
    prefixes.set(prefix, prefixField.firstPath, id);
    prefixes.retain(prefix);
    this.live++;
    return id;
  }

  /** Sets both attribute sets of a path. @returns whether what decision sees has changed. */
  setAttributes(id: number, heard: number, imported: number): boolean {
    const page = this.records.page(id);
    const start = this.records.start(id);
    this.replace(page, start + pathField.heard, heard);
    if (page[start + pathField.imported] === imported) return false;
    this.replace(page, start + pathField.imported, imported);
    page[start + pathField.flags]! |= pathFlag.changed;
    return true;
  }

  /** Withdraws a path: out of its prefix's chain and its peer's list. */
  remove(id: number): void {
    const prefix = this.get(id, pathField.prefix);
    this.unlink(id, prefix);
    this.unlist(id);
    const page = this.records.page(id);
    const start = this.records.start(id);
    this.replace(page, start + pathField.heard, 0);
    this.replace(page, start + pathField.imported, 0);
    if (this.hasFlag(id, pathFlag.selected)) this.markLoss(prefix, id);
    this.live--;
    this.release(id);
  }

  /** Holds the record beyond the path's life: its id went out as a path identifier and has to be withdrawn still. */
  retain(id: number): void {
    this.records.add(id, pathField.holds, 1);
  }

  release(id: number): void {
    if (this.records.add(id, pathField.holds, -1) > 0) return;
    const prefix = this.get(id, pathField.prefix);
    this.records.free(id);
    this.prefixes.release(prefix);
  }

  /** How many paths a peer has: its Adj-RIB-In. */
  countOf(peer: number): number {
    return this.lists[peer]?.length ?? 0;
  }

  /** The path at a place of a peer's list; walking down from the end survives removals on the way. */
  at(peer: number, place: number): number {
    return this.lists[peer]!.at(place);
  }

  private listOf(peer: number): PathList {
    return (this.lists[peer] ??= new PathList());
  }

  private markLoss(prefix: number, path: number): void {
    const { prefixes } = this;
    let flags = prefixes.get(prefix, prefixField.flags) | prefixFlag.lost;
    if (prefixes.get(prefix, prefixField.best) === path) {
      prefixes.set(prefix, prefixField.best, 0);
      flags |= prefixFlag.bestLost;
    }
    prefixes.set(prefix, prefixField.flags, flags);
  }

  private unlink(id: number, prefix: number): void {
    const after = this.get(id, pathField.next);
    let before = this.prefixes.get(prefix, prefixField.firstPath);
    if (before === id) return this.prefixes.set(prefix, prefixField.firstPath, after);
    while (this.get(before, pathField.next) !== id) before = this.get(before, pathField.next);
    this.set(before, pathField.next, after);
  }

  private unlist(id: number): void {
    const place = this.get(id, pathField.place);
    const moved = this.lists[this.get(id, pathField.peer)]!.removeAt(place);
    if (moved !== id) this.set(moved, pathField.place, place);
  }

  private replace(page: Int32Array, at: number, attributes: number): void {
    const before = page[at]!;
    if (before === attributes) return;
    if (attributes !== 0) this.attributes.retain(attributes);
    page[at] = attributes;
    if (before !== 0) this.attributes.release(before);
  }
}

/** A list of ids without order: the last one fills the place of one that goes. One integer per path, also in growing. */
class PathList {
  private ids = new Int32Array(8);
  length = 0;

  push(id: number): number {
    if (this.length === this.ids.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.ids);
      this.ids = larger;
    }
    this.ids[this.length] = id;
    return this.length++;
  }

  at(place: number): number {
    return this.ids[place]!;
  }

  /** @returns the id that stands at this place now, or the removed one if it was the last. */
  removeAt(place: number): number {
    const last = this.ids[--this.length]!;
    this.ids[place] = last;
    return last;
  }
}
