// The policy engine: which rule decides, what becomes of the attributes, and how it says so.
import { type Address, type Prefix, containsPrefix, lengthOf } from '#ip';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LargeCommunity, Match, Operation, PathAttributes, Policy } from '../../../bgp/index.ts';
import { compilePrefixTest } from '../../../bgp/policy/match.ts';
import { choose, compilePolicy, decidesAlone, describeDecision, narrow } from '../../../bgp/policy/policy.ts';
import { PrefixTable } from '../../../bgp/rib/prefix-table.ts';
import { decide } from '../../support/policy.ts';
import { attributes, path } from '../stage.ts';

const P = '10.1.0.0/24' as Prefix;
const circumstances = { peerType: 'eBGP', source: 'RemotePeers', interface: 'eth0' } as const;
const large: LargeCommunity = [64_512, 1, 2];

function policyOf(...rules: Omit<Policy['rules'][number], 'name'>[]): Policy {
  return { name: 'test', otherwise: 'accept', rules: rules.map((rule, i) => ({ ...rule, name: String(i + 1) })) };
}

test.each<[string, Match, boolean]>([
  ['no conditions at all', {}, true],
  ['Equal to the prefix', { prefix: { cidr: P, operator: 'Equal' } }, true],
  ['Equal to a wider one', { prefix: { cidr: '10.1.0.0/16' as Prefix, operator: 'Equal' } }, false],
  ['NotEqual to the prefix', { prefix: { cidr: P, operator: 'NotEqual' } }, false],
  ['NotEqual to another', { prefix: { cidr: '10.2.0.0/24' as Prefix, operator: 'NotEqual' } }, true],
  ['In a wider one', { prefix: { cidr: '10.0.0.0/8' as Prefix, operator: 'In' } }, true],
  ['In itself', { prefix: { cidr: P, operator: 'In' } }, true],
  ['In a narrower one', { prefix: { cidr: '10.1.0.0/25' as Prefix, operator: 'In' } }, false],
  ['In, but longer than allowed', { prefix: { cidr: '10.0.0.0/8' as Prefix, operator: 'In', maxLength: 23 } }, false],
  ['In, but shorter than allowed', { prefix: { cidr: '10.0.0.0/8' as Prefix, operator: 'In', minLength: 25 } }, false],
  ['In everything', { prefix: { cidr: '0.0.0.0/0' as Prefix, operator: 'In' } }, true],
  ['NotIn a wider one', { prefix: { cidr: '10.0.0.0/8' as Prefix, operator: 'NotIn' } }, false],
  ['NotIn, since it is longer', { prefix: { cidr: '10.0.0.0/8' as Prefix, operator: 'NotIn', maxLength: 23 } }, true],
  ['NotIn a prefix of the other family', { prefix: { cidr: 'fd00::/8' as Prefix, operator: 'NotIn' } }, false],
  ['a community that it has', { communities: [1] }, true],
  ['a community that it lacks', { communities: [1, 3] }, false],
  ['a large community that it has', { communities: [large] }, true],
  ['a large community that it lacks', { communities: [[64_512, 1, 3]] }, false],
  ['the beginning of its path', { asPathPrefix: [65_001, 2] }, true],
  ['more than its path', { asPathPrefix: [65_001, 2, 3, 4] }, false],
  ['the middle of its path', { asPathPrefix: [2, 3] }, false],
  ['its next hop', { nextHop: '192.0.2.1' as Address }, true],
  ['another next hop', { nextHop: '192.0.2.2' as Address }, false],
  ['the LOCAL_PREF of a route without one', { localPref: 100 }, true],
  ['another LOCAL_PREF', { localPref: 200 }, false],
  ['its interface', { interface: 'eth0' }, true],
  ['an interface by a pattern', { interface: 'et*' }, true],
  ['an interface by a pattern in the middle', { interface: '*t*0' }, true],
  ['a pattern that it does not fit', { interface: '*.calico' }, false],
  ['a pattern that would need its letters twice', { interface: 'eth*h0' }, false],
  ['the type of the peer', { peerType: 'eBGP' }, true],
  ['the other type', { peerType: 'iBGP' }, false],
  ['where it comes from', { source: 'RemotePeers' }, true],
  ['the other source', { source: 'Local' }, false],
  ['two conditions of which one fails', { source: 'RemotePeers', nextHop: '192.0.2.2' as Address }, false],
])('a rule with %s matches accordingly', (_, match, matches) => {
  const route = { communities: [1, 2], largeCommunities: [large], asPath: path(65_001, 2, 3) };
  expect(decide(policyOf({ match, action: 'reject' }), P, circumstances, route).verdict).toBe(
    matches ? 'reject' : 'accept',
  );
});

test('the first rule that matches decides, and what no rule matches gets what the policy says', () => {
  const rules = [
    { match: { communities: [9] }, action: 'reject' as const },
    { match: { prefix: { cidr: P, operator: 'In' as const } }, action: 'accept' as const },
    { action: 'reject' as const },
  ];
  expect(decide(policyOf(...rules), P, circumstances)).toMatchObject({ verdict: 'accept', by: '2' });
  expect(decide({ ...policyOf(...rules.slice(0, 1)), otherwise: 'reject' }, P, circumstances)).toMatchObject({
    verdict: 'reject',
    by: '',
  });
});

