// `manxctl node status`: how this node does, and why if not well.
import type { AgentStatus, KernelStatus } from '../../agent/status.ts';
import type { AddressState } from '../../autodetect/decide.ts';
import type { Problem, StoreStatus } from '../../store/port.ts';
import { formatProblems } from '../../store/problems.ts';
import { agoText, countText, durationText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { type View, sessionTable } from '../sessions.ts';
import type { OpenTarget } from '../target.ts';
import { allNodesRouting, nodeRoutingStatus } from './node-routing.ts';

/** Of this node from its agent; of another one, or on a cluster, from what its agent has told the cluster. */
export async function nodeStatus(context: Context, open: OpenTarget, node: string | undefined): Promise<void> {
  await using target = await open();
  if (target.at === 'folder') throw new CliError('usage', ['a folder does not say how a node does: an agent does']);
  if (target.at === 'cluster') {
    const { client } = target.kube;
    await (node === undefined ? allNodesRouting(context, client) : nodeRoutingStatus(context, client, node));
    return;
  }
  const status = await target.api.get<AgentStatus>('/v1/status');
  if (node !== undefined && node !== status.node) {
    throw new CliError('usage', [
      `the agent that answers here is that of ${status.node}`,
      `how ${node} does is in the cluster:  manxctl --kubeconfig FILE --node ${node} node status`,
    ]);
  }
  context.show(status, (view) => renderNodeStatus(status, { now: context.now(), ...view }));
  if (status.health.state === 'degraded') context.degraded();
}

export function renderNodeStatus(status: AgentStatus, view: View): string[] {
  return [
    headline(status, view),
    verdict(status, view),
    '',
    ...summary(status, view),
    ...(status.troubles.length === 0 ? [] : ['', ...troubleLines(status.troubles)]),
    ...([4, 6] as const).flatMap((family) => ['', ...sessionTable(status.bgp?.peers ?? [], family, view)]),
  ];
}

function headline({ node, bgp, version, startedAt }: AgentStatus, { now }: View): string {
  const identity = bgp === undefined ? [] : [`AS ${bgp.asn}`, `router ID ${bgp.routerId}`];
  return [node, ...identity, `manx ${version}, up ${durationText(now - startedAt)}`].join('  ');
}

function verdict({ health, bgp }: AgentStatus, { paint }: View): string {
  if (health.state === 'degraded') return `${paint.bad('degraded')}: ${health.reasons.join('; ')}`;
  const peers = bgp?.peers ?? [];
  const up = peers.filter(({ state }) => state === 'Established').length;
  return `${paint.good('good')}: ${peers.length === 0 ? 'no peers configured' : `${up} of ${countText(peers.length, 'session')} up`}`;
}

function summary(status: AgentStatus, { now }: View): string[] {
  return [
    ...(status.addresses ?? []).map((state) => `  IPv${state.family}     ${addressLine(state)}`),
    `  pods     ${podsText(status)}`,
    `  kernel   ${status.kernel === undefined ? 'left alone (--no-fib)' : kernelText(status.kernel, now)}`,
    ...(status.nft?.wished ? [`  nft      ${nftText(status.nft, now)}`] : []),
    `  store    ${storeText(status.store, now)}`,
  ];
}

/** What was found where and how, or why nothing was; what is wrong stands in the verdict as well. */
function addressLine({ address = 'none', interface: link, how, problem }: AddressState): string {
  const place = link === undefined ? '' : ` on ${link}`;
  return `${address}${place} (${how})${problem === undefined ? '' : `: ${problem}`}`;
}

function podsText({ pods, parts }: AgentStatus): string {
  const blocks = (pods?.blocks ?? []).map(({ cidr, inUse, total }) => `${cidr} (${inUse} of ${total})`);
  const held = blocks.length === 0 ? 'no blocks yet' : `blocks ${blocks.join(', ')}`;
  if (!parts.cni) return `not wired here (--no-cni)${blocks.length === 0 ? '' : `, ${held}`}`;
  const adding = pods !== undefined && pods.adding > 0 ? `, ${pods.adding} being wired` : '';
  return `${pods?.wired ?? 0} wired${adding}, ${held}`;
}

function kernelText(kernel: KernelStatus, now: number): string {
  const troubled = (kind: string): number => kernel.troubles.filter(({ trouble }) => trouble === kind).length;
  const inTheWay = troubled('foreign') + troubled('shadowed');
  const counts = [
    countText(kernel.installed, 'route'),
    `${troubled('refused')} refused`,
    `${kernel.missing} missing`,
    ...(inTheWay > 0 ? [`${inTheWay} foreign in the way (manxctl fib diff)`] : []),
    ...(kernel.stale > 0 ? [`${kernel.stale} kept from before the restart`] : []),
    ...(kernel.repairs > 0 ? [`${kernel.repairs} repaired`] : []),
  ];
  const checked =
    kernel.lastFullCheck === undefined ? 'not checked yet' : `checked ${agoText(now - kernel.lastFullCheck)}`;
  return `${counts.join(', ')}; ${checked}`;
}

/** Only where there is something to keep: most nodes need no table. */
function nftText({ lastCheck, repairs }: NonNullable<AgentStatus['nft']>, now: number): string {
  const checked = lastCheck === undefined ? 'not checked yet' : `checked ${agoText(now - lastCheck)}`;
  return `table inet manx${repairs > 0 ? `, ${repairs} repaired` : ''}; ${checked}`;
}

function storeText(store: StoreStatus, now: number): string {
  if (store.error !== undefined) return `${store.kind}, away: ${store.error}`;
  const step =
    store.inStepSince === undefined ? 'not read yet' : `in step since ${durationText(now - store.inStepSince)}`;
  const problems =
    store.problems.length === 0 ? '' : `; ${countText(store.problems.length, 'problem')} (manxd --check)`;
  return `${store.kind}, ${step}${problems}`;
}

function troubleLines(troubles: readonly Problem[]): string[] {
  return ['The configuration asks for what cannot be had:', ...formatProblems(troubles).split('\n')];
}
