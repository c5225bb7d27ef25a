// One neighbour of the speaker: its session on one side, its place in the tables on the other.
//
// Translates what the session tells into table operations. What the neighbour is sent is outlet.ts, what is kept of it
// while it restarts is helper.ts.
import type { Address } from '#ip';
import { decodeUpdate, encodeMessage, familyOfAfi, refreshSubtypes } from './codec/index.ts';
import type { Deferral } from './deferral.ts';
import { exportTerms } from './export-terms.ts';
import { RestartHelper } from './helper.ts';
import type { AddressFamily, Fault, RouteRefresh, Terms } from './message.ts';
import { Outlet } from './outlet.ts';
import { type CompiledPolicy, compilePolicy } from './policy/policy.ts';
import type { Policy } from './policy/rule.ts';
import type { Progress } from './restart.ts';
import type { LocalFacts } from './rib/import.ts';
import type { PeerFamily, RibPeer } from './rib/peer.ts';
import { type NewPeer, type Rib, families } from './rib/rib.ts';
import { Tally, tallyExport, tallyImport } from './rib/tally.ts';
import { type Clock, type Dialer, Session, type SessionOwner } from './session/index.ts';
import type { ExportStatus, FamilyStatus, PeerPolicies, PeerStatus } from './status.ts';
import type { PeerWish, SpeakerWish } from './wish.ts';

/** What a neighbour needs of the speaker that it belongs to. */
export interface NeighbourHost {
  readonly rib: Rib;
  readonly clock: Clock;
  readonly dialer: Dialer;
  readonly deferral: Deferral;
  wish(): SpeakerWish;
  local(): LocalFacts;
  /** There is work in the tables. */
  wake(): void;
  /** The session of this neighbour has changed its state, or has an error to show, or nothing is kept of it any more. */
  changed(neighbour: Neighbour): void;
  /** An address that turned out to be ours. */
  learnAddress(address: Address): void;
}

/** What is there as long as the session is Established. */
interface Held {
  readonly terms: Terms;
  readonly since: number;
  readonly localAddress: Address;
  readonly outlet: Outlet;
}

export class Neighbour implements SessionOwner {
  readonly peer: RibPeer;
  readonly session: Session;
  private readonly host: NeighbourHost;
  private readonly helper: RestartHelper;
  private exportPolicy: CompiledPolicy | undefined;
  private held: Held | undefined;
  private seen = false;
  wish: PeerWish;

  constructor(wish: PeerWish, host: NeighbourHost) {
    const { rib, clock, dialer } = host;
    this.wish = wish;
    this.host = host;
    this.exportPolicy = compiled(wish.exportPolicy);
    this.peer = rib.addPeer({
      ...peerFacts(wish, host.wish()),
      ...{ name: wish.name, address: wish.address, role: undefined, importPolicy: compiled(wish.importPolicy) },
    });
    this.helper = new RestartHelper(this.peer, rib, clock, () => {
      host.wake();
      host.changed(this);
    });
    this.session = new Session(wish, host.wish(), this, { clock, dialer });
  }

  get isUp(): boolean {
    return this.held !== undefined;
  }

  /** Whether paths of a past session are kept, or its end is still being dealt with. */
  get isExpected(): boolean {
    return this.helper.isHolding;
  }

  /** Makes a new wish for it true. */
  apply(wish: PeerWish): void {
    const before = this.wish;
    this.wish = wish;
    this.session.apply(wish, this.host.wish());
    if (wish.address !== before.address) this.moved();
    this.applyFacts(wish);
    if (differ(before.importPolicy, wish.importPolicy)) this.peer.importPolicy = compiled(wish.importPolicy);
    if (differ(before.exportPolicy, wish.exportPolicy)) this.exportPolicy = compiled(wish.exportPolicy);
    if (differ(importFacts(before), importFacts(wish))) this.importAgain();
    if ((wish.prefixLimit?.max ?? Infinity) > (before.prefixLimit?.max ?? Infinity)) this.askForDiscarded();
    this.held?.outlet.regroup();
  }

  /** What import goes by has changed. */
  importAgain(): void {
    for (const family of families) this.host.rib.tables[family].importAgain(this.peer);
    this.host.wake();
  }

  /** Next hops may be elsewhere: rules that look at interfaces, and who shares a network with us, with them. */
  nextHopsChanged(): void {
    if (this.wish.importPolicy?.rules.some(({ match }) => match?.interface !== undefined)) this.importAgain();
    this.held?.outlet.regroup();
  }

  /** Asks the peer for everything again. */
  refresh(): void {
    for (const family of this.held?.terms.families ?? []) this.session.requestRefresh(family);
  }

  /** Says End-of-RIB for a family if it is due and true. */
  sayEndOfRib(family: AddressFamily): void {
    this.held?.outlet.sayEndOfRib(family);
  }

