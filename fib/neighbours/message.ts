// Router advertisement, router and neighbour solicitation (RFC 4861 §4.1, §4.2, §4.3) as bytes. Pure.
//
// The checksum is left zero: it covers the addresses of the IPv6 header too, and the kernel fills it in for ICMPv6
// sockets (RFC 3542 §3.1).
import { type Address, addressFromBytes, addressToBytes, parseAddress } from '#ip';

/** ff02::1 and ff02::2 (RFC 4291 §2.7.1). */
export const allNodes: Address = parseAddress('ff02::1');
export const allRouters: Address = parseAddress('ff02::2');

/** Every message of neighbour discovery is sent with this, and dropped with less: it comes from the link itself. */
export const HOP_LIMIT = 255;

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const SOURCE_LINK_LAYER_ADDRESS = 1;

/**
 * "I am a router on this link", and nothing else: a lifetime of 0, so that nobody takes us for a default router, no
 * prefix, and every other field unspecified.
 * @param linkLayer ours, as "02:00:5e:10:00:01"; left out where the link has none of 48 bits
 */
export function routerAdvertisement(linkLayer: string | undefined): Uint8Array {
  return Uint8Array.of(ROUTER_ADVERTISEMENT, ...zeros(15), ...sourceLinkLayerAddress(linkLayer));
}

/** "Are there routers on this link?" */
export function routerSolicitation(linkLayer: string | undefined): Uint8Array {
  return Uint8Array.of(ROUTER_SOLICITATION, ...zeros(7), ...sourceLinkLayerAddress(linkLayer));
}

/** "Is somebody there who has this address?" To be sent to {@link solicitedNode}. */
export function neighbourSolicitation(target: Address, linkLayer: string | undefined): Uint8Array {
  return Uint8Array.of(
    NEIGHBOUR_SOLICITATION,
    ...zeros(7),
    ...addressToBytes(target),
    ...sourceLinkLayerAddress(linkLayer),
  );
}

/** The multicast address that whoever has this address listens to (RFC 4291 §2.7.1). */
export function solicitedNode(address: Address): Address {
  return addressFromBytes(Uint8Array.of(0xff, 0x02, ...zeros(9), 1, 0xff, ...addressToBytes(address).subarray(13)));
}

/** RFC 4861 §4.6.1. Its length counts units of eight octets: one for an address of 48 bits. */
function sourceLinkLayerAddress(linkLayer: string | undefined): readonly number[] {
  const octets = linkLayer?.split(':').map((hex) => Number.parseInt(hex, 16)) ?? [];
  if (octets.length !== 6 || octets.every((octet) => octet === 0)) return [];
  return [SOURCE_LINK_LAYER_ADDRESS, 1, ...octets];
}

function zeros(count: number): readonly number[] {
  return Array<number>(count).fill(0);
}
