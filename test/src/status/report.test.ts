// What reaches the API server from one agent, and how much.
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PeerStatus } from '../../../bgp/status.ts';
import type { AgentStatus } from '../../../src/agent/status.ts';
import type { KubeObject } from '../../../src/kube/port.ts';
import type { NodeRouting } from '../../../src/status/model.ts';
import type { NodeCondition } from '../../../src/status/network.ts';
import { type Report, openReport } from '../../../src/status/report.ts';
import { MemoryKube } from '../../support/memory-kube.ts';
import { family, now, peer, status } from '../cli/samples.ts';

const log = pino({ level: 'silent' });
const nodes = { plural: 'nodes' };
const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } };
const tor = (part: object = {}) => peer({ address: '10.250.1.254', since: now - 1000, ...part });
const withPeer = (part: object = {}): AgentStatus => ({
  ...status,
  kernel: { ...status.kernel!, troubles: [] },
  bgp: { ...status.bgp!, peers: [tor(part)] as unknown as PeerStatus[] },
});

let kube: MemoryKube;
let agent: AgentStatus;
let inPlace: boolean;
let report: Report | undefined;

beforeEach(() => {
  vi.useFakeTimers({ now });
  kube = new MemoryKube();
  kube.put(nodes, node);
  agent = withPeer();
  inPlace = false;
});
afterEach(async () => {
  const closing = report?.[Symbol.asyncDispose]();
  await pass(1000);
  await closing;
  report = undefined;
  vi.useRealTimers();
});

/** Time passes, a second at a time; in between what was begun goes on (loops wait for a real turn). */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    await vi.advanceTimersByTimeAsync(Math.min(1000, left));
    await pause(2);
  }
}

async function open(): Promise<void> {
  report = openReport({
    ...{ node: 'worker-1', client: kube, reflect: kube.reflect, log },
    status: async () => agent,
    isInPlace: () => inPlace,
  });
  await pass(2000);
}

const told = () => kube.all<KubeObject & { readonly status: NodeRouting }>('noderoutingstatuses')[0]!;

describe('the object of a node', () => {
  test('is there as soon as the agent is, and belongs to the Node', async () => {
    await open();
    expect(told()).toMatchObject({
      apiVersion: 'projectmanx.org/v1',
      kind: 'NodeRoutingStatus',
      metadata: { name: 'worker-1', ownerReferences: [{ kind: 'Node', name: 'worker-1', uid: 'uid-worker-1' }] },
      status: { sessionsUp: '1/1' },
    });
  });

  test('says within a second that a session is down', async () => {
    await open();
    agent = withPeer({ state: 'Active', cause: 'hold timer expired' });
    report!.look();
    await pass(1000);
    expect(told().status).toMatchObject({ sessionsUp: '0/1', sessions: [{ cause: 'hold timer expired' }] });
  });

  test('says it also when nobody says "look"', async () => {
    await open();
    agent = withPeer({ state: 'Active' });
    await pass(13_000);
    expect(told().status.sessionsUp).toBe('0/1');
  });

  test('comes back when somebody deletes it', async () => {
    await open();
    kube.remove('noderoutingstatuses', 'worker-1');
    agent = withPeer({ state: 'Active' });
    await pass(13_000);
    expect(told().status.sessionsUp).toBe('0/1');
  });

  test('belongs to the new Node when one is made anew under the old name', async () => {
    kube.put(
      { plural: 'noderoutingstatuses' },
      { ...node, metadata: { ...node.metadata, ownerReferences: [{ uid: 'old' }] } },
    );
    await open();
    expect(told().metadata.ownerReferences).toMatchObject([{ uid: 'uid-worker-1' }]);
  });

  test('says what happened while the API server was away, once it is back', async () => {
    await open();
    kube.away = true;
    agent = withPeer({ state: 'Active' });
    await pass(300_000);
    expect(told().status.sessionsUp).toBe('1/1');
    kube.away = false;
    await pass(61_000);
    expect(told().status.sessionsUp).toBe('0/1');
  });
});

