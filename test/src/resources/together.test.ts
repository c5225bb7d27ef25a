// Texts with several documents: lines, Lists, and what only shows when resources are looked at together.
import { describe, expect, test } from 'vitest';
import { checkTogether, readText } from '../../../src/resources/index.ts';
import { formatProblems } from '../../../src/store/problems.ts';

/** Everything wrong with a text, as people see it. */
function complaints(text: string, file = 'a.yaml'): string[] {
  const { written, problems } = readText(text, file);
  const right = written.flatMap((one) => (one.resource === undefined ? [] : [{ ...one, resource: one.resource }]));
  const wrong = written.filter(({ resource }) => resource === undefined);
  const all = [...problems, ...checkTogether(right, wrong)];
  return all.map((problem) => formatProblems([problem]).trim());
}

function resource(kind: string, name: string, spec: string, metadata = ''): string {
  const api = kind === 'PeerOptions' ? 'projectmanx.org/v1' : 'projectcalico.org/v3';
  return `apiVersion: ${api}\nkind: ${kind}\nmetadata: {name: ${name}${metadata}}\nspec: ${spec}\n`;
}
const join = (...documents: string[]): string => documents.join('---\n');

describe('lines', () => {
  test('a problem is at the line of the field, a missing one at what is around it', () => {
    const text = `# peers
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata:
  name: tor-b
spec:
  peerIP: 10.250.1.300

  asNumber: 65001
  password:
    secretKeyRef:
      key: a
  filters:
  - ok
  - 5
  pasword: x
`;
    expect(complaints(text)).toEqual([
      'a.yaml:16  BGPPeer tor-b  spec.pasword: unknown field (did you mean password?)',
      'a.yaml:7  BGPPeer tor-b  spec.peerIP: "10.250.1.300" is not an address',
      'a.yaml:11  BGPPeer tor-b  spec.password.secretKeyRef.name: is missing',
      'a.yaml:15  BGPPeer tor-b  spec.filters[1]: 5 is not a text (put it in quotes)',
    ]);
  });

  test('lines count through all documents of a file, and into Lists', () => {
    const text = join(
      '',
      resource('IPPool', 'a', '{cidr: 10.0.0.0/16}'),
      `apiVersion: v1\nkind: List\nitems:\n- ${resource('IPPool', 'b', '{cidr: 10.1.0.1/16}').replaceAll('\n', '\n  ')}`,
    );
    expect(complaints(text)).toEqual([
      'a.yaml:13  IPPool b  spec.cidr: "10.1.0.1/16" has host bits set (did you mean 10.1.0.0/16?)',
    ]);
  });

  test.each([
    ['a: [', 'a.yaml:1  no YAML: '],
    ['a: 1\nb: 2\na: 3\n', 'a.yaml:3  no YAML: Map keys must be unique'],
    ['a: *nowhere\n', 'a.yaml:1  no YAML: '],
    ['a: !secret x\n', 'a.yaml:1  no YAML: Unresolved tag: !secret'],
    ['a:\n\tb: 1\n', 'a.yaml:2  no YAML: '],
    ['{"a": 1', 'a.yaml:1  no YAML: '],
  ])('%j is no YAML, and where', (text, start) => {
    expect(complaints(text)[0]).toContain(start);
  });

  test('aliases that would grow without end are refused', () => {
    const levels = Array.from({ length: 20 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}, *l${i}, *l${i}]`).join('\n');
    expect(complaints(`l0: &l0 [x]\n${levels}\n`)[0]).toMatch(/^a\.yaml:1 {2}no YAML: Excessive alias count/);
  });

  test('merge keys and anchors work, and their problems have a line', () => {
    const text = resource('IPPool', 'a', '\n  <<: {nodeSelector: "rack == \'a\'", blockSize: 1}\n  cidr: 10.0.0.0/16');
    expect(complaints(text)).toEqual(['a.yaml:4  IPPool a  spec.blockSize: 1 is not a whole number from 20 to 128']);
    const right = readText(text.replace(', blockSize: 1', '')).written[0]!.resource;
    expect(right?.spec).toMatchObject({ nodeSelector: "rack == 'a'" });
  });

  test('empty documents and comments are nothing', () => {
    expect(readText('---\n# only a comment\n---\n---\n')).toEqual({ written: [], problems: [] });
  });

  test('JSON is read as well', () => {
    const text = `{"apiVersion": "projectcalico.org/v3", "kind": "IPPool",\n\t"metadata": {"name": "a"},\n\t"spec": {"cidr": "x"}}`;
    expect(complaints(text)).toEqual(['a.yaml:3  IPPool a  spec.cidr: "x" is not a prefix (address/length)']);
  });
});

describe('together', () => {
  const node = (name: string, v4: string): string => resource('Node', name, `{bgp: {ipv4Address: ${v4}}}`);
  test.each<[string, string, string[]]>([
    [
      'pools that overlap',
      join(resource('IPPool', 'a', '{cidr: 10.82.0.0/16}'), resource('IPPool', 'b', '{cidr: 10.82.0.0/20}')),
      ['a.yaml:9  IPPool b  spec.cidr: 10.82.0.0/20 overlaps IPPool a (10.82.0.0/16, a.yaml:4)'],
    ],
    [
      'pools that overlap, also where one of them is wrong in another way',
      join(resource('IPPool', 'a', '{cidr: 10.82.0.0/16, nat: 1}'), resource('IPPool', 'b', '{cidr: 10.82.0.0/20}')),
      [
        'a.yaml:4  IPPool a  spec.nat: unknown field',
        'a.yaml:9  IPPool b  spec.cidr: 10.82.0.0/20 overlaps IPPool a (10.82.0.0/16, a.yaml:4)',
      ],
    ],
    [
      'two nodes with one address, however spelled',
      join(node('worker-1', '10.0.0.1/24'), node('worker-2', '10.0.0.1/16')),
      ['a.yaml:9  Node worker-2  spec.bgp.ipv4Address: 10.0.0.1 is the address of Node worker-1 (a.yaml:4) already'],
    ],
    [
      'a name that is there twice, reported once',
      join(resource('IPPool', 'a', '{cidr: 10.82.0.0/16}'), resource('IPPool', 'a', '{cidr: 10.82.0.0/16}')),
      ['a.yaml:8  IPPool a  metadata.name: is there already (a.yaml:3)'],
    ],
    [
      'one name for two kinds, which is fine',
      join(resource('IPPool', 'a', '{cidr: 10.82.0.0/16}'), resource('IPReservation', 'a', '{reservedCIDRs: []}')),
      [],
    ],
    [
      'a filter that is not there',
      join(
        resource('BGPFilter', 'only-pods', '{importV4: []}'),
        resource('BGPPeer', 'tor', '{peerIP: 10.0.0.1, asNumber: 1, filters: [only-pods, only-pod]}'),
      ),
      ['a.yaml:9  BGPPeer tor  spec.filters[1]: there is no BGPFilter only-pod (did you mean only-pods?)'],
    ],
    [
      'a filter that is there, but wrong',
      join(
        resource('BGPFilter', 'only-pods', '{importV4: 5}'),
        resource('BGPPeer', 'tor', '{peerIP: 10.0.0.1, asNumber: 1, filters: [only-pods]}'),
      ),
      ['a.yaml:4  BGPFilter only-pods  spec.importV4: 5 is not a list'],
    ],
    [
      'options for a peer that is not there',
      resource('PeerOptions', 'x', '{peers: [tor-b]}'),
      ['a.yaml:4  PeerOptions x  spec.peers[0]: there is no BGPPeer tor-b'],
    ],
    [
      'a peer that nobody can find',
      resource('BGPPeer', 'tor', '{asNumber: 1}'),
      [
        'a.yaml:4  BGPPeer tor  spec: does not say who the peer is (peerIP, peerSelector, or PeerOptions with interface or dynamicPrefix)',
      ],
    ],
    [
      'a peer that is found by its options, by name or by label',
      join(
        resource('BGPPeer', 'a', '{asNumber: 1}'),
        resource('BGPPeer', 'b', '{asNumber: 1}', ', labels: {edge: "1"}'),
        resource('PeerOptions', 'x', '{peers: [a], interface: eth0}'),
        resource('PeerOptions', 'y', `{peerSelector: has(edge), dynamicPrefix: 10.0.0.0/8}`),
      ),
      [],
    ],
    [
      'a peer without an AS',
      resource('BGPPeer', 'tor', '{peerIP: 10.0.0.1}'),
      ['a.yaml:4  BGPPeer tor  spec.asNumber: is missing: 10.0.0.1 is not the address of a Node'],
    ],
    [
      'a peer without an AS that is a node',
      join(node('rr', '10.0.0.1/24'), resource('BGPPeer', 'rr', '{peerIP: "10.0.0.1:1179"}')),
      [],
    ],
    [
      "a community's name that only the default configuration could define",
      join(
        resource('BGPConfiguration', 'default', '{}'),
        resource(
          'BGPConfiguration',
          'node.a',
          '{prefixAdvertisements: [{cidr: 10.0.0.0/8, communities: [gold, "1:1"]}]}',
        ),
      ),
      [
        'a.yaml:9  BGPConfiguration node.a  spec.prefixAdvertisements[0].communities[0]: "gold" is neither a community nor a name in spec.communities of BGPConfiguration default',
      ],
    ],
  ])('%s', (_, text, expected) => {
    expect(complaints(text)).toEqual(expected);
  });

  test('resources without files are checked as well', () => {
    const pools = ['a', 'b'].map(
      (name) => readText(resource('IPPool', name, '{cidr: 10.0.0.0/8}')).written[0]!.resource!,
    );
    expect(checkTogether(pools).map(({ message }) => message)).toEqual(['10.0.0.0/8 overlaps IPPool a (10.0.0.0/8)']);
    // Of objects in an API server the one that was there first is right.
    const aged = pools.map((pool, i) => ({
      ...pool,
      metadata: { ...pool.metadata, creationTimestamp: `2026-11-${30 - i}T12:00:00Z` },
    })) as typeof pools;
    expect(checkTogether(aged)).toMatchObject([{ name: 'a', message: '10.0.0.0/8 overlaps IPPool b (10.0.0.0/8)' }]);
    // One that is about to be made is younger than all.
    expect(checkTogether([pools[0]!, aged[1]!])).toMatchObject([{ name: 'a' }]);
  });
});
