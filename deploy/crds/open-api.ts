// A description of a kind (src/resources/schema.ts) as the structural schema of a CustomResourceDefinition.
//
// The API server checks with it what it can: types, ranges, choices, and the texts by patterns or CEL. What it cannot
// (selectors, names of things elsewhere) our own parser says.
import type { Format } from '../../src/resources/formats.ts';
import type { Field, Fields, Schema } from '../../src/resources/schema.ts';

/** The part of JSON Schema that Kubernetes takes. */
export interface OpenApi {
  readonly description?: string;
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly format?: string;
  readonly nullable?: true;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, OpenApi>>;
  readonly additionalProperties?: OpenApi;
  readonly items?: OpenApi;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-list-type'?: 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

/** A rule in CEL, and what to say to whoever breaks it. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  /** The field to name, relative to where the rule stands. */
  readonly fieldPath?: string;
}

/** Rules for the object or text as a whole. */
export function withRules(schema: OpenApi, rules: readonly Rule[]): OpenApi {
  return rules.length === 0
    ? schema
    : { ...schema, 'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), ...rules] };
}

export function openApiOf(schema: Schema): OpenApi {
  switch (schema.type) {
    case 'text':
      return textSchema(schema);
    case 'choice':
      return { type: 'string', enum: schema.of };
    case 'integer':
      return integerSchema(schema);
    // The API server keeps integers in 64 bits with a sign: the highest bit is out of reach.
    case 'uint64':
      return { type: 'integer', format: 'int64', minimum: 0 };
    case 'asNumber':
      return { type: 'integer', format: 'int64', minimum: 1, maximum: 0xffff_ffff };
    case 'boolean':
      return { type: 'boolean' };
    case 'booleanText':
      return { type: 'string', enum: ['true', 'false'] };
    case 'portRange':
      return { 'x-kubernetes-int-or-string': true, pattern: '^[0-9]{1,5}(:[0-9]{1,5})?$' };
    case 'list':
      return listSchema(schema);
    case 'map':
      return { type: 'object', additionalProperties: openApiOf(schema.values) };
    case 'object':
      return objectSchema(schema);
    case 'nullable':
      return { ...openApiOf(schema.schema), nullable: true };
    case 'any':
      return { 'x-kubernetes-preserve-unknown-fields': true };
    default:
      return schema satisfies never;
  }
}

type Of<T extends Schema['type']> = Extract<Schema, { readonly type: T }>;

function textSchema({ format, maxBytes, empty }: Of<'text'>): OpenApi {
  const form = format === undefined ? {} : formats[format];
  const isBare = Object.keys(form).length === 0;
  return {
    type: 'string',
    ...(isBare && !empty && format === undefined && { minLength: 1 }),
    ...(maxBytes !== undefined && inBytes(maxBytes)),
    ...form,
  };
}

/** maxLength counts characters. */
function inBytes(max: number): OpenApi {
  return cel(max, `bytes(self).size() <= ${max}`, `must have at most ${max} bytes`);
}

function integerSchema({ min, max }: Of<'integer'>): OpenApi {
  const format = max > 0x7fff_ffff ? 'int64' : 'int32';
  return { type: 'integer', format, minimum: min, ...(max !== Number.MAX_SAFE_INTEGER && { maximum: max }) };
}

/** CEL is costed in advance, and what has no end costs too much. More than any list here will ever have. */
const ITEMS_MAX = 1000;

function listSchema({ items, min, max, unique, key }: Of<'list'>): OpenApi {
  const inner = openApiOf(items);
  const isScalar = inner.type !== 'object' && inner.type !== 'array';
  const limit = max ?? (hasRules(inner) ? ITEMS_MAX : undefined);
  return {
    type: 'array',
    items: inner,
    ...(min !== undefined && { minItems: min }),
    ...(limit !== undefined && { maxItems: limit }),
    ...(unique && isScalar && { 'x-kubernetes-list-type': 'set' }),
    ...(key !== undefined && { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] }),
  };
}

function hasRules(schema: OpenApi): boolean {
  return JSON.stringify(schema).includes('"x-kubernetes-validations"');
}

function objectSchema({ fields, open, exactlyOne }: Of<'object'>): OpenApi {
  const required = Object.entries(fields).flatMap(([name, field]) => (field.required ? [name] : []));
  return {
    type: 'object',
    properties: propertiesOf(fields),
    ...(required.length > 0 && { required }),
    ...(exactlyOne && { minProperties: 1, maxProperties: 1 }),
    ...(open && { 'x-kubernetes-preserve-unknown-fields': true }),
  };
}

function propertiesOf(fields: Fields): Record<string, OpenApi> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]: [string, Field]) => [
      name,
      { description: field.says, ...openApiOf(field.schema) },
    ]),
  );
}

