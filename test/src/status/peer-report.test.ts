// One agent writes how BGPPeers do, for all.
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ClusterView } from '../../../src/desired/index.ts';
import type { KubeObject } from '../../../src/kube/port.ts';
import type { BGPPeerState } from '../../../src/status/model.ts';
import { type PeerReport, openPeerReport } from '../../../src/status/peer-report.ts';
import { MemoryKube } from '../../support/memory-kube.ts';
import { now } from '../cli/samples.ts';

const log = pino({ level: 'silent' });
const tor = { metadata: { name: 'tor' }, spec: { peerIP: '10.0.0.254', asNumber: 65001 } };
const names = Array.from({ length: 30 }, (_, index) => `worker-${index + 1}`);

let kube: MemoryKube;
let lease: { held: boolean };
let peers: object[];
let report: PeerReport;

beforeEach(async () => {
  vi.useFakeTimers({ now });
  kube = new MemoryKube();
  lease = { held: true };
  peers = [tor];
  for (const name of names) tell(name, 'Established');
  const view = () =>
    ({
      nodes: names.map((name) => ({ metadata: { name }, spec: { bgp: { ipv4Address: '10.0.0.1/24' } } })),
      ...{ pools: [], bgpConfigurations: [], filters: [], peerOptions: [], reservations: [], peers },
    }) as unknown as ClusterView;
  report = openPeerReport({ node: 'worker-1', client: kube, reflect: kube.reflect, log, view, lease });
  await pass(5000);
});
afterEach(async () => {
  const closing = report[Symbol.asyncDispose]();
  await pass(1000);
  await closing;
  vi.useRealTimers();
});

/** @param problem what keeps the node from the password: there is no session then. */
function tell(name: string, state: string, problem?: string): void {
  const session = { name: 'tor', bgpPeer: 'tor', state, since: '2026-11-21T11:00:00Z', families: [] };
  kube.put(
    { plural: 'noderoutingstatuses' },
    {
      apiVersion: 'projectmanx.org/v1',
      kind: 'NodeRoutingStatus',
      metadata: { name },
      status: {
        sessions: problem === undefined ? [session] : [],
        troubles:
          problem === undefined ? [] : [{ kind: 'BGPPeer', name: 'tor', path: 'spec.password', message: problem }],
      },
    },
  );
}

/** Time passes, a second at a time; in between what was begun goes on (loops wait for a real turn). */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    await vi.advanceTimersByTimeAsync(Math.min(1000, left));
    await pause(2);
  }
}

const said = () => kube.all<KubeObject & { readonly status: BGPPeerState }>('bgppeerstatuses')[0]?.status;

test('the count of all nodes is written', () => {
  expect(said()).toMatchObject({
    sessionsUp: '30/30',
    conditions: [{ type: 'Ready', status: 'True' }, {}, {}, {}, {}],
  });
});

test('the first session that goes down is written within two seconds', async () => {
  tell('worker-7', 'Active');
  await pass(2000);
  expect(said()?.sessionsUp).toBe('29/30');
});

test('what has to be done is written within two seconds, also when it turns out to be something else', async () => {
  tell('worker-7', 'Idle', 'Secret bgp cannot be read: not listed yet');
  await pass(2000);
  expect(said()?.summary).toBe('Secret bgp cannot be read: not listed yet');
  tell('worker-7', 'Idle', 'Secret bgp does not exist');
  await pass(2000);
  expect(said()?.summary).toBe('Secret bgp does not exist');
});

test('a BGPPeer that is not ready any more is an Event of it', async () => {
  kube.put({ plural: 'bgppeers' }, { apiVersion: 'crd.projectcalico.org/v1', kind: 'BGPPeer', ...tor });
  tell('worker-7', 'Active');
  await pass(3000);
  tell('worker-7', 'Established');
  await pass(3000);
  const about = { kind: 'BGPPeer', name: 'tor', uid: 'uid-tor' };
  expect(kube.all('events')).toMatchObject([
    { involvedObject: about, reason: 'BGPPeerNotReady', message: '29/30 sessions up: worker-7: not up yet' },
    { involvedObject: about, reason: 'BGPPeerReady', type: 'Normal', message: '30/30 sessions up' },
  ]);
});

test('a rolling restart of all nodes is a write every ten seconds', async () => {
  const before = kube.writes.length;
  for (const name of names) {
    tell(name, 'Active');
    await pass(1000);
    tell(name, 'Established');
    await pass(1000);
  }
  expect(kube.writes.length - before).toBeLessThanOrEqual(names.length * 2);
  await pass(20_000);
  expect(said()?.sessionsUp).toBe('30/30');
});

test('nothing is written while nothing changes', async () => {
  const before = kube.writes.length;
  await pass(300_000);
  expect(kube.writes.length).toBe(before);
});

test('what a node has said counts no more when nothing has been heard of it for eleven minutes', async () => {
  for (let minutes = 0; minutes < 12; minutes++) {
    for (const name of names.slice(1)) tell(name, 'Established');
    await pass(60_000);
  }
  expect(said()).toMatchObject({
    sessionsUp: '29/30',
    down: [{ node: 'worker-1', cause: 'no word from the agent there' }],
  });
});

test('what is said of a BGPPeer goes with it', async () => {
  peers = [];
  await pass(13_000);
  expect(kube.all('bgppeerstatuses')).toEqual([]);
});

test('who does not hold the Lease writes nothing', async () => {
  lease.held = false;
  const before = kube.writes.length;
  tell('worker-7', 'Active');
  await pass(20_000);
  expect(kube.writes.length).toBe(before);
});
