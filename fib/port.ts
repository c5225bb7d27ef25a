// The ports of fib/: what it asks of the outside. The real ones are `ip` children (ip.ts, dump.ts, monitor.ts).
import type { Address, InterfaceAddress, Prefix } from '#ip';

/** Runs lines as `ip -batch` does, in order. One answer per line. */
export interface Batch {
  /** @throws FibError when there is no `ip` to run them; some of the lines may then have been carried out. */
  run(lines: readonly string[]): Promise<readonly LineResult[]>;
}

/** ok, or the kernel's (or `ip`'s own) words for why not. */
export type LineResult = { readonly ok: true } | { readonly ok: false; readonly error: string };

/** Reads the kernel. */
export interface Dump {
  /**
   * Every route of the main table, of both families, whoever made it. They come in pieces of some hundred, so that a big
   * table never holds the event loop. Not complete: the table changed under the kernel's hands, and a route that was
   * there all the time may be missing.
   * @throws FibError; pieces may have been visited before.
   */
  routes(visit: (routes: readonly KernelRoute[]) => void): Promise<{ readonly complete: boolean }>;
  /** Every interface with its addresses. @throws FibError */
  links(): Promise<readonly KernelLink[]>;
}

/** A route as the kernel shows it. */
export interface KernelRoute {
  readonly prefix: Prefix;
  /** Never 0 for IPv6. */
  readonly metric: number;
  /** rtm_protocol: who made it. */
  readonly protocol: number;
  /** other: unreachable, prohibit, throw, … */
  readonly kind: 'unicast' | 'blackhole' | 'other';
  /** In the kernel's order. */
  readonly nextHops: readonly KernelNextHop[];
  /** Set on a route for one type of service only; such a one neither collides with the others nor hides them. */
  readonly tos?: string;
  /** Set when it has something that a Route cannot say (an MTU, a source address, weights, onlink, …). */
  readonly odd?: true;
}

export interface KernelNextHop {
  readonly via?: Address;
  readonly dev?: string;
  /** Its link has no carrier or is down. */
  readonly down?: true;
}

export interface KernelLink {
  readonly name: string;
  /** Up, with carrier. */
  readonly up: boolean;
  readonly addresses: readonly InterfaceAddress[];
}

/** Why to look at the kernel. A hint may be missing or late; nothing depends on it but speed. */
export type Hint =
  | { readonly about: 'route'; readonly deleted: boolean; readonly route: KernelRoute }
  | { readonly about: 'link' | 'address' | 'anything' };

/** Time, for timers that tests can turn by hand. Milliseconds. */
export interface Clock {
  /** Since the epoch; may step. */
  now(): number;
  /** Since any moment; never steps. Without it, now() must not step either. */
  ticks?(): number;
  /** Calls back once after `ms`; returns the cancel. Must not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
}

/** Something for the log: a constant message, values as fields. */
export interface Note {
  readonly message: string;
  readonly [field: string]: unknown;
}
