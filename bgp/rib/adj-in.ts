// Adj-RIB-In of all peers for one family: applies what UPDATEs say to the path table, keeps the counters, and marks in
// Loc-RIB what has to be decided anew. Prefixes are read straight from the message.
import { NotificationError, afiSafi } from '../codec/index.ts';
import type { AddressFamily, NlriField } from '../message.ts';
import type { Importer } from './importer.ts';
import type { LocRib } from './loc-rib.ts';
import { type PathTable, pathField, pathFlag } from './path-table.ts';
import type { PeerFamily, RibPeer } from './peer.ts';
import type { PrefixTable } from './prefix-table.ts';

/** What the owner is told about a peer's number of prefixes. */
export interface LimitNotes {
  /** The share that a warning was asked for is reached. */
  nearLimit(peer: RibPeer, family: AddressFamily, count: number): void;
  /** The first prefix has been ignored. */
  overLimit(peer: RibPeer, family: AddressFamily): void;
}

/** What is still to be done with the marked paths of a peer. */
export const settledFlags = pathFlag.stale | pathFlag.longLivedStale | pathFlag.unrefreshed | pathFlag.doomed;

export class AdjIn {
  private readonly family: AddressFamily;
  private readonly prefixes: PrefixTable;
  private readonly paths: PathTable;
  private readonly locRib: LocRib;
  private readonly importer: Importer;
  private readonly notes: LimitNotes;

  constructor(
    tables: { readonly prefixes: PrefixTable; readonly paths: PathTable; readonly locRib: LocRib },
    importer: Importer,
    notes: LimitNotes,
  ) {
    this.family = tables.prefixes.family;
    this.prefixes = tables.prefixes;
    this.paths = tables.paths;
    this.locRib = tables.locRib;
    this.importer = importer;
    this.notes = notes;
  }

  /**
   * Enters the routes of a field, each replacing what the peer said before about the same prefix and path.
   * @param heard their attribute set.
   * @param now seconds since the epoch.
   * @throws NotificationError Cease 1 when the peer announces more than it may and the session is to end.
   */
  announce(peer: RibPeer, field: NlriField, heard: number, now: number): void {
    this.importer.turnTo(peer, heard);
    const { bytes, addPath } = field;
    for (let at = 0; at < bytes.length; at += 1 + ((bytes[at]! + 7) >> 3)) {
      const pathId = addPath ? readPathId(bytes, at) : 0;
      if (addPath) at += 4;
      const prefix = this.prefixes.claim(bytes, at);
      const path = this.paths.find(prefix, peer.index, pathId) || this.enter(prefix, peer, pathId);
      if (path !== 0) this.store(path, prefix, peer, heard, now);
    }
  }

  /** Takes routes out; the attributes that came with them do not matter. */
  withdraw(peer: RibPeer, field: NlriField): void {
    const { bytes, addPath } = field;
    for (let at = 0; at < bytes.length; at += 1 + ((bytes[at]! + 7) >> 3)) {
      const pathId = addPath ? readPathId(bytes, at) : 0;
      if (addPath) at += 4;
      const prefix = this.prefixes.find(bytes, at);
      const path = prefix === 0 ? 0 : this.paths.find(prefix, peer.index, pathId);
      if (path !== 0) this.remove(path, peer);
    }
  }

  remove(path: number, peer: RibPeer): void {
    const counters = peer.families[this.family];
    if (this.paths.get(path, pathField.imported) !== 0) counters.accepted--;
    if (this.paths.hasFlag(path, pathFlag.stale)) counters.stale--;
    this.locRib.mark(this.paths.get(path, pathField.prefix));
    this.paths.remove(path);
  }

  /** Imports a path again: policy, or what import goes by besides, has changed. */
  importAgain(path: number, peer: RibPeer): void {
    const { paths } = this;
    const heard = paths.get(path, pathField.heard);
    this.importer.turnTo(peer, heard, paths.hasFlag(path, pathFlag.longLivedStale));
    this.setAttributes(path, paths.get(path, pathField.prefix), peer, heard);
  }

  /** A record for a new path, or 0 when the peer has as many as it may. */
  private enter(prefix: number, peer: RibPeer, pathId: number): number {
    const { prefixLimit } = peer;
    if (prefixLimit !== undefined) {
      const count = this.paths.countOf(peer.index);
      if (count >= prefixLimit.max) {
        this.prefixes.dropIfUnused(prefix);
        this.refuse(peer, prefixLimit);
        return 0;
      }
      if ((count + 1) * 100 >= prefixLimit.max * prefixLimit.warnPercent) this.warn(peer, count + 1);
    }
    return this.paths.add(prefix, peer.index, pathId);
  }

  private store(path: number, prefix: number, peer: RibPeer, heard: number, now: number): void {
    const { paths } = this;
    paths.set(path, pathField.heardAt, now);
    if (paths.hasFlag(path, settledFlags)) {
      if (paths.hasFlag(path, pathFlag.stale)) peer.families[this.family].stale--;
      paths.clearFlag(path, settledFlags);
    }
    this.setAttributes(path, prefix, peer, heard);
  }

  /** With the set that the importer has been turned to. */
  private setAttributes(path: number, prefix: number, peer: RibPeer, heard: number): void {
    const before = this.paths.get(path, pathField.imported);
    const imported = this.importer.imported(this.prefixes, prefix);
    if (!this.paths.setAttributes(path, heard, imported)) return;
    peer.families[this.family].accepted += (imported === 0 ? 0 : 1) - (before === 0 ? 0 : 1);
    this.locRib.mark(prefix);
  }

  private refuse(peer: RibPeer, { max, action }: NonNullable<RibPeer['prefixLimit']>): void {
    if (action === 'close') throw tooManyPrefixes(this.family, max);
    const counters = peer.families[this.family];
    if (counters.discarded++ === 0) this.notes.overLimit(peer, this.family);
  }

  private warn(peer: RibPeer, count: number): void {
    const counters: PeerFamily = peer.families[this.family];
    if (counters.warned) return;
    counters.warned = true;
    this.notes.nearLimit(peer, this.family, count);
  }
}

/** RFC 4486 §4: family and limit go along. */
function tooManyPrefixes(family: AddressFamily, max: number): NotificationError {
  const { afi, safi } = afiSafi(family);
  const data = Uint8Array.of(afi >> 8, afi & 255, safi, max >>> 24, max >>> 16, max >>> 8, max);
  return new NotificationError(6, 1, data, `more than ${max} prefixes of ${family}`);
}

function readPathId(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
