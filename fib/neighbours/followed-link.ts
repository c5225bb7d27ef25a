// One link that is followed: who is on it, and when we say there that we are a router. Without effects of its own.
import type { Address } from '#ip';
import { FibError } from '../error.ts';
import type { Link } from './links.ts';
import {
  allNodes,
  allRouters,
  neighbourSolicitation,
  routerAdvertisement,
  routerSolicitation,
  solicitedNode,
} from './message.ts';
import type { SendIcmp6 } from './socket.ts';
import { type Choice, type KernelNeighbour, chooseNeighbour } from './table.ts';

/** What is known about a link. */
export interface Sighting {
  /** The neighbour there, and our own address towards it, both link-local. */
  readonly found?: { readonly neighbour: Address; readonly local: Address };
  /** Why there is none, in words. */
  readonly reason?: string;
  /** What the operator must see to, found or not, in words. */
  readonly trouble?: string;
}

/**
 * How often routers say that they are there: as FRR does for unnumbered sessions, and up to a quarter earlier, so that
 * routers do not go in step (RFC 4861 §6.2.4).
 */
const ADVERTISE_MS = 10_000;
/** Advertisements never follow one another faster (RFC 4861 §10: MIN_DELAY_BETWEEN_RAS), */
const SOONEST_MS = 3000;
/** and the first few just so fast (MAX_INITIAL_RTR_ADVERTISEMENTS). */
const FIRST_FEW = 3;
/** Where there are several routers, each is asked so often whether it is still there, */
const ASK_MS = 3000;
/** and counts no more when it has answered nothing for so long. */
const SILENT_SECONDS = 10;

export class FollowedLink {
  readonly name: string;
  private link: Link | undefined;
  /** Of ours, the one that we speak from. */
  private local: Address | undefined;
  private choice: Choice | undefined;
  private known: ReadonlySet<Address> = new Set();
  private readTrouble: string | undefined;
  /** Advertisements since the link is as it is, the time of the last one, and how long to wait after it. */
  private sent = 0;
  private sentAt = 0;
  private waitMs = 0;
  /** Since when each of several routers has been asked, and when they were asked last. */
  private readonly askedSince = new Map<Address, number>();
  private askedAt = -Infinity;
  private failing: { readonly since: number; readonly words: string } | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** When to look again at the latest; never, while only an event can change anything. */
  get dueAt(): number {
    if (this.local === undefined) return Infinity;
    return this.askedSince.size === 0 ? this.advertiseAt : Math.min(this.advertiseAt, this.askedAt + ASK_MS);
  }

  private get advertiseAt(): number {
    return this.sentAt + (this.failing === undefined ? this.waitMs : SOONEST_MS);
  }

  /**
   * The link as it is now; undefined when it is not up. What was on a link that went down is forgotten: who comes back
   * may be somebody else.
   * @returns whether it is another link by the same name than the last time
   */
  moveTo(link: Link | undefined): boolean {
    const isOther = link?.index !== this.link?.index;
    const kept = link?.addresses.find((address) => address === this.local);
    const local = kept ?? link?.addresses[0];
    if (isOther || local !== this.local) this.forget();
    this.link = link;
    this.local = local;
    return isOther && link !== undefined;
  }

  /** Whether there is a table to be read. */
  get isUp(): boolean {
    return this.link !== undefined;
  }

  /** What the kernel's table says, or why it cannot be read. @param now ms, of the same clock as {@link dueAt} */
  see(table: readonly KernelNeighbour[] | FibError, now: number): void {
    if (table instanceof FibError) {
      this.readTrouble = table.message;
      return;
    }
    this.readTrouble = undefined;
    const addresses = table.map(({ address }) => address);
    // A newcomer should hear of us soon: it may be asking for routers.
    if (addresses.some((address) => !this.known.has(address))) this.waitMs = Math.min(this.waitMs, SOONEST_MS);
    this.known = new Set(addresses);
    this.doubt(table, now);
    const heard = table.map((one) => (this.isSilent(one, now) ? { ...one, state: 'failed' as const } : one));
    this.choice = chooseNeighbour(heard, this.choice?.neighbour);
  }

