// An address with or without a port, as in BGPPeer's peerIP: "10.0.0.1", "10.0.0.1:1179", "fd00::1", "[fd00::1]:1179".
import { type Address, IpError, familyOf, readAddress } from '#ip';

export interface PeerEndpoint {
  readonly address: Address;
  /** 1 to 65535; absent when the text names none. */
  readonly port?: number;
}

/** @throws IpError */
export function parseEndpoint(text: string): PeerEndpoint {
  const bare = readAddress(text);
  if (bare !== undefined) return { address: bare };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const address = readAddress(bracketed ?? plain ?? '');
  if (address === undefined || familyOf(address) !== (bracketed === undefined ? 4 : 6)) {
    throw new IpError(`${JSON.stringify(text)} is not an address${text.includes(']') ? ' with a port' : ''}`);
  }
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw new IpError(`${JSON.stringify(text)} has no port from 1 to 65535`);
  return { address, port };
}
