// `manxctl ipam check` on a cluster, beside what calicoctl said of the same one.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { renderExamination } from '../../../src/cli/commands/ipam-check.ts';
import { type ClusterData, examine } from '../../../src/cli/ipam-examination.ts';
import type { Workload } from '../../../src/cli/workloads.ts';
import type { Finding } from '../../../src/ipam/index.ts';
import { KEEPING_HANDLE } from '../../../src/ipam/kept.ts';
import { type Address, parseAddress } from '../../../src/ip/index.ts';
import type { IPAMBlock, Kinds } from '../../../src/resources/types.ts';
import { captured } from '../../support/captured.ts';

const fixture = readFileSync(new URL('../../fixtures/calico/calicoctl-ipam-check.txt', import.meta.url), 'utf8');
const [, brief, long] = fixture.split(/^\$ calicoctl ipam check.*\n/m).map((text) => text.trimEnd());

const workload = (name: string, node: string, ...addresses: string[]): Workload => {
  const [namespace = '', pod = ''] = name.split('/');
  return { namespace, pod, node, addresses: addresses.map((text) => parseAddress(text)) };
};
const many = Array.from({ length: 8 }, (_, i) =>
  workload(`default/many-${i + 1}`, 'worker-3', `10.82.0.${56 + i}`, `fd82::8bfb:736f:425f:4a8${i}`),
);
/** In the order in which the API server lists them. */
const workloads = [
  workload('default/fixed-1', 'worker-2', '10.82.0.77', 'fd82::77'),
  ...many,
  workload('default/web-1', 'worker-1', '10.82.0.72', 'fd82::9905:f003:c7bd:fb00'),
  workload('team-a/api-1', 'worker-1', '10.82.0.73', 'fd82::9905:f003:c7bd:fb01'),
];
const node = (name: string, spec: object = {}): Kinds['Node'] => ({
  ...{ apiVersion: 'projectcalico.org/v3', kind: 'Node', metadata: { name }, spec },
});

const scene: ClusterData = {
  blocks: captured('IPAMBlock', 'ipamblocks'),
  pools: captured('IPPool', 'ippools').map((pool) => ({ ...pool, spec: { ...pool.spec, disabled: false } })),
  nodes: [node('worker-1'), node('worker-2'), node('worker-3')],
  handles: captured('IPAMHandle', 'ipamhandles'),
  workloads,
};

test('says what calicoctl says of the same cluster, line by line', () => {
  const report = examine(scene, []);
  expect(renderExamination(report, {}).join('\n')).toBe(brief);
  expect(renderExamination(report, { showAllIps: true }).join('\n')).toBe(long);
});

describe('finds', () => {
  const found = (data: Partial<ClusterData>, findings: readonly Finding[] = []): string[] =>
    examine({ ...scene, ...data }, findings).problems.map(({ kind, message }) => `${kind}: ${message}`);

  test('addresses that nobody uses, with what is known of their owner', () => {
    const [first] = found({ workloads: workloads.filter(({ pod }) => pod !== 'web-1') });
    expect(first).toMatch(
      /^leaked: 10\.82\.0\.72 is given out and nobody uses it \(Main:k8s-pod-network\.c0ffee-web-1 /,
    );
  });

  test('but not those that rest after their release', () => {
    const [block, ...others] = scene.blocks as [IPAMBlock, ...IPAMBlock[]];
    const attributes = block.spec.attributes.map((each) => ({ ...each, releasedAt: '2026-11-21T04:00:00Z' }));
    const resting = { ...block, spec: { ...block.spec, attributes } };
    const gone = new Set(many.flatMap(({ addresses }) => addresses.filter((address) => !address.includes(':'))));
    const without = workloads.map((one) => ({ ...one, addresses: one.addresses.filter((each) => !gone.has(each)) }));
    expect(
      found({ blocks: [resting, ...others], workloads: without }).filter((line) => line.startsWith('leaked')),
    ).toEqual([]);
  });

  test('nothing wrong with addresses that are set aside, by a Windows host or for times without a store', () => {
    const [full, block, ...others] = scene.blocks as [IPAMBlock, IPAMBlock, ...IPAMBlock[]];
    const attributes = [...block.spec.attributes, { handle_id: KEEPING_HANDLE, secondary: { node: 'worker-1' } }];
    const ordinal = block.spec.unallocated[0]!;
    const spec = {
      ...{ ...block.spec, attributes },
      allocations: block.spec.allocations.map((index, i) => (i === ordinal ? attributes.length - 1 : index)),
      unallocated: block.spec.unallocated.slice(1),
    };
    const data = { ...scene, blocks: [full, { ...block, spec }, ...others] };
    expect(found(data)).toEqual([]);
    expect(renderExamination(examine(data, []), {})).toContain('Workloads and nodes are using 23 IPs.');
  });

  test('pods whose address nobody has given out, in a pool and in none', () => {
    const stray = [workload('default/a-1', 'worker-1', '10.82.0.200'), workload('default/b', 'worker-1', '10.99.0.1')];
    expect(found({ workloads: [...workloads, ...stray] })).toEqual([
      'outside pools: 10.99.0.1 is used by Workload(default/worker--1-k8s-b-eth0) and in no active pool',
      'not allocated: 10.82.0.200 is used by Workload(default/worker--1-k8s-a--1-eth0) and not given out',
    ]);
  });

  test('handles without addresses, and addresses without their handle', () => {
    const [handle] = scene.handles;
    const id = handle!.spec.handleID;
    const orphan = { ...handle!, metadata: { name: 'nobody' }, spec: { ...handle!.spec, handleID: 'nobody' } };
    const lines = found({ handles: [...scene.handles.slice(1), orphan] });
    expect(lines[0]).toBe('orphan handle: handle nobody holds no address');
    expect(lines[1]).toMatch(new RegExp(`^missing handle: .* is held under ${id}, which is not there$`));
  });

  test('blocks that contradict themselves', () => {
    const [block, ...others] = scene.blocks as [IPAMBlock, ...IPAMBlock[]];
    const broken = { ...block, spec: { ...block.spec, unallocated: [0] } };
    expect(found({ blocks: [broken, ...others] })[0]).toMatch(/^invalid block: .*both given out and free/);
  });

  test('what calicoctl does not look at, before its last line', () => {
    const lost: Finding = {
      kind: 'lost block',
      message: 'block 10.82.0.64/29 belongs to worker-9, which no longer exists',
    };
    const lines = renderExamination(examine(scene, [lost]), {});
    expect(lines.slice(-2)).toEqual([`lost block: ${lost.message}`, 'Check complete; found 1 problems.']);
  });

  test('addresses of tunnels that Calico has left', () => {
    const nodes = [node('worker-1', { bgp: { ipv4IPIPTunnelAddr: '10.82.0.201' } })];
    expect(found({ nodes })).toEqual(['not allocated: 10.82.0.201 is used by Node(worker-1) and not given out']);
    expect(examine({ ...scene, nodes }, []).tunnels).toEqual([
      { address: '10.82.0.201' as Address, by: 'Node(worker-1)' },
    ]);
  });
});