test.each<[Operation, Partial<PathAttributes>, Partial<PathAttributes>]>([
  [{ do: 'setLocalPref', value: 7 }, { localPref: 1 }, { localPref: 7 }],
  [{ do: 'setMed', value: 0 }, {}, { med: 0 }],
  // Calico: LOCAL_PREF is 2147483647 less the priority.
  [{ do: 'setPriority', value: 1024 }, {}, { localPref: 2_147_482_623 }],
  [{ do: 'addCommunity', value: 2 }, { communities: [1, 3] }, { communities: [1, 2, 3] }],
  [{ do: 'addCommunity', value: 3 }, { communities: [1, 3] }, { communities: [1, 3] }],
  [{ do: 'addCommunity', value: large }, {}, { largeCommunities: [large] }],
  [{ do: 'removeCommunity', value: 1 }, { communities: [1, 3] }, { communities: [3] }],
  [{ do: 'removeCommunity', value: 1 }, { communities: [1] }, { communities: undefined as never }],
  [
    { do: 'removeCommunity', value: large },
    { largeCommunities: [large, [1, 1, 1]] },
    { largeCommunities: [[1, 1, 1]] },
  ],
  [{ do: 'prependAsPath', asns: [8, 9] }, { asPath: path(1) }, { asPath: path(8, 9, 1) }],
])('the operation %j changes just that', (operation, before, after) => {
  const { attributes: result } = decide(
    policyOf({ action: 'accept', operations: [operation] }),
    P,
    circumstances,
    before,
  );
  expect(result).toEqual({ origin: 0, asPath: [], nextHop: '192.0.2.1', ...before, ...after });
});

test('operations are applied in their order, and the route they began with stays as it was', () => {
  const route = attributes();
  const operations: Operation[] = [
    { do: 'addCommunity', value: 5 },
    { do: 'prependAsPath', asns: [1] },
    { do: 'prependAsPath', asns: [2] },
    { do: 'removeCommunity', value: 5 },
  ];
  const { attributes: result } = decide(policyOf({ action: 'accept', operations }), P, circumstances, route);
  expect([result!.asPath, 'communities' in result!, route]).toEqual([path(2, 1, 65_001), false, attributes()]);
});

test('one decision holds for all prefixes exactly when no rule in question looks at the prefix', () => {
  const compiled = compilePolicy(
    policyOf(
      { match: { communities: [1], prefix: { cidr: P, operator: 'In' } }, action: 'reject' },
      { match: { communities: [2] }, action: 'reject' },
      { match: { prefix: { cidr: P, operator: 'In' } }, action: 'reject' },
    ),
  );
  const alone = (communities: number[]) =>
    decidesAlone(compiled, narrow(compiled, attributes({ communities }), circumstances));
  expect([alone([1]), alone([2]), alone([3])]).toEqual([undefined, 1, undefined]);
});

test('a decision is told by filter, rule and direction', () => {
  const compiled = compilePolicy({
    name: 'only-pods',
    otherwise: 'reject',
    rules: [
      { name: '1', action: 'accept' },
      { name: 'no default', action: 'reject' },
    ],
  });
  expect([0, 1, -1].map((index) => describeDecision(compiled, index, 'import'))).toEqual([
    'accepted by filter only-pods, rule 1 (import)',
    'rejected by filter only-pods, rule 2 (no default) (import)',
    'rejected by filter only-pods, where no rule matches (import)',
  ]);
});

const v6 = fc
  .tuple(fc.constantFrom('fd00', 'fd01'), fc.constantFrom('0', '1', '8000'), fc.constantFrom(16, 17, 32, 33, 48, 128))
  .map(([a, b, length]): Prefix => {
    const masked = length <= 16 ? `${a}::` : `${a}:${length < 32 && b !== '8000' ? '0' : b}::`;
    return `${masked.replace(':0::', '::')}/${length}` as Prefix;
  });

test('prefixes of both families are compared bit by bit, as plain arithmetic on their text has it', () => {
  const cidrs = fc.oneof(
    v6,
    fc.constantFrom('10.0.0.0/8', '10.128.0.0/9', '10.128.0.0/25', '0.0.0.0/0') as fc.Arbitrary<Prefix>,
  );
  fc.assert(
    fc.property(cidrs, cidrs, (cidr, prefix) => {
      const table = new PrefixTable(prefix.includes(':') ? 'ipv6-unicast' : 'ipv4-unicast');
      const id = table.claimPrefix(prefix);
      const test = compilePrefixTest({ cidr, operator: 'In' });
      expect(test(table, id)).toBe(lengthOf(prefix) >= lengthOf(cidr) && containsPrefix(cidr, prefix));
      const compiled = compilePolicy(policyOf({ match: { prefix: { cidr, operator: 'Equal' } }, action: 'reject' }));
      expect(choose(compiled, [0], table, id)).toBe(cidr === prefix ? 0 : -1);
    }),
  );
});
