// Events: what is worth one, in which words, and that there are never many.
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../src/kube/port.ts';
import type { NodeRouting, NodeSession } from '../../../src/status/model.ts';
import { Bucket } from '../../../src/status/bucket.ts';
import { PATIENCE_MS, type Told, concernsOf, eventsBetween, flappedBetween } from '../../../src/status/concerns.ts';
import { EVENTS, Events } from '../../../src/status/events.ts';
import { nodeRouting } from '../../../src/status/node.ts';
import { MemoryKube } from '../../support/memory-kube.ts';
import { hour, minute, now, second, status } from '../cli/samples.ts';

const quiet = nodeRouting({ ...status, kernel: { ...status.kernel!, troubles: [] } }, now);
const up: NodeSession = { ...quiet.sessions[1]!, flaps: 0 };
const down: NodeSession = {
  ...up,
  state: 'Active',
  since: new Date(now).toISOString(),
  flaps: 1,
  cause: 'hold timer expired',
};
const routing = (part: Partial<NodeRouting>): NodeRouting => ({ ...quiet, sessions: [], ...part });
const between = (was: NodeRouting, is: NodeRouting, at = now) =>
  eventsBetween(concernsOf(was, at), concernsOf(is, at), flappedBetween(was, is));

describe('an event is', () => {
  test('a session that goes down, with the reason', () => {
    expect(between(routing({ sessions: [up] }), routing({ sessions: [down] }))).toEqual([
      {
        reason: 'BGPSessionDown',
        type: 'Warning',
        message: 'session tor-a (10.250.1.254, AS 65001) is down: hold timer expired',
      },
    ]);
  });

  test('one that comes back', () => {
    expect(between(routing({ sessions: [down] }), routing({ sessions: [up] }))).toEqual([
      { reason: 'BGPSessionUp', type: 'Normal', message: 'session tor-a is up' },
    ]);
  });

  test('one that went down and came back between two looks', () => {
    const again = { ...up, flaps: 1, lastError: { at: '', text: 'hold timer expired' } };
    expect(between(routing({ sessions: [up] }), routing({ sessions: [again] }))).toMatchObject([
      { reason: 'BGPSessionDown', message: 'session tor-a went down and came back: hold timer expired' },
    ]);
  });

  test('a password that cannot be had', () => {
    const trouble = { kind: 'BGPPeer', name: 'tor-a', path: 'spec.password', message: 'no Secret tor' };
    expect(between(routing({}), routing({ troubles: [trouble] }))).toMatchObject([
      { reason: 'BGPPasswordMissing', message: 'BGPPeer tor-a spec.password: no Secret tor' },
    ]);
  });

  test('anything else that the configuration asks for and cannot have', () => {
    const trouble = { kind: 'BGPFilter', name: 'f', message: 'does not exist' };
    expect(between(routing({}), routing({ troubles: [trouble] }))).toMatchObject([
      { reason: 'ConfigurationProblem', message: 'BGPFilter f: does not exist' },
    ]);
  });

  test('a route that the kernel refuses, and one that has a foreign one in the way', () => {
    const troubles = [
      { prefix: '10.1.0.0/16', trouble: 'refused', reason: 'Network is unreachable', since: '' },
      { prefix: '10.2.0.0/16', trouble: 'foreign', reason: 'proto static', since: '' },
    ] as const;
    expect(between(routing({}), routing({ routes: { ...quiet.routes!, troubles } }))).toMatchObject([
      { reason: 'RouteRefused', message: 'the kernel refuses 10.1.0.0/16: Network is unreachable' },
      { reason: 'ForeignRoute', message: 'a foreign route is in the way of 10.2.0.0/16: proto static' },
    ]);
  });

  test('a peer that goes beyond its limit, once', () => {
    const families = (discarded: number) => [{ ...up.families[0]!, limit: 10, discarded }];
    const within = routing({ sessions: [{ ...up, families: families(0) }] });
    const beyond = routing({ sessions: [{ ...up, families: families(3) }] });
    const further = routing({ sessions: [{ ...up, families: families(4) }] });
    expect(between(within, beyond)).toMatchObject([{ reason: 'BGPPrefixLimit', type: 'Warning' }]);
    expect(between(beyond, further)).toEqual([]);
  });

  test('one for all sessions that go down together', () => {
    const sessions = (session: NodeSession) => [1, 2, 3, 4, 5].map((n) => ({ ...session, name: `worker-${n}` }));
    const [event, ...more] = between(routing({ sessions: sessions(up) }), routing({ sessions: sessions(down) }));
    expect(more).toEqual([]);
    expect(event!.message).toMatch(/^session worker-1 .*; session worker-2 .*; session worker-3 .*; and 2 more$/);
  });
});

