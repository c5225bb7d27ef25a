// What guards a connection in the kernel: TCP MD5 keys (RFC 2385) and hop limits (RFC 5082). Fails closed.
import { type Address, type Prefix, containsAddress, familyOf, hostPrefix, lengthOf, parsePrefixOrAddress } from '#ip';
import type { DialTarget, Protection } from './port.ts';
import { type SockOpts, loadSockOpts, passwordOctetsMax } from './sock-opts.ts';
import { TransportError } from './transport-error.ts';

/** Gives the socket options, loading them at the first call; undefined where this process has none. */
export type SockOptsSource = () => SockOpts | undefined;

export function lazily(load: SockOptsSource = loadSockOpts): SockOptsSource {
  let loaded: { readonly sockOpts: SockOpts | undefined } | undefined;
  return () => (loaded ??= { sockOpts: load() }).sockOpts;
}

const missing =
  'this Node cannot set socket options (node:ffi is missing or disabled): run the version that package.json pins';

/** @throws TransportError where there are none. */
export function demand(source: SockOptsSource): SockOpts {
  const sockOpts = source();
  if (sockOpts === undefined) throw new TransportError('unsupported', missing);
  return sockOpts;
}

/** What of a target cannot be had here, in words, so that there must not be a session at all. */
export function whatLacks(to: DialTarget, source: SockOptsSource): string | undefined {
  if (to.password === undefined && to.ttlSecurityHops === undefined) return undefined;
  const octets = new TextEncoder().encode(to.password ?? 'none').length;
  if (octets === 0) return 'the password is empty';
  if (octets > passwordOctetsMax) return `the password has ${octets} octets, TCP MD5 takes ${passwordOctetsMax}`;
  if (source() !== undefined) return undefined;
  return `${to.password === undefined ? 'TTL security' : 'the password'} cannot be had: ${missing}`;
}

/** RFC 5082 §3: senders start with 255, so whoever is `hops` away arrives with at least this. */
export function minimumHopLimit(hops: number): number {
  return Math.max(1, 256 - hops);
}

/** Guards a socket that is not connected yet. @throws TransportError */
export function guard(fd: number, peer: Address, protection: Protection, source: SockOptsSource): void {
  const { password, ttlSecurityHops } = protection;
  if (password !== undefined) demand(source).setPassword(fd, peer, password);
  if (ttlSecurityHops !== undefined) limitHops(fd, peer, ttlSecurityHops, demand(source));
}

/** Changes the guards of a socket that stands, from one protection to another. @throws TransportError */
export function reguard(fd: number, peer: Address, was: Protection, now: Protection, source: SockOptsSource): void {
  if (was.password !== now.password) demand(source).setPassword(fd, peer, now.password);
  if (was.ttlSecurityHops !== now.ttlSecurityHops) limitHops(fd, peer, now.ttlSecurityHops, demand(source));
}

function limitHops(fd: number, peer: Address, hops: number | undefined, sockOpts: SockOpts): void {
  const family = familyOf(peer);
  sockOpts.setHopLimit(fd, family, hops === undefined ? -1 : 255);
  sockOpts.setMinimumHopLimit(fd, family, hops === undefined ? 0 : minimumHopLimit(hops));
}

/** What a listener asks of each neighbour, by address or by the longest prefix that holds it. */
export class Guards {
  readonly #protections = new Map<Prefix, Protection>();

  change(peer: Address | Prefix, change: { [Field in keyof Protection]: Protection[Field] | undefined }): void {
    const prefix = parsePrefixOrAddress(peer);
    const now = Object.entries({ ...this.#protections.get(prefix), ...change }).filter(
      ([, value]) => value !== undefined,
    );
    if (now.length === 0) this.#protections.delete(prefix);
    else this.#protections.set(prefix, Object.fromEntries(now));
  }

  of(address: Address): Protection {
    const own = this.#protections.get(hostPrefix(address));
    if (own) return own;
    const holding = [...this.#protections].filter(([prefix]) => containsAddress(prefix, address));
    return holding.toSorted(([a], [b]) => lengthOf(b) - lengthOf(a))[0]?.[1] ?? {};
  }
}
