// BGPFilter: ordered rules about routes, per direction and family.
import { bitsOfPrefix, familyOfPrefix } from '#ip';
import type { SpecReport } from '../kinds.ts';
import type { Path } from '../read.ts';
import { type FieldsOf, type Schema, asNumber, choice, integer, list, object, text } from '../schema.ts';
import type { BGPFilterRule, BGPFilterSpec } from '../types.ts';
import { ROUTE_PRIORITY_MAX } from './common.ts';

const priority = integer(1, ROUTE_PRIORITY_MAX);

const operation: Schema = {
  type: 'object',
  exactlyOne: true,
  fields: {
    addCommunity: {
      says: 'one more community',
      schema: object({ value: { says: '64512:120', required: true, schema: text('community') } }),
    },
    prependASPath: {
      says: 'in front of the AS path',
      schema: object({
        prefix: { says: 'in this order', required: true, schema: list(asNumber, { min: 1, max: 10 }) },
      }),
    },
    setPriority: {
      says: 'the metric that the route has from here on',
      schema: object({ value: { says: 'metric', required: true, schema: priority } }),
    },
  },
};

const rule = object({
  action: { says: 'what happens to a route that matches', required: true, schema: choice('Accept', 'Reject') },
  cidr: { says: 'compared by matchOperator', schema: text('prefix') },
  matchOperator: { says: 'how cidr is compared', schema: choice('Equal', 'NotEqual', 'In', 'NotIn') },
  prefixLength: {
    says: 'the lengths that match',
    schema: object({
      min: { says: 'at least', schema: integer(0, 128) },
      max: { says: 'at most', schema: integer(0, 128) },
    }),
  },
  source: { says: 'only routes learned from peers', schema: choice('RemotePeers') },
  interface: { says: 'only routes by way of this interface', schema: text('interfaceName') },
  peerType: { says: 'only with such a peer', schema: choice('eBGP', 'iBGP') },
  communities: {
    says: 'only routes that carry it',
    schema: object({
      values: { says: 'exactly one', required: true, schema: list(text('community'), { min: 1, max: 1 }) },
    }),
  },
  asPathPrefix: { says: 'only routes whose AS path begins so', schema: list(asNumber, { min: 1 }) },
  priority: { says: 'only routes of this metric', schema: priority },
  operations: { says: 'what is changed, in order; with Accept only', schema: list(operation, { max: 10 }) },
} satisfies FieldsOf<BGPFilterRule>);

const rules = list(rule);
export const filterSpec = object({
  importV4: { says: 'IPv4 routes from the peer', schema: rules },
  exportV4: { says: 'IPv4 routes to the peer', schema: rules },
  importV6: { says: 'IPv6 routes from the peer', schema: rules },
  exportV6: { says: 'IPv6 routes to the peer', schema: rules },
} satisfies FieldsOf<BGPFilterSpec>);

const tables = [
  ['importV4', 4],
  ['exportV4', 4],
  ['importV6', 6],
  ['exportV6', 6],
] as const;

export function checkFilter(spec: Partial<BGPFilterSpec>, report: SpecReport): void {
  for (const [name, family] of tables) {
    for (const [i, one] of (spec[name] ?? []).entries()) checkRule(one, family, [name, i], report);
  }
}

function checkRule(rule: BGPFilterRule, family: 4 | 6, path: Path, report: SpecReport): void {
  const { cidr, prefixLength, matchOperator } = rule;
  if (cidr !== undefined && familyOfPrefix(cidr) !== family) {
    report([...path, 'cidr'], `${cidr} is not an IPv${family} prefix`);
  }
  if (cidr !== undefined && matchOperator === undefined) report([...path, 'matchOperator'], 'is missing beside cidr');
  if (cidr === undefined && matchOperator !== undefined) report([...path, 'matchOperator'], 'needs cidr');
  if (prefixLength !== undefined && cidr === undefined) report([...path, 'prefixLength'], 'needs cidr');
  if ((rule.operations ?? []).length > 0 && rule.action === 'Reject') {
    report([...path, 'operations'], 'change a route, and Reject drops it');
  }
  if (prefixLength === undefined) return;
  const { min = 0, max = 128 } = prefixLength;
  if (min > max) report([...path, 'prefixLength', 'min'], `${min} is greater than max, ${max}`);
  for (const end of ['min', 'max'] as const) {
    const bits = cidr === undefined ? 128 : bitsOfPrefix(cidr);
    if ((prefixLength[end] ?? 0) > bits) report([...path, 'prefixLength', end], `is greater than ${bits}`);
  }
}
