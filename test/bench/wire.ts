// Just enough BGP to load a daemon and to count what comes out of it. Written apart from bgp/, so that a benchmark (and
// a fault in it) owes nothing to what it measures.

const marker = Buffer.alloc(16, 0xff);

export function message(type: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(19);
  marker.copy(header);
  header.writeUInt16BE(19 + body.length, 16);
  header[18] = type;
  return Buffer.concat([header, body]);
}

export const keepalive = message(4, Buffer.alloc(0));

/** An OPEN with the capabilities IPv4 unicast and 4-octet AS. */
export function open(asn: number, holdSeconds: number, routerId: readonly number[]): Buffer {
  const capabilities = Buffer.from([2, 6, 1, 4, 0, 1, 0, 1, 2, 6, 65, 4, 0, 0, asn >> 8, asn & 255]);
  return message(
    1,
    Buffer.from([
      4,
      asn >> 8,
      asn & 255,
      holdSeconds >> 8,
      holdSeconds & 255,
      ...routerId,
      capabilities.length,
      ...capabilities,
    ]),
  );
}

export interface Load {
  readonly prefixes: number;
  /** Prefixes that share one set of attributes, and so one UPDATE. */
  readonly perSet: number;
}

/** /24s from 16.0.0.0 on. Each UPDATE has an AS path of its own. */
export function updates({ prefixes, perSet }: Load, asn: number, nextHop: readonly number[]): Buffer {
  const parts: Buffer[] = [];
  for (let first = 0, set = 0; first < prefixes; first += perSet, set++) {
    const path = [asn, 1 + (set % 60_000), 1 + ((set * 7) % 59_999)];
    const asPath = Buffer.alloc(2 + path.length * 4);
    asPath[0] = 2;
    asPath[1] = path.length;
    path.forEach((each, i) => asPath.writeUInt32BE(each, 2 + 4 * i));
    const attributes = Buffer.from([0x40, 1, 1, 0, 0x40, 2, asPath.length, ...asPath, 0x40, 3, 4, ...nextHop]);
    const count = Math.min(perSet, prefixes - first);
    const body = Buffer.alloc(4 + attributes.length + 4 * count);
    body.writeUInt16BE(attributes.length, 2);
    attributes.copy(body, 4);
    for (let i = 0, at = 4 + attributes.length; i < count; i++, at += 4) {
      const number = first + i;
      body[at] = 24;
      body[at + 1] = 16 + (number >> 16);
      body[at + 2] = (number >> 8) & 255;
      body[at + 3] = number & 255;
    }
    parts.push(message(2, body));
  }
  return Buffer.concat(parts);
}

/** Cuts a stream into messages and hands each on, type and body. */
export function reader(onMessage: (type: number, body: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (bytes.length >= 19 && bytes.length >= bytes.readUInt16BE(16)) {
      const length = bytes.readUInt16BE(16);
      onMessage(bytes[18]!, bytes.subarray(19, length));
      bytes = bytes.subarray(length);
    }
    rest = bytes;
  };
}

/** How many prefixes the UPDATE announces and withdraws (classic NLRI). */
export function countPrefixes(body: Buffer): { announced: number; withdrawn: number } {
  const withdrawnLength = body.readUInt16BE(0);
  const attributesLength = body.readUInt16BE(2 + withdrawnLength);
  return {
    withdrawn: countNlri(body, 2, 2 + withdrawnLength),
    announced: countNlri(body, 4 + withdrawnLength + attributesLength, body.length),
  };
}

function countNlri(body: Buffer, from: number, to: number): number {
  let count = 0;
  for (let at = from; at < to; at += 1 + ((body[at]! + 7) >> 3)) count++;
  return count;
}
