// The layouts, and the tables of `manxctl get` beside what calicoctl prints for the same resources.
import { describe, expect, test } from 'vitest';
import { resourceTable } from '../../../src/cli/columns.ts';
import {
  countingText,
  readUsage,
  renderAddress,
  renderConfiguration,
  renderUsage,
} from '../../../src/cli/commands/ipam-show.ts';
import { formatJson } from '../../../src/resources/json.ts';
import { parseAddress, parsePrefix } from '../../../src/ip/index.ts';
import { capabilityRows } from '../../../src/cli/capabilities.ts';
import { plain } from '../../../src/cli/paint.ts';
import { box, table } from '../../../src/cli/table.ts';
import type { Kinds } from '../../../src/resources/types.ts';
import { durationText } from '../../../src/text.ts';

describe('a table', () => {
  const columns = [
    { head: 'NAME', cell: (row: { name: string }) => row.name },
    { head: 'N', align: 'right', cell: (row: { n: number }) => String(row.n) },
    { head: 'REST', cell: (row: { rest: string }) => row.rest },
  ] as const;

  test('has numbers to the right, words to the left and no blanks at the end', () => {
    expect(
      table<{ name: string; n: number; rest: string }>(columns, [
        { name: 'a', n: 100, rest: '' },
        { name: 'bcdef', n: 2, rest: 'x' },
      ]),
    ).toEqual(['NAME     N  REST', 'a      100', 'bcdef    2  x']);
  });

  test('keeps its columns when a cell is painted', () => {
    const painted = [
      { head: 'A', cell: () => ({ text: 'up', paint: (text: string) => `<${text}>` }) },
      { head: 'B', cell: () => 'b' },
    ];
    expect(table(painted, [0])).toEqual(['A   B', '<up>  b']);
  });

  test('as a box is drawn as calicoctl draws it', () => {
    const rows = [{ cidr: '10.82.0.0/24', use: '11 (4%)' }];
    const lines = box<{ cidr: string; use: string }>(
      [
        { head: 'CIDR', cell: ({ cidr }) => cidr },
        { head: 'IPS IN USE', align: 'right', cell: ({ use }) => use },
      ],
      rows,
    );
    expect(lines).toEqual([
      '+--------------+------------+',
      '| CIDR         | IPS IN USE |',
      '+--------------+------------+',
      '| 10.82.0.0/24 |    11 (4%) |',
      '+--------------+------------+',
    ]);
  });
});

test('colour is left out where the stream is no terminal', () => {
  expect(plain.bad('degraded')).toBe('degraded');
});

test('durations have one unit up to a day, then two', () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  expect([-1, 12 * second, 2 * minute, 9 * hour, 3 * day + 4 * hour].map(durationText)).toEqual([
    '0 s',
    '12 s',
    '2 m',
    '9 h',
    '3d 4h',
  ]);
});

/** calicoctl pads the last column and ends with an empty line; neither tells anybody anything. */
function asCalico(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => line.trimEnd());
}

const named = <K extends keyof Kinds>(kind: K, name: string, spec: object): Kinds[K] =>
  ({ apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec }) as Kinds[K];

describe('manxctl get, beside calicoctl', () => {
  const surroundings = { defaultAsn: 64512 };

  test('nodes by name; -o wide with the AS number in brackets where it is the default', () => {
    const nodes = [
      named('Node', 'worker-1', {
        bgp: { asNumber: 64513, ipv4Address: '10.250.1.11/24', ipv6Address: 'fd10:250::11/64' },
      }),
      named('Node', 'worker-2', { bgp: { ipv4Address: '10.250.1.12/24' } }),
    ];
    expect(resourceTable('Node', nodes, false, surroundings)).toEqual(['NAME', 'worker-1', 'worker-2']);
    expect(resourceTable('Node', nodes, true, surroundings)).toEqual(
      asCalico(`
NAME       ASN       IPV4             IPV6
worker-1   64513     10.250.1.11/24   fd10:250::11/64
worker-2   (64512)   10.250.1.12/24
`),
    );
  });

  test('pools, brief and wide', () => {
    const pool = named('IPPool', 'pods-v4', {
      cidr: '10.82.0.0/24',
      natOutgoing: true,
      ipipMode: 'Never',
      vxlanMode: 'Never',
      disabled: false,
      disableBGPExport: false,
      nodeSelector: "rack == 'a'",
      assignmentMode: 'Automatic',
    });
    expect(resourceTable('IPPool', [pool], false, surroundings)).toEqual(
      asCalico(`
NAME      CIDR           SELECTOR
pods-v4   10.82.0.0/24   rack == 'a'
`),
    );
    expect(resourceTable('IPPool', [pool], true, surroundings)).toEqual(
      asCalico(`
NAME      CIDR           NAT    IPIPMODE   VXLANMODE   DISABLED   DISABLEBGPEXPORT   SELECTOR      ASSIGNMENTMODE
pods-v4   10.82.0.0/24   true   Never      Never       false      false              rack == 'a'   Automatic
`),
    );
  });

  test('configurations, with a sign for what is not set', () => {
    const configurations = [
      named('BGPConfiguration', 'default', { logSeverityScreen: 'Info', nodeToNodeMeshEnabled: true, asNumber: 64512 }),
      named('BGPConfiguration', 'node.worker-1', { logSeverityScreen: 'Debug' }),
    ];
    expect(resourceTable('BGPConfiguration', configurations, false, surroundings)).toEqual(
      asCalico(`
NAME            LOGSEVERITY   MESHENABLED   ASNUMBER
default         Info          true          64512
node.worker-1   Debug         -             -
`),
    );
  });

  test('peers by the nodes that have them', () => {
    const all = [
      named('BGPPeer', 'tor-a', { peerIP: '10.250.1.254:1179', nodeSelector: "rack == 'a'", asNumber: 65001 }),
      named('BGPPeer', 'tor-b', { peerIP: '10.250.1.253', asNumber: 65001 }),
    ];
    expect(resourceTable('BGPPeer', all, false, surroundings)).toEqual(
      asCalico(`
NAME    PEERIP              NODE          ASN
tor-a   10.250.1.254:1179   rack == 'a'   65001
tor-b   10.250.1.253        (global)      65001
`),
    );
  });
});

