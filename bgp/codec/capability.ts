// Capabilities (RFC 5492): one row per capability with its code, and how its value is read and written.
import type { Capability } from '../message.ts';
import { Malformed, Reader, octets } from './reader.ts';
import { Writer } from './writer.ts';

type Name = Exclude<Capability['name'], 'unknown'>;
type Named<N extends Capability['name']> = Extract<Capability, { readonly name: N }>;

interface Row<N extends Name> {
  readonly code: number;
  decode(reader: Reader): Omit<Named<N>, 'name'>;
  encode(writer: Writer, capability: Named<N>): void;
}

const nothing = { decode: () => ({}), encode: () => {} };

const table: { readonly [N in Name]: Row<N> } = {
  // RFC 4760 §8; the octet between AFI and SAFI is reserved.
  multiprotocol: {
    code: 1,
    decode: (r) => ({ afi: r.u16(), safi: r.u16() & 255 }),
    encode: (w, { afi, safi }) => w.u16(afi).u16(safi),
  },
  // RFC 2918 §2
  routeRefresh: { code: 2, ...nothing },
  // RFC 8950 §4; SAFI takes two octets here.
  extendedNextHop: {
    code: 5,
    decode: (r) => ({ families: r.all(() => ({ afi: r.u16(), safi: r.u16(), nextHopAfi: r.u16() })) }),
    encode: (w, { families }) => {
      for (const { afi, safi, nextHopAfi } of families) w.u16(afi).u16(safi).u16(nextHopAfi);
    },
  },
  // RFC 8654 §3
  extendedMessage: { code: 6, ...nothing },
  // RFC 9234 §4.1
  role: { code: 9, decode: (r) => ({ role: r.u8() }), encode: (w, { role }) => w.u8(role) },
  // RFC 4724 §3, RFC 8538 §2: R, N, two bits unused, twelve bits of seconds; then F in front of each family's flags.
  gracefulRestart: {
    code: 64,
    decode: (r) => {
      const head = r.u16();
      const families = r.all(() => ({ afi: r.u16(), safi: r.u8(), forwarding: (r.u8() & 0x80) !== 0 }));
      const [restarting, notification] = [(head & 0x8000) !== 0, (head & 0x4000) !== 0];
      return { restarting, notification, restartSeconds: head & 0x0fff, families };
    },
    encode: (w, { restarting, notification, restartSeconds, families }) => {
      w.u16((restarting ? 0x8000 : 0) | (notification ? 0x4000 : 0) | Math.min(restartSeconds, 0x0fff));
      for (const { afi, safi, forwarding } of families)
        w.u16(afi)
          .u8(safi)
          .u8(forwarding ? 0x80 : 0);
    },
  },
  // RFC 6793 §3
  fourOctetAs: { code: 65, decode: (r) => ({ asn: r.u32() }), encode: (w, { asn }) => w.u32(asn) },
  // RFC 7911 §4: 1 receive, 2 send, 3 both; a family with any other value is treated as not understood.
  addPath: {
    code: 69,
    decode: (r) => {
      const all = r.all(() => ({ afi: r.u16(), safi: r.u8(), directions: r.u8() }));
      const families = all
        .filter(({ directions }) => directions >= 1 && directions <= 3)
        .map(({ afi, safi, directions: d }) => ({ afi, safi, receive: (d & 1) !== 0, send: (d & 2) !== 0 }));
      return { families };
    },
    encode: (w, { families }) => {
      for (const { afi, safi, receive, send } of families) {
        // Neither has no number: such a family is left out.
        if (receive || send)
          w.u16(afi)
            .u8(safi)
            .u8((receive ? 1 : 0) | (send ? 2 : 0));
      }
    },
  },
  // RFC 7313 §3.1
  enhancedRouteRefresh: { code: 70, ...nothing },
  // RFC 9494 §3.1
  longLivedGracefulRestart: {
    code: 71,
    decode: (r) => ({
      families: r.all(() => ({
        afi: r.u16(),
        safi: r.u8(),
        forwarding: (r.u8() & 0x80) !== 0,
        staleSeconds: r.u24(),
      })),
    }),
    encode: (w, { families }) => {
      for (const { afi, safi, forwarding, staleSeconds } of families) {
        w.u16(afi)
          .u8(safi)
          .u8(forwarding ? 0x80 : 0)
          .u24(Math.min(staleSeconds, 0xff_ffff));
      }
    },
  },
  // draft-walton-bgp-hostname-capability: two texts, each behind its length.
  fqdn: {
    code: 73,
    decode: (r) => ({ host: text(r.take(r.u8())), domain: text(r.take(r.u8())) }),
    encode: (w, { host, domain }) => {
      for (const name of [host, domain]) {
        const bytes = new TextEncoder().encode(name).subarray(0, 64);
        w.u8(bytes.length).bytes(bytes);
      }
    },
  },
};

const namesByCode: ReadonlyMap<number, Name> = new Map(
  Object.entries(table).map(([name, row]) => [row.code, name as Name]),
);

/**
 * Reads one capability: code, length, value (RFC 5492 §4). Codes that we do not know keep their bytes.
 * @throws Malformed when the value is cut off, or is not what its code asks for.
 */
export function decodeCapability(reader: Reader): Capability {
  const code = reader.u8();
  const value = reader.take(reader.u8());
  const name = namesByCode.get(code);
  const unknown = (): Capability => ({ name: 'unknown', code, value: value.slice() });
  if (name === undefined) return unknown();
  try {
    return decodeValue(name, value);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    // A name that cannot be read is no reason to stay apart: nothing in the protocol rests on it.
    if (name === 'fqdn') return unknown();
    throw new Malformed(`capability ${code} (${name}) with ${octets(value.length)}: ${error.message}`);
  }
}

function decodeValue(name: Name, value: Uint8Array): Capability {
  const reader = new Reader(value);
  const capability = { name, ...table[name].decode(reader) } as Capability;
  reader.end();
  return capability;
}

/**
 * Code, length and value of one capability, as they stand in an OPEN and in the data of a NOTIFICATION 2/7.
 * @throws RangeError when a number does not fit its field.
 */
export function encodeCapability(capability: Capability): Uint8Array {
  const value = encodeValue(capability);
  return new Writer().u8(codeOfCapability(capability)).u8(value.length).bytes(value).finish();
}

export function codeOfCapability(capability: Capability): number {
  return capability.name === 'unknown' ? capability.code : table[capability.name].code;
}

function encodeValue(capability: Capability): Uint8Array {
  if (capability.name === 'unknown') return capability.value;
  const writer = new Writer();
  // The row of this name takes this capability; TypeScript cannot follow the pairing through the table.
  const row = table[capability.name] as Row<Name>;
  row.encode(writer, capability);
  return writer.finish();
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
