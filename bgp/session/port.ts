// The seam between one session and the speaker that owns it: session/ knows no RIB, rib/ knows no socket.
import type { Duplex } from 'node:stream';
import type { Address } from '#ip';
import type { AddressFamily, Capability, RouteRefresh, Terms } from '../message.ts';

/** What a session tells its owner. Calls are synchronous and in order. */
export interface SessionOwner {
  /** Both KEEPALIVEs are in. The owner announces through {@link SessionOutput} from now on. */
  established(terms: Terms): void;
  /**
   * The body of an UPDATE (behind the 19-octet header). The bytes are only valid during the call.
   * @throws NotificationError when the session must end (RFC 7606: only where nothing milder is allowed).
   */
  update(body: Uint8Array): void;
  routeRefresh(message: RouteRefresh): void;
  /** The session is gone. `retain`: the peer is restarting gracefully, its paths become stale (RFC 4724, 8538). */
  down(retain: boolean): void;
  /** The output has drained: send more. */
  drained(): void;
  /** Asked when an OPEN is built: does the forwarding state of this family live on from before our restart? */
  restartState(): { readonly restarting: boolean; readonly forwarding: readonly AddressFamily[] };
}

/** What the owner may do with an Established session. */
export interface SessionOutput {
  /** Queues one or more whole messages. Returns false when the peer reads too slowly: wait for drained(). */
  send(messages: Uint8Array): boolean;
}

/** A byte stream to a neighbour, however it came about; the test's memory transport and net.Socket both fit. */
export interface Connection {
  readonly stream: Duplex;
  readonly local: { readonly address: Address; readonly port: number };
  readonly remote: { readonly address: Address; readonly port: number };
  readonly openedBy: 'us' | 'peer';
  /** Closes at once without a word (TCP FIN or RST, no NOTIFICATION). */
  destroy(): void;
}

/** Opening connections. Errors are for the operator: "connection refused (nothing listens on …)". */
export interface Dialer {
  dial(to: DialTarget, signal: AbortSignal): Promise<Connection>;
}

export interface DialTarget {
  readonly address: Address;
  readonly port: number;
  readonly interface?: string;
  readonly localAddress?: Address;
  readonly password?: string;
  readonly ttlSecurityHops?: number;
}

/** Time, for timers that tests can turn by hand. Milliseconds. */
export interface Clock {
  now(): number;
  /** Calls back once after `ms`; returns the cancel. Must not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
  /** 0 ≤ x < 1, for jitter. */
  random(): number;
}

export type { Capability, Terms };
