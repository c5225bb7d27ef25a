// How a BGPPeer does on all its nodes: the counts, the conditions, and the sentence that says what to do.
import { describe, expect, test } from 'vitest';
import type { ClusterView } from '../../../src/desired/index.ts';
import { bgpPeerStates } from '../../../src/status/peers.ts';
import type { BGPPeerState, NodeRouting, NodeSession } from '../../../src/status/model.ts';
import { now } from '../cli/samples.ts';

const node = (name: string, rack = 'a') => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { rack } },
  spec: { bgp: { ipv4Address: `10.0.0.${name.slice(-1)}/24` } },
});
const bgpPeer = (name: string, spec: object = {}) => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'BGPPeer',
  metadata: { name },
  spec: { peerIP: '10.0.0.254', asNumber: 65001, ...spec },
});
const view = (part: object = {}) =>
  ({
    nodes: [node('worker-1'), node('worker-2'), node('worker-3', 'b')],
    ...{ pools: [], bgpConfigurations: [], filters: [], peerOptions: [], reservations: [] },
    peers: [bgpPeer('tor')],
    ...part,
  }) as unknown as ClusterView;

const session = (part: Partial<NodeSession> = {}): NodeSession => ({
  ...{ name: 'tor', peer: '10.0.0.254', type: 'global', asn: 65001, bgpPeer: 'tor', state: 'Established' },
  since: '2026-11-21T11:00:00Z',
  flaps: 0,
  families: [],
  ...part,
});
const says = (sessions: readonly NodeSession[], troubles: NodeRouting['troubles'] = []) =>
  ({ sessions, troubles }) as unknown as NodeRouting;
const allUp = () => new Map(['worker-1', 'worker-2', 'worker-3'].map((name) => [name, says([session()])]));

interface Options {
  readonly peer?: string;
  readonly silent?: readonly string[];
  readonly before?: ReadonlyMap<string, BGPPeerState>;
  readonly at?: number;
  readonly peers?: readonly object[];
}

function stateOf(
  told: ReadonlyMap<string, NodeRouting>,
  { peer = 'tor', silent = [], before = new Map(), at = now, ...part }: Options = {},
): BGPPeerState {
  return bgpPeerStates({ view: view(part), told, silent: new Set(silent), before, now: at }).get(peer)!;
}
const conditionOf = (state: BGPPeerState, type: string) => state.conditions.find((each) => each.type === type)!;

describe('a BGPPeer is ready', () => {
  test('when all its sessions are up', () => {
    const state = stateOf(allUp());
    expect(state).toMatchObject({ sessionsUp: '3/3', summary: '', down: [] });
    expect(conditionOf(state, 'Ready')).toMatchObject({ status: 'True', reason: 'AllSessionsUp' });
  });

  test('without those that the configuration shuts down', () => {
    const told = allUp().set('worker-1', says([session({ state: 'Idle', shutDown: true })]));
    expect(stateOf(told).sessionsUp).toBe('2/2');
  });

  test('and says so when a filter of it does not exist', () => {
    const state = stateOf(allUp(), { peers: [bgpPeer('tor', { filters: ['f'] })] });
    expect(state.summary).toBe('BGPFilter f missing: no routes either way');
    expect(conditionOf(state, 'MissingFilter')).toMatchObject({ status: 'True' });
  });
});

describe('a BGPPeer is not ready', () => {
  test('when a session is down, and the first one is named with its cause', () => {
    const down = session({ state: 'Active', cause: 'connection refused' });
    const state = stateOf(
      allUp()
        .set('worker-1', says([down]))
        .set('worker-3', says([down])),
    );
    expect(state).toMatchObject({
      sessionsUp: '1/3',
      summary: 'worker-1: connection refused; and 1 more down',
      down: [{ node: 'worker-1', session: 'tor', cause: 'connection refused' }, { node: 'worker-3' }],
    });
    expect(conditionOf(state, 'Ready')).toMatchObject({ status: 'False', reason: 'SessionsDown' });
  });

  test('when its password is missing, which is the cause and no session an effect', () => {
    const trouble = { kind: 'BGPPeer', name: 'tor', path: 'spec.password', message: 'no Secret bgp' };
    const state = stateOf(allUp().set('worker-2', says([], [trouble])));
    expect(state).toMatchObject({ sessionsUp: '2/3', summary: 'no Secret bgp' });
    expect(conditionOf(state, 'Ready').reason).toBe('MissingSecret');
    expect(conditionOf(state, 'MissingSecret')).toMatchObject({ status: 'True' });
  });

  test('when an agent has not been heard of', () => {
    const told = allUp();
    told.delete('worker-2');
    const state = stateOf(told);
    expect(state).toMatchObject({ sessionsUp: '2/3', summary: 'worker-2: no word from the agent there' });
    expect(conditionOf(state, 'Ready').reason).toBe('AgentsSilent');
  });

  test('when an agent has fallen silent: what it said does not count any more', () => {
    expect(stateOf(allUp(), { silent: ['worker-1'] }).sessionsUp).toBe('2/3');
  });

  test('when it is for no node', () => {
    const state = stateOf(allUp(), { peers: [bgpPeer('tor', { nodeSelector: "rack == 'z'" })], peer: 'tor' });
    expect(conditionOf(state, 'Ready').reason).toBe('NoMatchingNode');
    expect(conditionOf(state, 'NoMatchingNode').status).toBe('True');
    expect(state.summary).toBe("no node is meant by it (nodeSelector rack == 'z')");
  });

  test('when another one has its address on all its nodes, and both say so', () => {
    const peers = [bgpPeer('tor'), bgpPeer('also', { nodeSelector: "rack == 'b'" })];
    const also = stateOf(allUp(), { peers, peer: 'also' });
    expect(also).toMatchObject({
      sessionsUp: '0/0',
      summary: 'BGPPeer tor, for the same address on 1 node, goes before this one',
    });
    expect(conditionOf(also, 'Ready').reason).toBe('Conflicting');
    const tor = stateOf(allUp(), { peers });
    expect(conditionOf(tor, 'Ready').status).toBe('True');
    expect(conditionOf(tor, 'Conflicting').message).toBe(
      'BGPPeer also, for the same address on 1 node, gives way to this one',
    );
  });
});

test('two BGPPeers with one address on different nodes are in nobody’s way', () => {
  const peers = [bgpPeer('tor', { nodeSelector: "rack == 'a'" }), bgpPeer('other', { nodeSelector: "rack == 'b'" })];
  expect(conditionOf(stateOf(allUp(), { peers }), 'Conflicting').status).toBe('False');
});

test('a condition that stays so is so since then, and one that changes since now', () => {
  const first = stateOf(allUp());
  const later = { before: new Map([['tor', first]]), at: now + 60_000 };
  const told = allUp().set('worker-1', says([session({ state: 'Active' })]));
  const since = (type: string) => conditionOf(stateOf(told, later), type).lastTransitionTime;
  expect(since('MissingSecret')).toBe('2026-11-21T12:00:00Z');
  expect(since('Ready')).toBe('2026-11-21T12:01:00Z');
});
