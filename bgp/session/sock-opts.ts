// Socket options that Node does not offer: TCP MD5 keys (RFC 2385), hop limits (RFC 5082), binding to an interface.
//
// The only place with a foreign function call: setsockopt(2) through node:ffi. Where that is missing (another Node,
// or one that was told not to), there are no socket options, and whoever needs one must do without the session.
import type * as NodeFfi from 'node:ffi';
import { endianness } from 'node:os';
import {
  type Address,
  type Family,
  type Prefix,
  addressOf,
  addressToBytes,
  familyOf,
  familyOfPrefix,
  lengthOf,
} from '#ip';
import { systemError } from './transport-error.ts';

export interface SockOpts {
  /** Sets the key for a neighbour or for all of a prefix, or removes it. @throws TransportError */
  setPassword(fd: number, peer: Address | Prefix, password: string | undefined): void;
  /** What outgoing packets start with: 1–255, or -1 for the host's default. @throws TransportError */
  setHopLimit(fd: number, family: Family, hops: number): void;
  /** Incoming packets with less are dropped, 0–255; 0: none is. @throws TransportError */
  setMinimumHopLimit(fd: number, family: Family, hops: number): void;
  /** @throws TransportError */
  bindToInterface(fd: number, name: string): void;
}

/** The kernel takes keys of so many octets (TCP_MD5SIG_MAXKEYLEN). */
export const passwordOctetsMax = 80;

// <linux/in.h>, <linux/in6.h>, <linux/tcp.h>, <asm-generic/socket.h>: the same on every architecture that Node has.
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const IPPROTO_TCP = 6;
const TCP_MD5SIG = 14;
const TCP_MD5SIG_EXT = 32;
/** IP_TTL and IP_MINTTL; IPV6_UNICAST_HOPS and IPV6_MINHOPCOUNT. */
const hopOptions: Readonly<Record<Family, { level: number; send: number; minimum: number }>> = {
  4: { level: 0, send: 2, minimum: 21 },
  6: { level: 41, send: 16, minimum: 73 },
};
/** AF_INET, AF_INET6. */
const addressFamilies: Readonly<Record<Family, number>> = { 4: 2, 6: 10 };
/** struct tcp_md5sig: sockaddr_storage, flags, prefixlen, keylen, ifindex, key. */
const md5 = { flags: 128, prefixLength: 129, keyLength: 130, key: 136, size: 216, prefixFlag: 1 } as const;
const ENOENT = 2;

/** The options by way of this process's own libc, or undefined where node:ffi is missing. */
export function loadSockOpts(): SockOpts | undefined {
  const ffi = process.getBuiltinModule('node:ffi') as typeof NodeFfi | undefined;
  if (ffi === undefined) return undefined;
  const { functions } = ffi.dlopen(null, {
    setsockopt: { return: 'i32', arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'] },
    __errno_location: { return: 'pointer', arguments: [] },
  });
  /** Returns errno, 0 for success. */
  const set = (fd: number, level: number, option: number, value: Uint8Array): number =>
    functions.setsockopt(fd, level, option, value, value.length) === 0 ? 0 : ffi.getInt32(functions.__errno_location());
  return sockOptsOver(set);
}

function sockOptsOver(set: (fd: number, level: number, option: number, value: Uint8Array) => number): SockOpts {
  const mustSet = (what: string, ...call: Parameters<typeof set>): void => {
    const errno = set(...call);
    if (errno !== 0) throw systemError(what, errno);
  };
  return {
    setPassword: (fd, peer, password) => {
      const option = isPrefix(peer) ? TCP_MD5SIG_EXT : TCP_MD5SIG;
      const errno = set(fd, IPPROTO_TCP, option, md5Key(peer, password ?? ''));
      // To remove a key that is not there is to have it removed.
      if (errno === 0 || (errno === ENOENT && password === undefined)) return;
      throw systemError(`the kernel does not take the TCP MD5 key for ${peer}`, errno);
    },
    setHopLimit: (fd, family, hops) => {
      const { level, send } = hopOptions[family];
      mustSet(`cannot send with hop limit ${hops}`, fd, level, send, int(hops));
    },
    setMinimumHopLimit: (fd, family, hops) => {
      const { level, minimum } = hopOptions[family];
      mustSet(`cannot refuse packets with a hop limit below ${hops}`, fd, level, minimum, int(hops));
    },
    bindToInterface: (fd, name) => {
      const value = new TextEncoder().encode(`${name}\0`);
      mustSet(`cannot bind to interface ${name}`, fd, SOL_SOCKET, SO_BINDTODEVICE, value);
    },
  };
}

function md5Key(peer: Address | Prefix, password: string): Uint8Array {
  const bytes = new Uint8Array(md5.size);
  const view = new DataView(bytes.buffer);
  const [address, family] = isPrefix(peer) ? [addressOf(peer), familyOfPrefix(peer)] : [peer, familyOf(peer)];
  view.setUint16(0, addressFamilies[family], littleEndian());
  // sockaddr_in has the address behind family and port, sockaddr_in6 behind its flow label too.
  bytes.set(addressToBytes(address), family === 4 ? 4 : 8);
  if (isPrefix(peer)) {
    bytes[md5.flags] = md5.prefixFlag;
    bytes[md5.prefixLength] = lengthOf(peer);
  }
  const key = new TextEncoder().encode(password);
  view.setUint16(md5.keyLength, key.length, littleEndian());
  bytes.set(key.subarray(0, passwordOctetsMax), md5.key);
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

function isPrefix(peer: Address | Prefix): peer is Prefix {
  return peer.includes('/');
}