describe('no event is', () => {
  test('a session that has not come up yet after a start', () => {
    const starting = { ...down, flaps: 0 };
    expect(between(routing({}), routing({ sessions: [starting] }), now + PATIENCE_MS - 1)).toEqual([]);
    expect(between(routing({}), routing({ sessions: [starting] }), now + PATIENCE_MS)).toHaveLength(1);
  });

  test('the first time that it comes up', () => {
    expect(between(routing({ sessions: [{ ...down, flaps: 0 }] }), routing({ sessions: [up] }))).toEqual([]);
  });

  test('a session that the configuration shuts down', () => {
    expect(between(routing({ sessions: [up] }), routing({ sessions: [{ ...down, shutDown: true }] }))).toEqual([]);
  });
});

describe('in the API', () => {
  const node = { apiVersion: 'v1', kind: 'Node', name: 'worker-1', uid: 'uid-worker-1' };
  const lost: Told = { reason: 'BGPSessionDown', type: 'Warning', message: 'session tor-a is down' };
  type Stored = { readonly reason: string; readonly message: string };
  const stored = (kube: MemoryKube) => kube.all<KubeObject & Stored>('events');

  test('an Event stands with its node, where kubectl describe looks for it', async () => {
    const kube = new MemoryKube();
    const events = new Events(kube, 'worker-1');
    events.tell(node, [lost], now);
    await events.flush(now);
    expect(stored(kube)).toMatchObject([
      {
        metadata: { namespace: 'default' },
        involvedObject: { kind: 'Node', name: 'worker-1', uid: 'uid-worker-1' },
        ...lost,
        count: 1,
        firstTimestamp: '2026-11-21T12:00:00Z',
      },
    ]);
  });

  test('the same again counts it up', async () => {
    const kube = new MemoryKube();
    const events = new Events(kube, 'worker-1');
    for (const at of [now, now + minute]) {
      events.tell(node, [lost], at);
      await events.flush(at);
    }
    expect(stored(kube)).toMatchObject([{ count: 2, lastTimestamp: '2026-11-21T12:01:00Z' }]);
  });

  test('the same again is a new one when the old one is gone', async () => {
    const kube = new MemoryKube();
    const events = new Events(kube, 'worker-1');
    events.tell(node, [lost], now);
    await events.flush(now);
    kube.remove('events', stored(kube)[0]!.metadata.name);
    events.tell(node, [lost], now + second);
    await events.flush(now + second);
    expect(stored(kube)).toMatchObject([{ count: 1 }]);
  });

  test('what happened while the API server was away is said afterwards, with its time', async () => {
    const kube = new MemoryKube();
    kube.away = true;
    const events = new Events(kube, 'worker-1');
    events.tell(node, [lost], now);
    await expect(events.flush(now)).rejects.toThrow('connection refused');
    kube.away = false;
    await events.flush(now + hour);
    expect(stored(kube)).toMatchObject([{ firstTimestamp: '2026-11-21T12:00:00Z' }]);
  });

  test('a session that flaps every second for an hour makes few, and the rest is counted', async () => {
    const kube = new MemoryKube();
    const events = new Events(kube, 'worker-1');
    for (let at = now; at < now + hour; at += second) {
      events.tell(node, [{ ...lost, message: `session tor-a is down: ${at}` }], at);
      await events.flush(at);
    }
    expect(kube.writes.length).toBe(EVENTS.burst + 29);
    expect(stored(kube).at(-1)!.message).toMatch(/\(and 119 more that were not said one by one\)$/);
  });

  test('one reason that is noisy leaves the others their voice', async () => {
    const kube = new MemoryKube();
    const events = new Events(kube, 'worker-1');
    for (let n = 0; n < 100; n++) events.tell(node, [{ ...lost, message: `${n}` }], now);
    events.tell(node, [{ ...lost, reason: 'RouteRefused', message: 'no' }], now);
    await events.flush(now);
    expect(stored(kube).map(({ reason }) => reason)).toContain('RouteRefused');
  });
});

describe('a bucket', () => {
  test('gives its burst at once, then one every so often', () => {
    const bucket = new Bucket({ burst: 2, refillMs: 1000 });
    expect([0, 0, 0, 999, 1000, 1001].map((at) => bucket.take(at))).toEqual([true, true, false, false, true, false]);
  });

  test('neither gives nor takes when the clock is set back', () => {
    const bucket = new Bucket({ burst: 1, refillMs: 1000 });
    expect([bucket.take(5000), bucket.take(0), bucket.take(1000)]).toEqual([true, false, true]);
  });
});
