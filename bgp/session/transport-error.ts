// What goes wrong with TCP, for the operator: who must act, and how.
import { getSystemErrorMessage } from 'node:util';

export type TransportCode =
  | 'refused'
  | 'timeout'
  | 'unreachable'
  | 'reset'
  | 'localAddress'
  | 'addressInUse'
  | 'permission'
  | 'unsupported'
  | 'aborted'
  | 'other';

export class TransportError extends Error {
  override readonly name = 'TransportError';
  readonly code: TransportCode;

  constructor(code: TransportCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

type Row = readonly [TransportCode, (place: string, local: string) => string];

const dialling: Readonly<Record<string, Row>> = {
  ECONNREFUSED: ['refused', (place) => `connection refused (nothing listens on ${place})`],
  ETIMEDOUT: ['timeout', (place) => `connection timed out (no answer from ${place})`],
  EHOSTUNREACH: ['unreachable', (place) => `no route to host (${place} does not answer on its network)`],
  ENETUNREACH: ['unreachable', (place) => `network unreachable (this host has no route to ${place})`],
  ECONNRESET: ['reset', (place) => `connection reset by ${place}`],
  EADDRNOTAVAIL: ['localAddress', (_, local) => `${local} is no address of this host`],
  EADDRINUSE: ['addressInUse', (_, local) => `${local} has no free port left`],
  EACCES: ['permission', (place) => `not allowed to connect to ${place}`],
  EPERM: ['permission', (place) => `not allowed to connect to ${place}: a rule of this host's firewall forbids it`],
};

const lowPorts = 'ports below 1024 need root or CAP_NET_BIND_SERVICE';
const listening: Readonly<Record<string, Row>> = {
  EADDRINUSE: ['addressInUse', (place) => `${place} is in use: another BGP daemon listens on this host`],
  EADDRNOTAVAIL: ['localAddress', (place) => `cannot listen on ${place}: no address of this host`],
  EACCES: ['permission', (place) => `not allowed to listen on ${place}: ${lowPorts}`],
  EPERM: ['permission', (place) => `not allowed to listen on ${place}: ${lowPorts}`],
};

const closing: Readonly<Record<string, string>> = {
  ECONNRESET: 'connection reset by the peer',
  EPIPE: 'connection reset by the peer',
  ETIMEDOUT: 'connection timed out (the peer acknowledges nothing)',
  EHOSTUNREACH: 'connection lost (no route to the peer any more)',
  ENETUNREACH: 'connection lost (no route to the peer any more)',
};

/** Why dialling failed. `place` is where to, as "10.0.0.1:179"; `local` the address that was to be used. */
export function dialError(cause: unknown, place: string, local: string | undefined): TransportError {
  const row = dialling[errnoOf(cause)];
  if (row === undefined)
    return new TransportError('other', `connecting to ${place} failed: ${messageOf(cause)}`, cause);
  return new TransportError(row[0], row[1](place, local ?? 'the local address'), cause);
}

/** Why listening failed. */
export function listenError(cause: unknown, place: string): TransportError {
  const row = listening[errnoOf(cause)];
  if (row === undefined) return new TransportError('other', `cannot listen on ${place}: ${messageOf(cause)}`, cause);
  return new TransportError(row[0], row[1](place, place), cause);
}

/** Why a connection that stood is gone. */
export function closingInWords(cause: unknown): string {
  return closing[errnoOf(cause)] ?? `connection lost: ${messageOf(cause)}`;
}

/** An error of setsockopt or another call of ours, from its errno. */
export function systemError(what: string, errno: number): TransportError {
  const code = errno === 1 || errno === 13 ? 'permission' : 'other';
  return new TransportError(code, `${what}: ${getSystemErrorMessage(-errno)}`);
}

/** "ECONNREFUSED"; empty for what is no system error. */
function errnoOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
