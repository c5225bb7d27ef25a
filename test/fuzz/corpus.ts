// Well-formed messages to start from, written as bytes: every message type, every attribute and capability that we know,
// both families, with and without path identifiers.

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/\s+/g, ''), 'hex'));

/** One attribute of a block: flags, code and value; the length is put in between. */
export interface Attribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
}

const attribute = (flags: number, code: number, value: string): Attribute => ({ flags, code, value: hex(value) });

/** RFC 4271, 1997, 4360, 4456, 6793, 8092, 9234, and one that nobody knows. */
export const attributes: readonly Attribute[] = [
  attribute(0x40, 1, '00'), // ORIGIN IGP
  attribute(0x40, 2, '02 03 0000fde9 fa56ea01 0000fdea 01 02 00000064 00000065'), // AS_PATH, sequence and set
  attribute(0x40, 3, '0a000001'), // NEXT_HOP
  attribute(0x80, 4, '0000004d'), // MULTI_EXIT_DISC
  attribute(0x40, 5, '00000064'), // LOCAL_PREF
  attribute(0x40, 6, ''), // ATOMIC_AGGREGATE
  attribute(0xc0, 7, '0000fde9 0a000002'), // AGGREGATOR
  attribute(0xc0, 8, 'fde90078 ffffff01 ffff0000'), // COMMUNITIES
  attribute(0x80, 9, '0a000003'), // ORIGINATOR_ID
  attribute(0x80, 10, '0a000004 0a000005'), // CLUSTER_LIST
  attribute(0xc0, 16, '0002fde900000064 43000000000000c8'), // EXTENDED COMMUNITIES
  attribute(0xc0, 17, '02 02 0000fde9 fa56ea01'), // AS4_PATH
  attribute(0xc0, 18, 'fa56ea01 0a000006'), // AS4_AGGREGATOR
  attribute(0xc0, 25, '0002 20010db8000000000000000000000001 0064'), // IPv6 EXTENDED COMMUNITIES
  attribute(0xc0, 32, 'fa56ea01 00000001 00000002'), // LARGE COMMUNITY
  attribute(0xc0, 35, '0000fde9'), // ONLY_TO_CUSTOMER
  attribute(0xd0, 99, '0102030405'), // unknown, optional transitive, extended length
];

export const nlri4 = hex('18c00002 10ac10 00 20c6336401 19c6336480');
const nlri4WithIds = hex('00000001 18c00002 00000002 20c6336401');
const nlri6 = hex('30 20010db80001 80 20010db8000000000000000000000002 00');
const reach6 = attribute(
  0x90,
  14,
  `0002 01 10 20010db8000000000000000000000001 00 ${Buffer.from(nlri6).toString('hex')}`,
);
const reach6Both = attribute(
  0x80,
  14,
  '0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 30 20010db80003',
);
const unreach6 = attribute(0x80, 15, '0002 01 30 20010db80009');
const reach4Over6 = attribute(0x80, 14, '0001 01 10 20010db8000000000000000000000001 00 18c00002');

/** A block of attributes in wire form. */
export function block(all: readonly Attribute[]): Uint8Array {
  return new Uint8Array(
    Buffer.concat(
      all.map(({ flags, code, value }) => {
        const length = (flags & 0x10) === 0 ? [value.length] : [value.length >> 8, value.length & 255];
        return Buffer.concat([Buffer.from([flags, code, ...length]), value]);
      }),
    ),
  );
}

/** The body of an UPDATE. */
export function update(withdrawn: Uint8Array, attributeBlock: Uint8Array, announced: Uint8Array): Uint8Array {
  const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
  return new Uint8Array(
    Buffer.concat([u16(withdrawn.length), withdrawn, u16(attributeBlock.length), attributeBlock, announced]),
  );
}

const none = new Uint8Array(0);
const mandatory = attributes.filter(({ code }) => [1, 2, 3].includes(code));
const without3 = attributes.filter(({ code }) => code !== 3);

/** Message type number → bodies. */
export const bodies: Readonly<Record<number, readonly Uint8Array[]>> = {
  1: [
    hex('04 fde9 005a 0a000001 00'),
    hex('04 5ba0 005a 0a000001 20 02 1e 0104 00010001 0200 0600 4104 fa56ea01 4006 c078 0001 01 80 4504 00010103'),
    hex('04 fde9 005a 0a000001 ff ff 0015 02 0012 0104 00020001 0506 0001 0001 0002 0901 03 4600'),
    hex('04 fde9 005a 0a000001 1f 02 06 0104 00010001 02 15 4707 000101 80 00012c 490a 04 6e6f6465 04 72616363'),
  ],
  2: [
    update(none, none, none),
    update(none, block([attribute(0x80, 15, '0002 01')]), none),
    update(nlri4, none, none),
    update(none, block(mandatory), nlri4),
    update(none, block(mandatory), nlri4WithIds),
    update(nlri4, block(attributes), nlri4),
    update(none, block([reach6, ...without3]), none),
    update(none, block([...without3, reach6Both]), none),
    update(none, block([unreach6]), none),
    update(nlri4, block([reach4Over6, ...mandatory, unreach6]), nlri4),
  ],
  3: [
    hex('06 02 0b 72657374617274696e67'),
    hex('04 00'),
    hex('02 02'),
    hex('06 01 0001 01 00000064'),
    hex('06 09 06 04'),
  ],
  4: [none],
  5: [hex('0001 00 01'), hex('0002 01 01'), hex('0001 02 01')],
};
