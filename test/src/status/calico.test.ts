// CalicoNodeStatus: Calico's words for what our speaker and the kernel have.
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { parseAddress, parsePrefix } from '../../../src/ip/index.ts';
import type { KubeObject } from '../../../src/kube/port.ts';
import { type CalicoSource, calicoNodeStatus, isDue } from '../../../src/status/calico.ts';
import { openCalicoReport } from '../../../src/status/calico-report.ts';
import { MemoryKube } from '../../support/memory-kube.ts';
import { now, status } from '../cli/samples.ts';

const route = (prefix: string, nextHops: readonly { via?: string; dev?: string }[], state = 'installed') => ({
  route: {
    prefix: parsePrefix(prefix),
    kind: nextHops.length === 0 ? ('blackhole' as const) : ('unicast' as const),
    metric: 1024,
    nextHops: nextHops.map(({ via, ...rest }) => ({ ...rest, ...(via !== undefined && { via: parseAddress(via) }) })),
  },
  state,
});
const source: CalicoSource = {
  status,
  routes: [
    route('0.0.0.0/0', [{ via: '10.250.1.254', dev: 'eth0' }]),
    route('10.82.0.128/26', [{ via: '10.250.1.12', dev: 'eth0' }], 'missing'),
    route('10.82.0.64/26', []),
    route('10.82.0.65/32', [{ dev: 'cali1' }]),
    route('fd82::1/128', [{ dev: 'cali1' }]),
  ],
};

test('a class that was not asked for is not said', () => {
  expect(calicoNodeStatus({ classes: [] }, source, now)).toEqual({ lastUpdated: '2026-11-21T12:00:00Z' });
});

test('Agent: one speaker stands for both of Calico’s', () => {
  const speaker = {
    state: 'Ready',
    version: 'manx 0.3.0',
    routerID: '10.250.1.11',
    lastBootTime: '2026-11-18T08:00:00Z',
  };
  expect(calicoNodeStatus({ classes: ['Agent'] }, source, now).agent).toEqual({ birdV4: speaker, birdV6: speaker });
});

test('Agent: NotReady while nobody has said who the node is', () => {
  const { bgp: _none, ...rest } = status;
  expect(calicoNodeStatus({ classes: ['Agent'] }, { status: rest }, now).agent?.birdV4).toEqual({ state: 'NotReady' });
});

test('BGP: sessions by family, with Calico’s types', () => {
  expect(calicoNodeStatus({ classes: ['BGP'] }, source, now).bgp).toEqual({
    numberEstablishedV4: 2,
    numberNotEstablishedV4: 1,
    numberEstablishedV6: 0,
    numberNotEstablishedV6: 0,
    peersV4: [
      { peerIP: '10.250.1.12', type: 'NodeMesh', state: 'Established', since: '2026-11-18T08:00:00Z' },
      { peerIP: '10.250.1.254', type: 'GlobalPeer', state: 'Established', since: '2026-11-18T08:00:00Z' },
      { peerIP: '10.250.1.253', type: 'NodePeer', state: 'Active', since: '2026-11-21T11:58:00Z' },
    ],
    peersV6: [],
  });
});

test('Routes: in the kernel or not, and whom they were learned from', () => {
  expect(calicoNodeStatus({ classes: ['Routes'] }, source, now).routes).toEqual({
    routesV4: [
      {
        type: 'FIB',
        destination: '0.0.0.0/0',
        gateway: '10.250.1.254',
        interface: 'eth0',
        learnedFrom: { sourceType: 'BGPPeer', peerIP: '10.250.1.254' },
      },
      {
        type: 'RIB',
        destination: '10.82.0.128/26',
        gateway: '10.250.1.12',
        interface: 'eth0',
        learnedFrom: { sourceType: 'NodeMesh', peerIP: '10.250.1.12' },
      },
      { type: 'FIB', destination: '10.82.0.64/26', learnedFrom: { sourceType: 'Static' } },
      { type: 'FIB', destination: '10.82.0.65/32', interface: 'cali1', learnedFrom: { sourceType: 'Direct' } },
    ],
    routesV6: [{ type: 'FIB', destination: 'fd82::1/128', interface: 'cali1', learnedFrom: { sourceType: 'Direct' } }],
  });
});

describe('an object is written', () => {
  test.each([
    ['when it never was', { updatePeriodSeconds: 0 }, undefined, true],
    ['never again with period 0', { updatePeriodSeconds: 0 }, now - 3_600_000, false],
    ['when its period is over', { updatePeriodSeconds: 30 }, now - 30_000, true],
    ['and not before', { updatePeriodSeconds: 30 }, now - 29_999, false],
  ] as const)('%s', (_when, spec, at, expected) => {
    expect(isDue(spec, at, now)).toBe(expected);
  });

  test('where it names this node, and nowhere else', async () => {
    const kube = new MemoryKube();
    kube.documents.set('/apis/crd.projectcalico.org/v1', { resources: [{ name: 'caliconodestatuses' }] });
    const ask = (name: string, node: string): void => {
      const spec = { node, classes: ['BGP'], updatePeriodSeconds: 0 };
      const apiVersion = 'crd.projectcalico.org/v1';
      kube.put({ plural: 'caliconodestatuses' }, { apiVersion, kind: 'CalicoNodeStatus', metadata: { name }, spec });
    };
    ask('mine', 'worker-1');
    ask('theirs', 'worker-2');
    const log = pino({ level: 'silent' });
    const options = { node: 'worker-1', client: kube, reflect: kube.reflect, log, source: async () => source };
    await using report = openCalicoReport(options);
    while (kube.writes.length === 0) await pause(5);
    expect(report.loops[0]?.failure).toBeUndefined();
    expect(kube.writes).toEqual(['patch caliconodestatuses mine/status']);
    expect(kube.all<KubeObject>('caliconodestatuses')[0]!['status']).toMatchObject({ bgp: { numberEstablishedV4: 2 } });
  });

  test('nowhere in a cluster without the kind, which is asked once', async () => {
    const kube = new MemoryKube();
    const log = pino({ level: 'silent' });
    const options = { node: 'worker-1', client: kube, reflect: kube.reflect, log, source: async () => source };
    await using report = openCalicoReport(options);
    await report.loops[0]!.settle();
    await report.loops[0]!.settle();
    expect(kube.requests).toEqual(['read /apis/crd.projectcalico.org/v1', 'read /apis/projectcalico.org/v3']);
  });
});