const FAMILY = { 4: 'ip(self).family() == 4', 6: 'ip(self).family() == 6' } as const;
/** Go's "global unicast" is without loopback and link-local addresses, and all three are some host's. */
const ONE_HOST = '(ip(self).isGlobalUnicast() || ip(self).isLoopback() || ip(self).isLinkLocalUnicast())';
const BRACKETED = "self.indexOf(':') < self.indexOf(']')";
const PORT_TEXT = "self.substring(self.lastIndexOf(':') + 1)";
const PORT = `int(${PORT_TEXT}) >= 1 && int(${PORT_TEXT}) <= 65535`;
const NO_HOST_BITS = 'cidr(self).masked() == cidr(self)';
/** The longest spelling of an IPv6 address with a length behind it. */
const PREFIX_LENGTH_MAX = 49;
const ADDRESS_LENGTH_MAX = 45;

function cel(maxLength: number, rule: string, message: string): OpenApi {
  return { maxLength, 'x-kubernetes-validations': [{ rule, message }] };
}

function pattern(regex: string, maxLength?: number): OpenApi {
  return { pattern: regex, ...(maxLength !== undefined && { maxLength }) };
}

/** 0 to 65535 and 0 to 4294967295. Filters have communities in lists of lists, where CEL would be too dear. */
const U16 = '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const U32 =
  '([0-9]{1,9}|[1-3][0-9]{9}|4[01][0-9]{8}|42[0-8][0-9]{7}|429[0-3][0-9]{6}|4294[0-8][0-9]{5}|42949[0-5][0-9]{4}|' +
  '429496[0-6][0-9]{3}|4294967[01][0-9]{2}|42949672[0-8][0-9]|429496729[0-5])';

const nodeAddress = (family: 4 | 6): OpenApi =>
  cel(
    PREFIX_LENGTH_MAX,
    `(isCIDR(self) && cidr(self).ip().family() == ${family}) || (isIP(self) && ${FAMILY[family]})`,
    `must be an IPv${family} address with the length of its subnet`,
  );

const formats: { readonly [F in Format]: OpenApi } = {
  address: cel(ADDRESS_LENGTH_MAX, 'isIP(self)', 'is not an address'),
  addressV4: cel(ADDRESS_LENGTH_MAX, `isIP(self) && ${FAMILY[4]}`, 'is not an IPv4 address'),
  addressV6: cel(ADDRESS_LENGTH_MAX, `isIP(self) && ${FAMILY[6]}`, 'is not an IPv6 address'),
  peerAddress: cel(ADDRESS_LENGTH_MAX, `isIP(self) && ${ONE_HOST}`, 'is not the address of a host'),
  peerEndpoint: cel(
    ADDRESS_LENGTH_MAX + '[]:65535'.length,
    [
      `(isIP(self) && ${ONE_HOST})`,
      `(self.matches('^[0-9.]+:[0-9]{1,5}$') && isIP(self.split(':')[0]) && ${PORT})`,
      `(self.matches('^\\\\[[0-9A-Fa-f:.]+\\\\]:[0-9]{1,5}$') && isIP(self.substring(1, self.indexOf(']'))) && ${BRACKETED} && ${PORT})`,
    ].join(' || '),
    'must be an address, perhaps with a port: 10.0.0.1:1179 or [fd00::1]:1179',
  ),
  prefix: cel(PREFIX_LENGTH_MAX, `isCIDR(self) && ${NO_HOST_BITS}`, 'is not a prefix, or has host bits set'),
  prefixOrAddress: cel(
    PREFIX_LENGTH_MAX,
    `isIP(self) || (isCIDR(self) && ${NO_HOST_BITS})`,
    'is neither an address nor a prefix, or has host bits set',
  ),
  nodeAddressV4: nodeAddress(4),
  nodeAddressV6: nodeAddress(6),
  selector: {},
  duration: pattern('^\\+?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(h|ms|us|µs|μs|ns|m|s))+)$'),
  community: pattern(`^(${U16}:${U16}|${U32}:${U32}:${U32})$`),
  communityName: pattern('^[A-Za-z0-9_-]+$'),
  resourceName: pattern('^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$', 253),
  nodeName: pattern('^[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?$', 253),
  labelName: pattern('^[a-zA-Z0-9_./-]{1,512}$', 512),
  interfaceName: {
    ...pattern('^[^/\\s:]{1,15}$', 15),
    'x-kubernetes-validations': [{ rule: "!(self in ['.', '..'])", message: 'is not the name of an interface' }],
  },
  interfacePattern: cel(256, "self != '*'", '"*" would ignore every interface'),
  ordinal: pattern('^(0|[1-9][0-9]*)$'),
  timestamp: {},
};
