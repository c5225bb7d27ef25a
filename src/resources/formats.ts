// The texts that have a form of their own: what is right about each, and its canonical spelling.
import {
  type Address,
  IpError,
  familyOf,
  hostPrefix,
  parseAddress,
  parseInterfaceAddress,
  parsePrefix,
  parsePrefixOrAddress,
  lengthOf,
} from '#ip';
import { classOf } from './classify.ts';
import { parseDuration } from './duration.ts';
import { parseEndpoint } from './endpoint.ts';
import { ResourceError } from './error.ts';
import { parseSelector } from './selector.ts';

/** What a text must look like. */
export type Format = keyof typeof formats;

/** What the text spells in canonical form, or why it is refused (a clause that follows the field's path). */
export type Reading = { readonly value: string } | { readonly refused: string };

export function readFormat(format: Format, text: string): Reading {
  try {
    return formats[format](text);
  } catch (error) {
    if (error instanceof IpError || error instanceof ResourceError) return { refused: error.message };
    throw error;
  }
}

const formats = {
  address: (text: string) => value(parseAddress(text)),
  addressV4: (text: string) => ofFamily(4, parseAddress(text)),
  addressV6: (text: string) => ofFamily(6, parseAddress(text)),
  /** The address of a peer: one host's. */
  peerAddress: (text: string) => value(unicast(parseAddress(text))),
  peerEndpoint: readEndpoint,
  prefix: (text: string) => value(parsePrefix(text)),
  prefixOrAddress: (text: string) => value(parsePrefixOrAddress(text)),
  nodeAddressV4: (text: string) => readNodeAddress(4, text),
  nodeAddressV6: (text: string) => readNodeAddress(6, text),
  selector: (text: string) => (parseSelector(text), value(text)),
  duration: (text: string) => (parseDuration(text), value(text)),
  community: readCommunity,
  communityName: pattern(/^[A-Za-z0-9_-]+$/, 'is no name for a community (letters, digits, - and _)'),
  resourceName: pattern(
    /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
    'is not a name (lower-case letters, digits, - and ., at most 253)',
  ),
  nodeName: pattern(/^[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?$/, 'is not a node name'),
  labelName: pattern(/^[a-zA-Z0-9_./-]{1,512}$/, 'is not the name of a label'),
  // IFNAMSIZ is 16, the closing zero included; the kernel refuses "/", blanks and the two names that are directories.
  interfaceName: pattern(/^(?!\.{1,2}$)[^/\s:]{1,15}$/, 'is not the name of an interface'),
  interfacePattern: (text: string) => (text === '*' ? refused('"*" would ignore every interface') : value(text)),
  ordinal: pattern(/^(0|[1-9]\d*)$/, 'is not an ordinal'),
  timestamp: (text: string) =>
    Number.isNaN(Date.parse(text))
      ? refused(`${JSON.stringify(text)} is not a time (as in 2026-11-21T03:58:17Z)`)
      : value(text),
} satisfies Record<string, (text: string) => Reading>;

function value(text: string): Reading {
  return { value: text };
}

function refused(why: string): Reading {
  return { refused: why };
}

function pattern(wanted: RegExp, why: string): (text: string) => Reading {
  return (text) => (wanted.test(text) ? value(text) : refused(`${JSON.stringify(text)} ${why}`));
}

function ofFamily(family: 4 | 6, address: Address): Reading {
  return familyOf(address) === family ? value(address) : refused(`${address} is not an IPv${family} address`);
}

function unicast(address: Address): Address {
  const kind = classOf(address);
  if (kind === 'multicast' || kind === 'broadcast' || kind === 'unspecified') {
    throw new IpError(
      `${address} is ${kind === 'unspecified' ? 'the unspecified' : `a ${kind}`} address, not a host's`,
    );
  }
  return address;
}

function readEndpoint(text: string): Reading {
  const { address, port } = parseEndpoint(text);
  unicast(address);
  if (port === undefined) return value(address);
  return value(familyOf(address) === 4 ? `${address}:${port}` : `[${address}]:${port}`);
}

/** A bare address is taken as the only one of its subnet, as Calico does. */
function readNodeAddress(family: 4 | 6, text: string): Reading {
  const { address, prefix } = parseInterfaceAddress(text.includes('/') ? text : hostPrefix(parseAddress(text)));
  if (familyOf(address) !== family) return refused(`${JSON.stringify(text)} is not an IPv${family} address`);
  return value(`${unicast(address)}/${lengthOf(prefix)}`);
}

/** Whether the text is a community, standard or large. */
export function isCommunity(text: string): boolean {
  return 'value' in readCommunity(text);
}

/** RFC 1997 as 16:16 bits, RFC 8092 as 32:32:32 bits. */
function readCommunity(text: string): Reading {
  const parts = /^\d+(:\d+){1,2}$/.test(text) ? text.split(':').map(Number) : [];
  const limit = parts.length === 2 ? 0xffff : 0xffff_ffff;
  if (parts.length > 0 && parts.every((part) => part <= limit)) return value(parts.join(':'));
  return refused(`${JSON.stringify(text)} is not a community (64512:120, or large 64512:300:100)`);
}
