// Sending ICMPv6, which Node has no sockets for: socket(2) and sendto(2) through node:ffi.
//
// A socket lives for one message. Nothing is received on it: what others send, the kernel hears for us (table.ts).
import type * as NodeFfi from 'node:ffi';
import { endianness } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { type Address, addressToBytes } from '#ip';
import { FibError } from '../error.ts';
import { HOP_LIMIT } from './message.ts';

/** A link of this host to send on. */
export interface From {
  /** Its number in the kernel. */
  readonly index: number;
  /** The link-local address to send from. */
  readonly address: Address;
}

/** Sends one ICMPv6 message to a multicast address of the link. @throws FibError (icmp6) */
export type SendIcmp6 = (from: From, to: Address, message: Uint8Array) => void;

// <linux/socket.h>, <linux/in6.h>, <asm-generic/fcntl.h>: the same on every architecture that Node has.
const AF_INET6 = 10;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_IPV6 = 41;
const IPPROTO_ICMPV6 = 58;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const ICMPV6_FILTER = 1;
/** struct sockaddr_in6: family, port, flow label, address, scope. */
const sockaddr = { address: 8, scope: 24, size: 28 } as const;
const EPERM = 1;

/** Makes the sender at its first message. Where node:ffi is missing, every message fails and says so. */
export function icmp6Sender(): SendIcmp6 {
  let calls: Calls | undefined;
  return (from, to, message) => send((calls ??= loadCalls()), from, to, message);
}

/** The system calls, as they are: -1 is a failure, and errno() says which. */
interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, length: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  sendto(fd: number, bytes: Uint8Array, length: bigint, flags: number, to: Uint8Array, toLength: number): bigint;
  close(fd: number): number;
  errno(): number;
}

function loadCalls(): Calls {
  const ffi = process.getBuiltinModule('node:ffi') as typeof NodeFfi | undefined;
  if (ffi === undefined) {
    throw new FibError(
      'icmp6',
      'this Node cannot open ICMPv6 sockets (node:ffi is missing or disabled): run the version that package.json pins',
    );
  }
  const { functions } = ffi.dlopen(null, {
    socket: { return: 'i32', arguments: ['i32', 'i32', 'i32'] },
    setsockopt: { return: 'i32', arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'] },
    bind: { return: 'i32', arguments: ['i32', 'pointer', 'u32'] },
    sendto: { return: 'i64', arguments: ['i32', 'pointer', 'u64', 'i32', 'pointer', 'u32'] },
    close: { return: 'i32', arguments: ['i32'] },
    __errno_location: { return: 'pointer', arguments: [] },
  });
  return { ...functions, errno: () => ffi.getInt32(functions.__errno_location()) };
}

function send(calls: Calls, from: From, to: Address, message: Uint8Array): void {
  const fd = calls.socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd < 0) throw openError(calls.errno());
  const must = (what: string, result: number | bigint): void => {
    if (result < 0) throw new FibError('icmp6', `${what}: ${getSystemErrorMessage(-calls.errno())}`);
  };
  const set = (level: number, option: number, value: Uint8Array): void =>
    must('cannot set up an ICMPv6 socket', calls.setsockopt(fd, level, option, value, value.length));
  try {
    set(IPPROTO_ICMPV6, ICMPV6_FILTER, new Uint8Array(32).fill(0xff)); // a set bit blocks a type (RFC 3542 §3.2)
    set(IPPROTO_IPV6, IPV6_MULTICAST_IF, int(from.index));
    set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, int(HOP_LIMIT));
    set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int(0));
    must(`cannot send from ${from.address}`, calls.bind(fd, socketAddress(from.address, from.index), sockaddr.size));
    const target = socketAddress(to, from.index);
    must(`cannot send to ${to}`, calls.sendto(fd, message, BigInt(message.length), 0, target, sockaddr.size));
  } finally {
    calls.close(fd);
  }
}

function openError(errno: number): FibError {
  if (errno === EPERM) return new FibError('icmp6', 'not allowed to open an ICMPv6 socket: give manxd CAP_NET_RAW');
  return new FibError('icmp6', `cannot open an ICMPv6 socket: ${getSystemErrorMessage(-errno)}`);
}

function socketAddress(address: Address, scope: number): Uint8Array {
  const bytes = new Uint8Array(sockaddr.size);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, littleEndian());
  bytes.set(addressToBytes(address), sockaddr.address);
  view.setUint32(sockaddr.scope, scope, littleEndian());
  return bytes;
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, littleEndian());
  return bytes;
}

function littleEndian(): boolean {
  return endianness() === 'LE';
}