  /**
   * Sends what is due: that we are a router, and as long as nobody else is one, the question who is (RFC 7559 §2: it is
   * asked on and on).
   * @param now ms, of the same clock as {@link dueAt}
   */
  advertise(send: SendIcmp6, now: number): void {
    const { link, local } = this;
    if (link === undefined || local === undefined) return;
    const from = { index: link.index, address: local };
    try {
      if (now >= this.askedAt + ASK_MS) this.ask((to, message) => send(from, to, message), link, now);
      if (this.sent > 0 && now < this.advertiseAt) return;
      this.sentAt = now;
      // The question makes us a host in the eyes of who hears it, the advertisement behind it a router again.
      if (this.choice === undefined) send(from, allRouters, routerSolicitation(link.linkLayer));
      send(from, allNodes, routerAdvertisement(link.linkLayer));
      this.failing = undefined;
      this.waitMs = ++this.sent < FIRST_FEW ? SOONEST_MS : ADVERTISE_MS * (0.75 + 0.25 * Math.random());
    } catch (error) {
      if (!(error instanceof FibError)) throw error;
      this.sentAt = now;
      this.failing = { since: this.failing?.since ?? now, words: error.message };
    }
  }

  private ask(send: (to: Address, message: Uint8Array) => void, { linkLayer }: Link, now: number): void {
    if (this.askedSince.size === 0) return;
    this.askedAt = now;
    for (const address of this.askedSince.keys()) {
      send(solicitedNode(address), neighbourSolicitation(address, linkLayer));
    }
  }

  /**
   * Of several routers some may have gone. The kernel does not always find out: it does not ask whom it has nothing to
   * send to, and where a neighbour has only changed its address, it redirects what comes for the old one (RFC 4861 §8),
   * which makes the old one look alive. So all of them are asked.
   */
  private doubt(table: readonly KernelNeighbour[], now: number): void {
    const before = this.choice?.neighbour;
    const routers = table.filter(({ address, router, state }) => (router || address === before) && state !== 'failed');
    const several = new Set(routers.length > 1 ? routers.map(({ address }) => address) : []);
    for (const address of this.askedSince.keys()) if (!several.has(address)) this.askedSince.delete(address);
    for (const address of several) if (!this.askedSince.has(address)) this.askedSince.set(address, now);
  }

  private isSilent({ address, confirmedSeconds }: KernelNeighbour, now: number): boolean {
    const since = this.askedSince.get(address);
    return since !== undefined && now - since >= SILENT_SECONDS * 1000 && confirmedSeconds >= SILENT_SECONDS;
  }

  sighting(now: number): Sighting {
    const { name, link, local, choice } = this;
    const trouble = this.trouble(now);
    const more = trouble === undefined ? {} : { trouble };
    if (link === undefined || local === undefined) {
      return { reason: `${name} is not there, not up, or has no IPv6 link-local address`, ...more };
    }
    if (!this.speaks(now)) return { reason: `${local} on ${name} is not ready to be used yet`, ...more };
    if (choice !== undefined) return { found: { neighbour: choice.neighbour, local }, ...more };
    return {
      reason: `no router has been heard on ${name} yet: the peer must send IPv6 router advertisements`,
      ...more,
    };
  }

  /**
   * A new address cannot be used for a second or so, until nobody is found to have it already (RFC 4862 §5.4). Where
   * sending fails for longer, it fails for another reason.
   */
  private speaks(now: number): boolean {
    return this.sent > 0 || this.failsSince(now) !== undefined;
  }

  private failsSince(now: number): string | undefined {
    const { failing } = this;
    return failing !== undefined && now - failing.since >= SOONEST_MS ? failing.words : undefined;
  }

  private trouble(now: number): string | undefined {
    const { name, choice } = this;
    if (this.readTrouble !== undefined) return `the neighbours on ${name} cannot be read: ${this.readTrouble}`;
    const fails = this.failsSince(now);
    if (fails !== undefined) {
      return `router advertisements cannot be sent on ${name}, without which a peer like FRR does not find us: ${fails}`;
    }
    if (choice === undefined || choice.others.length === 0) return undefined;
    const others = choice.others.join(', ');
    return `there is more than one router on ${name}: the session is with ${choice.neighbour}, not with ${others}`;
  }

  private forget(): void {
    this.choice = undefined;
    this.known = new Set();
    this.failing = undefined;
    this.askedSince.clear();
    this.askedAt = -Infinity;
    this.sent = this.sentAt = this.waitMs = 0;
  }
}