  /** Ends the session for good and removes the peer's paths. */
  async close(how: 'restart' | 'deconfigured' | 'shutdown', text?: string): Promise<void> {
    const closed = this.session.close(how, text);
    this.helper.stop();
    this.host.rib.removePeer(this.peer);
    this.host.wake();
    await closed;
  }

  /** How far it is in telling us its routes, for those who wait for them. */
  progress(): Progress {
    const { name, families: wished, shutdown } = this.wish;
    const { internal, client } = this.peer;
    const { expectedUntil } = this.helper;
    const endOfRib = families.filter((family) => this.family(family).endOfRib.received);
    return {
      ...{ name, families: wished, internal, client, seen: this.seen, shutdown: shutdown !== undefined },
      ...(expectedUntil !== undefined && { expectedUntil }),
      ...(this.held && { up: { since: this.held.since, terms: this.held.terms, endOfRib } }),
    };
  }

  status(): PeerStatus {
    return { ...this.session.status(), families: this.wish.families.map((family) => this.familyStatus(family)) };
  }

  /** Counts by rule what its policies decide about: see rib/tally.ts. Pauses after every step. */
  *policies(): Generator<void, PeerPolicies> {
    const { rib } = this.host;
    const [peer, local] = [{ ...this.peer }, this.host.local()];
    const groups = families.flatMap((family) => {
      const { member } = this.family(family);
      return member === undefined ? [] : [{ family, terms: rib.tables[family].groupOfMember(member).terms }];
    });
    const imports = new Tally(peer.importPolicy?.policy);
    const exports = new Tally(this.exportPolicy?.policy);
    for (const family of families) yield* tallyImport(rib.tables[family], peer, local, imports);
    for (const { family, terms } of groups) {
      yield* tallyExport(rib.tables[family], { peer: peer.index, terms }, local, exports);
    }
    return { import: imports.use(), ...(groups.length > 0 && { export: exports.use() }) };
  }

  /** Whether a route for the prefix is announced to it. */
  announces(family: AddressFamily, prefix: number): boolean {
    const { member } = this.family(family);
    return (
      member !== undefined && this.host.rib.tables[family].groupOfMember(member).announces(this.peer.index, prefix)
    );
  }

  /** What it is told of a prefix and why; undefined for a family that it is not wished for. */
  explainExport(family: AddressFamily, prefix: number): ExportStatus | undefined {
    const { name: peer, families: wished } = this.wish;
    if (!wished.includes(family)) return undefined;
    const not = (why: string): ExportStatus => ({ peer, announced: false, why });
    if (!this.isUp) return not('the session is not up');
    const { member } = this.family(family);
    if (member === undefined) return not('the family was not agreed on');
    const group = this.host.rib.tables[family].groupOfMember(member);
    const { sent, why } = group.explain(this.peer.index, prefix);
    const announced = group.announces(this.peer.index, prefix);
    if (sent === undefined) return announced ? { peer, announced, why: `about to be withdrawn: ${why}` } : not(why);
    return announced
      ? { peer, announced, why, nextHop: { address: sent.nextHop, unchanged: sent.unchanged } }
      : not('about to be announced');
  }

  // SessionOwner.

  established(terms: Terms): void {
    const { peer, host } = this;
    const { peerAsn: asn, localAsn, internal, peerRouterId: routerId, role } = terms;
    Object.assign(peer, { asn, localAsn, internal, routerId, role });
    this.seen = true;
    const localAddress = this.session.status().local!.address;
    host.learnAddress(localAddress);
    for (const family of families) Object.assign(this.family(family), freshCounters());
    this.helper.returned(terms, this.wish.gracefulRestart);
    this.held = { terms, since: host.clock.now(), localAddress, outlet: this.createOutlet(terms, localAddress) };
    host.deferral.look();
    host.wake();
  }

  update(body: Uint8Array): void {
    const { terms } = this.held!;
    const update = decodeUpdate(body, terms);
    const faults = this.host.rib.apply(this.peer, update, terms, Math.floor(this.host.clock.now() / 1000));
    if (faults.length > 0) this.recordFaults(faults, body);
    if (update.endOfRib !== undefined) this.endOfRib(update.endOfRib);
    this.host.wake();
  }

  routeRefresh({ afi, safi, subtype }: RouteRefresh): void {
    const family = familyOfAfi(afi, safi);
    const { terms, outlet } = this.held!;
    // RFC 2918 §4: a family that was not agreed on is ignored; RFC 7313 §5: so is a subtype that nobody knows.
    if (family === undefined || !terms.families.includes(family)) return;
    if (subtype === refreshSubtypes.request) outlet.sendAgain(family);
    if (subtype === refreshSubtypes.beginning) this.beginRefresh(family);
    if (subtype === refreshSubtypes.ending) this.helper.endRefresh(family);
  }

