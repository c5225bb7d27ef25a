// The Node's condition NetworkUnavailable: nothing is scheduled to a node while it is True. Cloud controllers set it when
// a node is made, for somebody like us to take it away. Pure.
import type { KubeObject } from '../kube/port.ts';
import { timestamp } from './node.ts';

export interface NodeCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastHeartbeatTime?: string;
  readonly lastTransitionTime?: string;
}

const TYPE = 'NetworkUnavailable';
const UP = { status: 'False', reason: 'ManxIsUp', message: 'the routes of this node are in place' } as const;
const DOWN = { status: 'True', reason: 'ManxIsGone', message: 'Manx was taken off this node' } as const;

/**
 * What to patch into the status of the Node, if anything: routes are in place, so it must not say that there is no
 * network. Who has said so before us keeps the word, but at our start: another agent that is gone must not be blamed.
 */
export function networkIsUp(node: KubeObject, now: number, isStart: boolean): object | undefined {
  const { conditions = [] } = (node['status'] ?? {}) as { readonly conditions?: readonly NodeCondition[] };
  const said = conditions.find(({ type }) => type === TYPE);
  const isRight = said?.status === UP.status && (said.reason === UP.reason || !isStart);
  return isRight ? undefined : conditionPatch(UP, said, now);
}

/** For an uninstall: what to patch into the status of a Node. */
export function networkIsGone(now: number): object {
  return conditionPatch(DOWN, undefined, now);
}

function conditionPatch(to: typeof UP | typeof DOWN, said: NodeCondition | undefined, now: number): object {
  const time = timestamp(now);
  const lastTransitionTime = said?.status === to.status ? (said.lastTransitionTime ?? time) : time;
  // Conditions are merged by type: the kubelet's stay as they are.
  return { status: { conditions: [{ type: TYPE, ...to, lastHeartbeatTime: time, lastTransitionTime }] } };
}
