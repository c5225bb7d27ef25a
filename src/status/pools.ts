// Whether addresses are given from an IPPool, and why not: Calico's condition Allocatable. Pure.
import { elderOf } from '../ipam/choose.ts';
import type { KubeObject } from '../kube/port.ts';
import type { Condition, IPPool } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';
import { timestamp } from './node.ts';

const TYPE = 'Allocatable';

export interface PoolObject extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** The configuration as agents hold it. */
export interface Configured {
  /** Those in force: as they are, or as they were when they were last right. */
  readonly pools: readonly IPPool[];
  readonly problems: readonly Problem[];
}

/** The conditions that the pool should have, with those of others as they are; undefined where it has them. */
export function poolConditions(
  { metadata, status }: PoolObject,
  configured: Configured,
  now: number,
): readonly Condition[] | undefined {
  const conditions = status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === TYPE);
  // Calico's own controller may run as well; two that correct one another would never end.
  if (before !== undefined && !isOurs(before)) return undefined;
  const found = metadata.deletionTimestamp === undefined ? verdict(metadata.name, configured) : leaving;
  if (found === undefined) return undefined;
  const [reason, message] = found;
  const said = { type: TYPE, status: reason === 'PoolInForce' ? 'True' : 'False', reason, message } as const;
  const observed = metadata.generation === undefined ? {} : { observedGeneration: metadata.generation };
  const isSame = before?.reason === reason && before.message === message;
  if (isSame && before.observedGeneration === metadata.generation) return undefined;
  const lastTransitionTime = before?.status === said.status ? before.lastTransitionTime : timestamp(now);
  return [...conditions.filter(({ type }) => type !== TYPE), { ...said, ...observed, lastTransitionTime }];
}

const reasons = ['PoolInForce', 'PoolDisabled', 'PoolOverlaps', 'PoolWrong', 'PoolBeingDeleted'] as const;
type Verdict = readonly [reason: (typeof reasons)[number], message: string];

const leaving: Verdict = ['PoolBeingDeleted', 'it is being deleted'];

function isOurs({ reason }: Condition): boolean {
  return (reasons as readonly string[]).includes(reason);
}

/** Undefined for a pool that has not come into the configuration yet. */
function verdict(name: string, { pools, problems }: Configured): Verdict | undefined {
  const wrong = problems.filter((problem) => problem.kind === 'IPPool' && problem.name === name);
  const what = wrong.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ');
  const pool = pools.find(({ metadata }) => metadata.name === name);
  if (pool === undefined) return what === '' ? undefined : ['PoolWrong', what];
  const elder = elderOf(pool, pools);
  if (elder !== undefined) {
    return ['PoolOverlaps', `IPPool ${elder.metadata.name} (${elder.spec.cidr}) was there before`];
  }
  if (pool.spec.disabled) return ['PoolDisabled', 'pods keep the addresses that they have, and get no new ones'];
  // Something may be wrong with it and the last that was right be in force.
  return ['PoolInForce', what];
}