  down(retain: boolean): void {
    const { terms, outlet } = this.held!;
    outlet.close();
    this.held = undefined;
    for (const family of families) Object.assign(this.family(family), freshCounters());
    this.helper.down(retain, terms, this.wish.gracefulRestart);
    this.host.deferral.look();
    this.host.wake();
  }

  drained(): void {
    this.held?.outlet.drained();
  }

  restartState(): { readonly restarting: boolean; readonly forwarding: readonly AddressFamily[] } {
    return this.host.deferral.state();
  }

  changed(): void {
    this.host.changed(this);
  }

  private createOutlet(terms: Terms, localAddress: Address): Outlet {
    const { peer, host } = this;
    const outletHost = {
      ...{ peer, rib: host.rib, deferral: host.deferral },
      send: (messages: Uint8Array) => this.session.send(messages),
      progress: () => this.progress(),
      wake: () => host.wake(),
      exportTerms: (family: AddressFamily) => {
        const { clusterId, interfaceOf } = host.local();
        const policy = this.exportPolicy;
        return exportTerms(family, {
          ...{ wish: this.wish, terms, peer, policy, localAddress, clusterId, interfaceOf },
          speaker: host.wish(),
        });
      },
    };
    return new Outlet(outletHost, terms);
  }

  private endOfRib(family: AddressFamily): void {
    this.family(family).endOfRib.received = true;
    this.helper.endOfRib(family);
    this.host.deferral.look();
    this.host.changed(this);
  }

  /** RFC 7313 §4: a refresh that begins before End-of-RIB, where that is to come, is none. */
  private beginRefresh(family: AddressFamily): void {
    const { terms } = this.held!;
    if (terms.gracefulRestart !== undefined && !this.family(family).endOfRib.received) return;
    this.helper.beginRefresh(family, this.wish.gracefulRestart.staleSecondsMax);
  }

  /** Whatever is kept of the neighbour before is not the new one's. */
  private moved(): void {
    this.helper.stop();
    this.host.rib.movePeer(this.peer, this.wish.address);
  }

  /** What its OPEN said stays until the next one. */
  private applyFacts(wish: PeerWish): void {
    const { asn, localAsn, internal, ...facts } = peerFacts(wish, this.host.wish());
    Object.assign(this.peer, facts, this.held === undefined ? { asn, localAsn, internal } : {});
  }

  /** More prefixes are allowed now than the peer had ignored. */
  private askForDiscarded(): void {
    for (const family of this.held?.terms.families ?? []) {
      const counters = this.family(family);
      if (counters.discarded > 0 && this.session.requestRefresh(family)) counters.discarded = 0;
    }
  }

  private recordFaults(faults: readonly Fault[], body: Uint8Array): void {
    const text = faults.map(({ reason, action }) => `${reason}: ${consequence[action]}`).join('; ');
    const message = Buffer.from(encodeMessage('update', body)).toString('hex');
    this.session.record({ text, code: 3, direction: 'received', message });
  }

  private family(family: AddressFamily): PeerFamily {
    return this.peer.families[family];
  }

  private familyStatus(family: AddressFamily): FamilyStatus {
    const { accepted, stale, endOfRib, member, discarded } = this.family(family);
    const table = this.host.rib.tables[family];
    const { prefixLimit } = this.wish;
    return {
      family,
      negotiated: this.held?.terms.families.includes(family) ?? false,
      received: table.paths.countOf(this.peer.index),
      accepted,
      advertised: member === undefined ? 0 : table.groupOfMember(member).countFor(this.peer.index),
      stale,
      endOfRib: { ...endOfRib },
      ...(prefixLimit && { prefixLimit: { max: prefixLimit.max, action: prefixLimit.action, discarded } }),
    };
  }
}

const consequence: Readonly<Record<Fault['action'], string>> = {
  discard: 'ignored',
  withdraw: 'the routes of this UPDATE are treated as withdrawn',
};

function freshCounters(): Partial<PeerFamily> {
  return { discarded: 0, warned: false, refreshing: false, endOfRib: { sent: false, received: false } };
}

/** What the tables know of a peer before its session says more. */
function peerFacts(wish: PeerWish, speaker: SpeakerWish): Omit<NewPeer, 'name' | 'address' | 'role' | 'importPolicy'> {
  const localAsn = wish.localAsn ?? speaker.asn;
  return {
    asn: wish.asn,
    localAsn,
    internal: wish.asn === localAsn,
    client: wish.routeReflectorClient,
    allowOwnAs: wish.allowOwnAs,
    interface: wish.interface,
    prefixLimit: wish.prefixLimit,
  };
}

/** What import looks at in a wish. */
function importFacts({ importPolicy, allowOwnAs, interface: scope }: PeerWish): unknown {
  return [importPolicy, allowOwnAs, scope];
}

function compiled(policy: Policy | undefined): CompiledPolicy | undefined {
  return policy && compilePolicy(policy);
}

function differ(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}