test('ADD-PATH is agreed where one side sends and the other receives (RFC 7911 §4)', () => {
  const offer = (receive: boolean, send: boolean) =>
    [{ name: 'addPath', families: [{ afi: 1, safi: 1, receive, send }] }] as const;
  expect(capabilityRows(offer(true, false), offer(false, true))[0]!.agreed).toBe(true);
  expect(capabilityRows(offer(true, false), offer(true, false))[0]!.agreed).toBe(false);
  expect(capabilityRows(offer(false, true), offer(false, true))[0]!.agreed).toBe(false);
});

describe('manxctl ipam show, beside calicoctl', () => {
  const counts = (total: bigint, inUse: bigint, reserved: bigint) => ({
    total,
    inUse,
    reserved,
    free: total - inUse - reserved,
  });
  const block = (cidr: string, total: bigint, inUse: bigint) => ({
    cidr: parsePrefix(cidr),
    ...counts(total, inUse, 0n),
  });
  const usage = {
    pools: [
      {
        name: 'pods-v4',
        disabled: false,
        cidr: parsePrefix('10.82.0.0/24'),
        ...counts(256n, 11n, 2n),
        blocks: [block('10.82.0.56/29', 8n, 8n), block('10.82.0.72/29', 8n, 3n)],
      },
      { name: 'pods-v6', disabled: false, cidr: parsePrefix('fd82::/64'), ...counts(1n << 64n, 11n, 0n), blocks: [] },
    ],
    blocksOutsidePools: [],
    borrowed: [],
    configuration: {
      strictAffinity: false,
      autoAllocateBlocks: true,
      maxBlocksPerHost: 0,
      blockLimit: 20,
      ipCooldownSeconds: 0,
    },
  };

  test('pools and blocks in its boxes, halves rounded as it rounds them', () => {
    expect(`\n${renderUsage({ ...usage, pools: usage.pools.slice(0, 1) }, true).join('\n')}\n`).toBe(`
+----------+---------------+-----------+------------+--------------+-----------+
| GROUPING | CIDR          | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE  |
+----------+---------------+-----------+------------+--------------+-----------+
| IP Pool  | 10.82.0.0/24  |       256 |    11 (4%) |       2 (1%) | 243 (95%) |
| Block    | 10.82.0.56/29 |         8 |   8 (100%) |       0 (0%) |    0 (0%) |
| Block    | 10.82.0.72/29 |         8 |    3 (38%) |       0 (0%) |   5 (62%) |
+----------+---------------+-----------+------------+--------------+-----------+
`);
  });

  test('an IPv6 pool has 2^64 addresses, and nearly all of them are free', () => {
    expect(renderUsage(usage, false)[4]).toBe(
      '| IP Pool  | fd82::/64    | 1.8447e+19 |    11 (0%) |       0 (0%) | 1.8447e+19 (100%) |',
    );
  });

  test('counts come through the API exactly', () => {
    expect(readUsage(formatJson(usage))).toEqual(usage);
  });

  test('configuration with what a limit of 0 comes to', () => {
    expect(renderConfiguration(usage.configuration)[5]).toBe('| MaxBlocksPerHost   | 0 (in effect: 20) |');
  });

  test('an address, as it says it', () => {
    const address = parseAddress('10.82.0.77');
    const attributes = { namespace: 'default', node: 'worker-2', pod: 'fixed-1' };
    expect(renderAddress({ address, state: 'in use', handle: 'k8s-pod-network.c0ffee-fixed-1', attributes })).toEqual([
      'IP 10.82.0.77 is in use',
      'Handle ID: k8s-pod-network.c0ffee-fixed-1',
      'Active Owner Attributes:',
      '  namespace: default',
      '  node: worker-2',
      '  pod: fixed-1',
    ]);
    expect(renderAddress({ address, state: 'free' })).toEqual(['10.82.0.77 is not assigned']);
  });

  test('large counts are written as C writes %.5g', () => {
    expect([99_999n, 100_000n, 1_048_576n, 1n << 64n].map(countingText)).toEqual([
      '99999',
      '1e+05',
      '1.0486e+06',
      '1.8447e+19',
    ]);
  });
});
