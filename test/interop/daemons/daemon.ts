// Another BGP daemon as the interop tests see it: one session with us, some routes, and questions.

import type { Host } from '../../lab/host.ts';
import type { ToolName } from '../../lab/tools.ts';

/** The one session between the daemon and us, as the daemon must be configured for it. */
export interface SessionSetting {
  readonly family: 4 | 6;
  readonly localAddress: string;
  readonly peerAddress: string;
  readonly localAsn: number;
  readonly peerAsn: number;
  readonly routerId: string;
  /** The daemon only listens. */
  readonly passive: boolean;
  readonly holdSeconds: number;
  /** Prefixes of the session's family that the daemon announces. */
  readonly announce: readonly string[];
  readonly password?: string;
  readonly ttlSecurity?: boolean;
  readonly gracefulRestart?: boolean;
  /** Beside gracefulRestart: its routes may be kept for an hour, and go stale after a second (RFC 9494). */
  readonly longLived?: boolean;
  readonly extendedMessage?: boolean;
  /** Its routes carry GRACEFUL_SHUTDOWN (RFC 8326). */
  readonly gracefulShutdown?: boolean;
  readonly addPath?: boolean;
  /** IPv4 routes with IPv6 next hops over an IPv6 session (RFC 8950). */
  readonly extendedNextHop?: boolean;
  /** The daemon reflects routes between iBGP clients, we are one. */
  readonly reflectorClient?: boolean;
  readonly role?: 'provider' | 'customer' | 'peer';
}

export type Feature =
  | 'password'
  /** It keeps the routes of a peer that restarts. */
  | 'restartHelper'
  | 'ttlSecurity'
  | 'internalTtlSecurity'
  | 'gracefulRestart'
  | 'longLived'
  /** It sends again what we ask for (RFC 2918). */
  | 'refresh'
  | 'extendedMessage'
  | 'addPath'
  | 'extendedNextHop'
  | 'reflectorClient'
  | 'role';

export interface Daemon {
  readonly name: string;
  readonly tools: readonly ToolName[];
  readonly supports: ReadonlySet<Feature>;
  version(): Promise<string>;
  /** Starts it in the host with a folder for its files. Resolves when it answers questions. */
  start(host: Host, folder: string, setting: SessionSetting): Promise<RunningDaemon>;
}

export interface RunningDaemon {
  established(): Promise<boolean>;
  /** What it learned from us: prefix → a text that names next hop, AS path and communities, in the daemon's own words. */
  learned(): Promise<ReadonlyMap<string, string>>;
  /** Ends it as an operator would (or kills it). */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** For a failed test. */
  log(): string;
}

/** Collects what a daemon prints. */
export function collect(stream: NodeJS.ReadableStream | null, into: string[]): void {
  stream?.setEncoding('utf8').on('data', (text: string) => into.push(text));
}