describe('a quiet agent', () => {
  test('writes nothing for four minutes, and once in five', async () => {
    inPlace = true;
    await open();
    const before = kube.writes.length;
    await pass(230_000);
    expect(kube.writes.slice(before)).toEqual([]);
    await pass(85_000);
    expect(kube.writes.slice(before)).toEqual(['patch noderoutingstatuses worker-1']);
  });

  test('reads its object once, and never again', async () => {
    await open();
    await pass(600_000);
    expect(kube.requests.filter((request) => request.startsWith('get'))).toEqual(['get noderoutingstatuses worker-1']);
  });

  test('whose peer keeps sending writes once a minute', async () => {
    await open();
    const before = kube.writes.length;
    for (let received = 0; received < 60; received++) {
      agent = withPeer({ families: [family({ received })] });
      await pass(10_000);
    }
    expect(kube.writes.length - before).toBeGreaterThanOrEqual(8);
    expect(kube.writes.length - before).toBeLessThanOrEqual(13);
  });

  test('whose peer is away and tried every five seconds writes it once, besides the beat', async () => {
    agent = withPeer({ state: 'Active', cause: 'connection refused' });
    await open();
    const before = kube.writes.length;
    for (let tries = 0; tries < 50; tries++) {
      const state = tries % 2 === 0 ? 'Connect' : 'Active';
      agent = withPeer({ state, since: Date.now(), cause: 'connection refused', reason: `next try in ${tries} s` });
      report!.look();
      await pass(4000);
    }
    expect(kube.writes.slice(before)).toEqual([expect.stringMatching(/^create events /)]);
  });
});

describe('a restart', () => {
  test('is no news: sessions that are up before and after it make no Event', async () => {
    await open();
    await report![Symbol.asyncDispose]();
    agent = { ...withPeer({ state: 'Idle', since: Date.now() }), startedAt: Date.now() };
    await open();
    agent = { ...withPeer({ since: Date.now() }), startedAt: agent.startedAt };
    await pass(60_000);
    expect(kube.all('events')).toEqual([]);
  });
});

describe('NetworkUnavailable', () => {
  const stored = () =>
    kube.all<KubeObject & { status?: { conditions?: NodeCondition[] } }>('nodes')[0]!.status?.conditions ?? [];
  const condition = () => stored().find(({ type }) => type === 'NetworkUnavailable');
  const conditions = (...all: object[]) => kube.put(nodes, { ...node, status: { conditions: all } });

  test('stays as it is until the routes are in place', async () => {
    await open();
    await pass(60_000);
    expect(condition()).toBeUndefined();
  });

  test('is cleared when they are, and the kubelet’s conditions stay', async () => {
    conditions(
      { type: 'Ready', status: 'True' },
      { type: 'NetworkUnavailable', status: 'True', reason: 'NoRouteCreated' },
    );
    inPlace = true;
    await open();
    expect(condition()).toMatchObject({ status: 'False', reason: 'ManxIsUp' });
    expect(stored()).toContainEqual({ type: 'Ready', status: 'True' });
  });

  test('is left alone thereafter, also when a session goes down', async () => {
    inPlace = true;
    await open();
    agent = withPeer({ state: 'Active' });
    await pass(600_000);
    expect(kube.writes.filter((request) => request.startsWith('patch nodes'))).toHaveLength(1);
  });

  test('is cleared again when somebody sets it again', async () => {
    inPlace = true;
    await open();
    conditions({ type: 'NetworkUnavailable', status: 'True', reason: 'NodeInitialization' });
    await pass(2000);
    expect(condition()).toMatchObject({ status: 'False', reason: 'ManxIsUp' });
  });

  test('takes over the word of an agent that was there before', async () => {
    conditions({ type: 'NetworkUnavailable', status: 'False', reason: 'CalicoIsUp' });
    inPlace = true;
    await open();
    expect(condition()).toMatchObject({ status: 'False', reason: 'ManxIsUp' });
  });
});
