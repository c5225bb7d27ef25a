// The seam between one session and the speaker that owns it: session/ knows no RIB, rib/ knows no socket.
import type { Duplex } from 'node:stream';
import type { Address } from '#ip';
import type { AddressFamily, Capability, RouteRefresh, Terms } from '../message.ts';

/** Who we are, as far as every session needs to know. */
export interface Speaker {
  readonly asn: number;
  readonly routerId: Address;
}

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
  /** Something in status() has changed: the state, or an error. Not called for counters and timers. */
  changed?(): void;
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
  /** The interface that a link-local neighbour is on. */
  readonly interface?: string;
  /** Whether the kernel accepts only signed segments on it (RFC 2385), and its hop limit (RFC 5082). */
  readonly protection?: Protection;
  /**
   * Changes keys and hop limit of the connection as it stands.
   * @throws TransportError when the kernel refuses.
   */
  protect?(protection: Protection): void;
  /** Closes at once without a word (TCP FIN or RST, no NOTIFICATION). */
  destroy(): void;
}

/** Opening connections. Errors are for the operator: "connection refused (nothing listens on …)". */
export interface Dialer {
  dial(to: DialTarget, signal: AbortSignal): Promise<Connection>;
  /**
   * What this target needs and this machine cannot give (a password without socket options), in words. Such a
   * neighbour gets no session at all, not even one that it opens itself.
   */
  lacks?(to: DialTarget): string | undefined;
}

/** How a connection is guarded by the kernel. */
export interface Protection {
  readonly password?: string;
  readonly ttlSecurityHops?: number;
}

export interface DialTarget extends Protection {
  readonly address: Address;
  readonly port: number;
  readonly interface?: string;
  readonly localAddress?: Address;
}

/** Time, for timers that tests can turn by hand. Milliseconds. */
export interface Clock {
  /** Since the epoch as of the start, and from there on never set back or forward: what durations are measured by. */
  now(): number;
  /** Since the epoch as the host's clock says now, for what a human reads; where it is missing, now() is that too. */
  wall?(): number;
  /** Calls back once after `ms`; returns the cancel. Must not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
  /** 0 ≤ x < 1, for jitter. */
  random(): number;
}

export type { Capability, Terms };
