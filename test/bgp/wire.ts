// Neighbours of a whole speaker that are written byte by byte: what goes in and what comes out is hex, so that nothing
// in bgp/codec stands on both sides of a comparison.
import { hex, message, toHex } from './codec/bytes.ts';
import { RawPeer } from '../support/raw-peer.ts';
import { Stage, ourAddress, peerWish, settle } from './stage.ts';

/** AS 65001 at 10.0.0.11, and AS 65002 at 10.0.0.12, which sees what becomes of the first one's routes. */
export const torA = peerWish('tor-a', '10.0.0.11', 65_001);
export const torB = peerWish('tor-b', '10.0.0.12', 65_002);
/** In our own AS. */
export const nodeA = peerWish('node-a', '10.0.0.21', 64_512);

/** Capabilities in hex: IPv4 unicast, IPv6 unicast, a four-octet AS number. */
export const ipv4Hex = '01 04 0001 00 01';
export const ipv6Hex = '01 04 0002 00 01';
export const as4Hex = (asn: number): string => `41 04 ${asn.toString(16).padStart(8, '0')}`;

export const keepaliveHex = message(4);

/** The body of an OPEN in hex: version 4, hold time 90 s; capabilities in one parameter. */
export function openBody(asn: number, routerId: string, ...capabilities: string[]): string {
  const value = hex(capabilities.join(' '));
  const length = (octets: number): string => octets.toString(16).padStart(2, '0');
  const parameters = value.length === 0 ? '00' : `${length(value.length + 2)} 02 ${length(value.length)}`;
  return `04 ${asn.toString(16).padStart(4, '0')} 005a ${routerId} ${parameters} ${toHex(value)}`;
}

export const openOfTorA = message(1, openBody(65_001, '0a00000b', ipv4Hex, as4Hex(65_001)));

/** A speaker with these peers in its wish. */
export async function speakerWith(...peers: (typeof torA)[]): Promise<Stage> {
  const stage = new Stage({ peers });
  await settle();
  return stage;
}

/** A neighbour connects and says these messages. */
export async function call(stage: Stage, address: string, ...messages: Uint8Array[]): Promise<RawPeer> {
  const raw = new RawPeer(await stage.network.connect(address, ourAddress));
  for (const each of messages) raw.write(each);
  await settle();
  return raw;
}

/** tor-a up, and then these messages. */
export async function upAndSays(stage: Stage, ...messages: Uint8Array[]): Promise<RawPeer> {
  return call(stage, torA.address, openOfTorA, keepaliveHex, ...messages);
}

/** The NOTIFICATION that we sent as it stands on the wire, "01 02 00 12"; undefined when there was none. */
export function lastWords(raw: RawPeer): string | undefined {
  const notifications = raw.heard.filter(({ type }) => type === 'notification');
  if (notifications.length > 1) throw new Error('more than one NOTIFICATION');
  const [last] = notifications;
  return last && toHex(last.body);
}

/** Bodies of the UPDATEs that we sent, in hex, End-of-RIB left out. */
export function updatesTo(raw: RawPeer): string[] {
  const bodies = raw.heard.filter(({ type, body }) => type === 'update' && body.length > 4);
  return bodies.map(({ body }) => toHex(body));
}
