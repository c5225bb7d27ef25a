// Calico's condition Allocatable: what is said of a pool, and by whom.
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { IPPool } from '../../../src/resources/types.ts';
import { type PoolReport, openPoolReport } from '../../../src/status/pool-report.ts';
import { type Configured, type PoolObject, poolConditions } from '../../../src/status/pools.ts';
import type { Problem } from '../../../src/store/port.ts';
import { MemoryKube } from '../../support/memory-kube.ts';
import { pool } from '../../support/resources.ts';
import { now } from '../cli/samples.ts';

const apiVersion = 'crd.projectcalico.org/v1';
const a = pool('a', '10.82.0.0/16');

function object(of: IPPool, other: Partial<PoolObject> = {}): PoolObject {
  return { apiVersion, kind: 'IPPool', metadata: { name: of.metadata.name, generation: 1 }, ...other };
}

function made(of: IPPool, creationTimestamp: string): IPPool {
  return { ...of, metadata: { ...of.metadata, creationTimestamp } };
}

function configured(pools: readonly IPPool[], ...problems: readonly Problem[]): Configured {
  return { pools, problems };
}

const wrong: Problem = { kind: 'IPPool', name: 'a', path: 'spec.ipipMode', message: 'Always: no tunnels' };
const said = (conditions: ReturnType<typeof poolConditions>) =>
  conditions?.map(({ type, status, reason, message }) => [type, status, reason, message].join(' ').trim());

describe('a pool', () => {
  test.each<[string, Configured, string]>([
    ['in force', configured([a]), 'True PoolInForce'],
    [
      'that is disabled',
      configured([pool('a', '10.82.0.0/16', { disabled: true })]),
      'False PoolDisabled pods keep the addresses that they have, and get no new ones',
    ],
    [
      'that overlaps an older one',
      configured([made(a, '2026-11-30T12:00:00Z'), made(pool('b', '10.82.1.0/24'), '2026-11-29T12:00:00Z')]),
      'False PoolOverlaps IPPool b (10.82.1.0/24) was there before',
    ],
    [
      'that overlaps a younger one',
      configured([made(a, '2026-11-29T12:00:00Z'), made(pool('b', '10.82.1.0/24'), '2026-11-30T12:00:00Z')]),
      'True PoolInForce',
    ],
    ['that is wrong', configured([], wrong), 'False PoolWrong spec.ipipMode: Always: no tunnels'],
    [
      'that is wrong, and as it was before still in force',
      configured([a], wrong),
      'True PoolInForce spec.ipipMode: Always: no tunnels',
    ],
  ])('%s', (_, configuration, expected) => {
    expect(said(poolConditions(object(a), configuration, now))).toEqual([`Allocatable ${expected}`]);
  });

  test('that is being deleted gives nothing any more', () => {
    const leaving = object(a, { metadata: { name: 'a', deletionTimestamp: '2026-11-30T12:00:00Z' } });
    expect(said(poolConditions(leaving, configured([a]), now))).toEqual([
      'Allocatable False PoolBeingDeleted it is being deleted',
    ]);
  });

  test('that has not come into the configuration yet is nothing to talk about', () => {
    expect(poolConditions(object(a), configured([]), now)).toBeUndefined();
  });

  test('keeps what others say of it, and the moment since when it is so', () => {
    const other = { type: 'Other', status: 'True', reason: 'X', message: '', lastTransitionTime: 'then' } as const;
    const [, before] = poolConditions(object(a, { status: { conditions: [other] } }), configured([a]), now)!;
    expect(
      poolConditions(object(a, { status: { conditions: [other, before!] } }), configured([a]), now),
    ).toBeUndefined();
    const edited = object(a, { metadata: { name: 'a', generation: 2 }, status: { conditions: [other, before!] } });
    expect(poolConditions(edited, configured([a]), now + 60_000)).toEqual([
      other,
      { ...before, observedGeneration: 2 },
    ]);
  });

  test('of which a controller of Calico speaks is left to it', () => {
    const theirs = {
      type: 'Allocatable',
      status: 'False',
      reason: 'Theirs',
      message: '',
      lastTransitionTime: '',
    } as const;
    expect(poolConditions(object(a, { status: { conditions: [theirs] } }), configured([a]), now)).toBeUndefined();
  });
});

describe('the report', () => {
  let kube: MemoryKube;
  let lease: { held: boolean };
  let report: PoolReport | undefined;

  beforeEach(() => {
    vi.useFakeTimers({ now });
    kube = new MemoryKube();
    kube.put({ plural: 'ippools' }, object(a));
  });
  afterEach(async () => {
    const closing = report?.[Symbol.asyncDispose]();
    await pass(1000);
    await closing;
    vi.useRealTimers();
  });

  function start(held: boolean, resources: readonly string[]): void {
    lease = { held };
    kube.documents.set(`/apis/${apiVersion}`, { resources: resources.map((name) => ({ name })) });
    const options = { client: kube, reflect: kube.reflect, log: pino({ level: 'silent' }), lease };
    report = openPoolReport({ ...options, configured: () => configured([a]) });
  }

  /** Time passes, a second at a time; in between what was begun goes on (loops wait for a real turn). */
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1000) {
      await vi.advanceTimersByTimeAsync(Math.min(1000, left));
      await pause(2);
    }
  }

  test('is written once, by who holds the Lease, into the status alone', async () => {
    start(true, ['ippools', 'ippools/status']);
    await pass(60_000);
    expect(kube.writes).toEqual(['patch ippools a/status']);
    expect(kube.all<PoolObject>('ippools')[0]!.status?.conditions).toMatchObject([{ status: 'True' }]);
  });

  test('waits for the Lease', async () => {
    start(false, ['ippools', 'ippools/status']);
    await pass(60_000);
    expect(kube.requests).toEqual([]);
    lease.held = true;
    await pass(20_000);
    expect(kube.writes).toEqual(['patch ippools a/status']);
  });

  test('is not written where the definition has no status, and asks seldom', async () => {
    start(true, ['ippools']);
    await pass(300_000);
    expect(kube.requests).toEqual([`read /apis/${apiVersion}`, 'read /apis/projectcalico.org/v3']);
  });
});
