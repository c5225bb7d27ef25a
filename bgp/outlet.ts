// What one neighbour is sent while its session is up: its places in the update groups, End-of-RIB, and the frame around
// a refresh that it asked for.
import { afiSafi, encodeEndOfRib, encodeRouteRefresh, refreshSubtypes } from './codec/index.ts';
import type { Deferral } from './deferral.ts';
import { exportKey } from './export-terms.ts';
import type { AddressFamily, Terms } from './message.ts';
import type { Progress } from './restart.ts';
import type { ExportTerms } from './rib/export.ts';
import type { Member } from './rib/member.ts';
import type { PeerFamily, RibPeer } from './rib/peer.ts';
import type { Rib } from './rib/rib.ts';

/** What an outlet needs of the neighbour that it belongs to. */
export interface OutletHost {
  readonly peer: RibPeer;
  readonly rib: Rib;
  readonly deferral: Deferral;
  send(messages: Uint8Array): boolean;
  exportTerms(family: AddressFamily): ExportTerms;
  progress(): Progress;
  wake(): void;
}

export class Outlet {
  private readonly host: OutletHost;
  private readonly terms: Terms;
  /** Families whose first full announcement is out. */
  private readonly introduced = new Set<AddressFamily>();

  /** Joins the update groups: from now on the peer is told. */
  constructor(host: OutletHost, terms: Terms) {
    this.host = host;
    this.terms = terms;
    for (const family of terms.families) this.join(family);
  }

  /** Leaves the update groups. */
  close(): void {
    for (const family of this.terms.families) {
      const { member } = this.family(family);
      if (member !== undefined) this.host.rib.tables[family].leave(member);
      this.family(family).member = undefined;
    }
  }

  /** What export goes by may have changed: joins the groups that the peer belongs to now. */
  regroup(): void {
    for (const family of this.terms.families) {
      const { member } = this.family(family);
      const terms = this.host.exportTerms(family);
      if (member !== undefined) this.host.rib.tables[family].move(member, terms, exportKey(terms));
    }
    this.host.wake();
  }

  drained(): void {
    for (const member of this.members()) member.waiting = false;
    this.host.wake();
  }

  /** Says End-of-RIB for a family once, when it is due and true (RFC 4724 §4.1). */
  sayEndOfRib(family: AddressFamily): void {
    const { member, endOfRib } = this.family(family);
    if (member === undefined || endOfRib.sent || !this.introduced.has(family)) return;
    if (this.host.deferral.delaysEndOfRib(family, this.host.progress())) return;
    endOfRib.sent = true;
    // Behind whatever the end of the wait has brought.
    member.whenCaughtUp(() => member.send(encodeEndOfRib(family)));
    this.host.wake();
  }

  /** Sends all of a family again. The frame only behind End-of-RIB (RFC 7313 §4): before, all is on its way anyway. */
  sendAgain(family: AddressFamily): void {
    const { member } = this.family(family);
    if (member === undefined) return;
    const framed = this.terms.enhancedRouteRefresh && this.introduced.has(family);
    const mark = (subtype: number): void => member.send(encodeRouteRefresh({ ...afiSafi(family), subtype }));
    if (framed) mark(refreshSubtypes.beginning);
    member.begin('refresh');
    if (framed) member.whenCaughtUp(() => mark(refreshSubtypes.ending));
    this.host.wake();
  }

  private join(family: AddressFamily): void {
    const terms = this.host.exportTerms(family);
    const { rib, peer } = this.host;
    const member = rib.tables[family].join(peer, terms, exportKey(terms), (messages) => this.host.send(messages));
    this.family(family).member = member;
    member.whenCaughtUp(() => {
      this.introduced.add(family);
      this.sayEndOfRib(family);
    });
  }

  private members(): Member[] {
    return this.terms.families.flatMap((family) => this.family(family).member ?? []);
  }

  private family(family: AddressFamily): PeerFamily {
    return this.host.peer.families[family];
  }
}
