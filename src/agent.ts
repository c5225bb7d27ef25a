// The agent: store -> desired -> speaker -> best paths -> routes -> kernel, with pods and addresses on the one side and
// the API on the other. The order here is the order in which nothing is lost: first what outlived the last run (locks,
// mark, kernel, pods), then what is computed from it, and only then the doors.
import { join } from 'node:path';
import { sizeOf } from '#ip';
import type { AddressFamily } from '../bgp/message.ts';
import { startDiscovery } from '../fib/neighbours/index.ts';
import { type Cluster, joinCluster } from './agent/cluster.ts';
import { type ClusterCollection, startClusterCollection } from './agent/cluster-collection.ts';
import { assess } from './agent/health.ts';
import { type ClusterStatus, openClusterStatus, tellingExhaustion } from './agent/cluster-status.ts';
import { hindrances } from './agent/hindrances.ts';
import { type Kernel, openKernel } from './agent/kernel.ts';
import { lockFolders } from './agent/lock.ts';
import type { Loop } from './agent/loop.ts';
import { type Continuity, markRun } from './agent/mark.ts';
import { nodeMtu } from './agent/mtu.ts';
import { noteTo } from './agent/note.ts';
import { openPodDescriptions } from './agent/pod-facts.ts';
import { type Pods, openPods } from './agent/pods.ts';
import { mayEnterNamespaces } from './agent/privilege.ts';
import { Milestones, type Underway, openProbes } from './agent/probes.ts';
import { type RestartState, Router } from './agent/router.ts';
import { Secrets } from './agent/secrets.ts';
import type { AgentStatus, Failure, PodsStatus } from './agent/status.ts';
import { openStore } from './agent/store.ts';
import { serveApi } from './api/server.ts';
import type { AgentConfig } from './config.ts';
import { createDocuments } from './documents.ts';
import { type Ipam, createIpam, fileJournal } from './ipam/index.ts';
import { type Kube, openKube } from './kube/index.ts';
import { type Lease, standForLease } from './kube/lease.ts';
import type { Log } from './log.ts';
import { type NftTable, openNft } from './nft/index.ts';
import { type ServicesFollower, followServices, withoutCluster } from './services/follow.ts';
import { openMemory } from './services/memory.ts';
import type { Store } from './store/port.ts';
import { version } from './version.ts';

export interface Agent extends AsyncDisposable {
  /** The configuration may have changed: look now. */
  look(): void;
}

/**
 * Starts everything. Disposing of it closes the sessions as for a restart and leaves routes and pods as they are.
 * @throws FolderTaken when another agent has the state or run folder.
 */
export async function startAgent(config: AgentConfig, log: Log): Promise<Agent> {
  const startedAt = Date.now();
  await using stack = new AsyncDisposableStack();
  stack.use(await lockFolders([config.state, config.run]));
  const { node: name, ...settings } = config; // the name is in every line
  log.info({ ...settings, version }, 'manxd starts');
  const continuity = await markRun(config.state);
  const parts: Underway & { told?: ClusterStatus | undefined } = {};
  const milestones = new Milestones(config, parts);
  const probes = stack.use(openProbes(config.health, { underway: parts, milestones, log }));
  parts.hindrances = await hindrances(config);
  for (const hindrance of parts.hindrances) log.error({ hindrance }, 'this host does not let the agent work');

  const onNextHops = (): void => parts.router?.nextHopsChanged();
  const kernel = config.fib ? stack.use(openKernel({ log, sysctls: config.sysctls, onNextHops })) : undefined;
  parts.kernel = kernel;
  const nft = config.fib ? stack.use(openNft(log)) : undefined;
  const discovery = stack.use(
    startDiscovery({
      onChange: () => parts.router?.look(),
      note: noteTo(log),
    }),
  );
  // What needs the API server hangs on this one value; without it, everything is on this host.
  const kube = config.kubernetes && stack.use(await openKube(config.kubernetes));
  const store = stack.use(await openStore(config, kube));
  const lease = kube && stack.use(standForChores(kube, name, () => parts.router?.view?.nodes.length ?? 1, log));
  parts.store = store;
  const cluster = store.status().kind === 'kubernetes' ? stack.use(joinCluster(config, store, log)) : undefined;
  await cluster?.settle();
  const ipam = createIpam({
    ...{ store, node: name },
    // Files are not away.
    ...(store.status().kind === 'kubernetes' && { journal: fileJournal(join(config.state, 'addresses.json')) }),
    onConflict: (conflict) =>
      log.error(conflict, 'somebody else was given the address of a pod while this node was cut off: delete the pod'),
  });
  const collection = kube && lease && stack.use(startClusterCollection({ store, node: name, log, ...kube, lease }));
  const described = kube && config.cni ? stack.use(openPodDescriptions({ node: name, log, ...kube })) : undefined;
  const node = () => parts.router?.view?.nodes.find(({ metadata }) => metadata.name === name);
  const pods = config.cni
    ? stack.use(
        openPods({
          ...{ config, store, log },
          ipam: tellingExhaustion(ipam, (event) => parts.told?.tell(event)),
          onChange: () => parts.router?.look(),
          mtu: () => nodeMtu(node()?.spec),
          isInPlace: () => milestones.inPlace,
          podHalf: await podHalf(config),
          ...(described && { describePod: described.describe }),
        }),
      )
    : undefined;
  parts.pods = pods;

  const attachments: Pods['attachments'] = async () => (await pods?.attachments()) ?? [];
  const services = stack.use(
    kube === undefined
      ? withoutCluster(name)
      : followServices({
          ...{ reflect: kube.reflect, node: name, onChange: () => parts.router?.look() },
          memory: await openMemory(join(config.state, 'services.json')),
        }),
  );
  const restart = await restartState(continuity, kernel);
  // As Calico looks for them: in the namespace that we run in.
  const secrets = kube && stack.use(new Secrets({ ...kube, onChange: () => parts.router?.look() }));
  const links = { kernel, nft, services, discovery, attachments, secrets };
  const onNews = (): void => parts.told?.look();
  const router = stack.use(new Router({ config, store, ipam, log, restart, onNews, ...links }));
  parts.router = router;
  await router.settle();

  const told =
    kube &&
    lease &&
    stack.use(
      openClusterStatus({
        ...{ kube, lease, node: name, log },
        status: () => agentStatus(source),
        routes: () => kernel?.reconciler.routes(),
        view: () => router.view,
        problems: () => store.status().problems,
        isInPlace: () => milestones.inPlace,
      }),
    );
  parts.told = told;
  const source: Parts = {
    config,
    told,
    store,
    cluster,
    collection,
    ipam,
    kernel,
    nft,
    services,
    pods,
    router,
    probes,
    startedAt,
  };
  await pods?.serve();
  parts.servesCni = true;
  stack.use(await serveApi(join(config.run, 'agent.sock'), apiSource(source), log));
  log.info('ready');
  const kept = stack.move();
  return { look: () => router.look(), [Symbol.asyncDispose]: () => endWithin(kept, kube, log) };
}

/** So long the API server has for the last that it is told: that we hold the Lease no more, and how things are. */
const LAST_WORDS_MS = 2_000;

async function endWithin(all: AsyncDisposable, kube: Kube | undefined, log: Log): Promise<void> {
  const patience = setTimeout(() => {
    if (kube === undefined) return;
    log.warn({ server: kube.server }, 'stopping takes long: the API server is not waited for any more');
    kube.giveUp();
  }, LAST_WORDS_MS);
  try {
    await all[Symbol.asyncDispose]();
  } finally {
    clearTimeout(patience);
  }
}

/** One Lease for all that one agent does for the whole cluster. */
function standForChores({ client, namespace }: Kube, node: string, candidates: () => number, log: Log): Lease {
  return standForLease({
    ...{ client, namespace, candidates, name: 'manx', identity: node },
    changed: (held) => log.info({ held }, 'what one agent does for the cluster'),
    failed: (error) => log.debug({ error }, 'the Lease cannot be asked for'),
  });
}

async function podHalf({ podHalf: wish }: AgentConfig): Promise<'agent' | 'plugin'> {
  if (wish !== 'auto') return wish;
  return (await mayEnterNamespaces()) ? 'agent' : 'plugin';
}

const families: readonly AddressFamily[] = ['ipv4-unicast', 'ipv6-unicast'];

/** What peers are told: that we restart (RFC 4724: R), and for which families packets have flowed all the while (F). */
async function restartState(continuity: Continuity, kernel: Kernel | undefined): Promise<RestartState> {
  const forwarding = (await kernel?.inherited()) ?? [];
  if (continuity === 'preserved') return { restarting: true, forwarding: families };
  // The state folder may be new and the kernel not: then its routes tell.
  return { restarting: continuity === 'lost' || forwarding.length > 0, forwarding };
}

interface Parts {
  readonly config: AgentConfig;
  readonly store: Store;
  readonly cluster: Cluster | undefined;
  readonly collection: ClusterCollection | undefined;
  readonly ipam: Ipam;
  readonly kernel: Kernel | undefined;
  readonly nft: NftTable | undefined;
  readonly services: ServicesFollower;
  readonly pods: Pods | undefined;
  readonly router: Router;
  readonly probes: { readonly loops: readonly Loop[] };
  /** Absent where there is no cluster to tell. */
  readonly told: ClusterStatus | undefined;
  readonly startedAt: number;
}

function apiSource(parts: Parts): Parameters<typeof serveApi>[1] {
  const { config, store, ipam, kernel, services, router, startedAt } = parts;
  return {
    identity: { version, node: config.node, startedAt },
    status: () => agentStatus(parts),
    speaker: () => router.speaker,
    wishOf: (peer) => router.wishOf(peer),
    kernel: () => kernel?.reconciler,
    services: () => ({ status: services.status(), entries: services.entries() }),
    ipam,
    documents: createDocuments(store),
  };
}

async function agentStatus(parts: Parts): Promise<AgentStatus> {
  const { config, store, cluster, collection, kernel, nft, services, pods, router, probes, told, startedAt } = parts;
  const wired = await podsStatus(parts);
  const loops = [
    ...router.failures(),
    ...(kernel?.failures() ?? []),
    ...(nft?.failures() ?? []),
    ...(pods?.failures() ?? []),
    ...probes.loops,
    ...(cluster?.loops ?? []),
    ...(collection?.failures() ?? []),
    ...(told?.failures() ?? []),
  ];
  const status = {
    ...{ node: config.node, version, startedAt },
    parts: { fib: config.fib, cni: config.cni },
    ...(router.speaker && { bgp: router.speaker.status() }),
    shutDown: router.shutDown(),
    ...(wired.pods && { pods: wired.pods }),
    ...(kernel && { kernel: kernel.status() }),
    ...(nft && { nft: nft.status() }),
    ...(services.inCluster && { services: services.status() }),
    store: store.status(),
    ...(cluster && { addresses: cluster.addresses.states() }),
    troubles: [...router.troubles, ...(nft?.troubles ?? [])],
    failures: [...wired.failures, ...loops.flatMap(({ failure }) => failure ?? [])],
  };
  return { ...status, health: assess(status, Date.now()) };
}

/** A store that is away must not keep the rest of the status from being seen. */
async function podsStatus({ ipam, pods }: Parts): Promise<{ pods?: PodsStatus; failures: readonly Failure[] }> {
  try {
    const [blocks, attachments] = await Promise.all([ipam.ownBlocks(), pods?.attachments() ?? []]);
    const use = blocks.map(({ cidr, inUse }) => ({ cidr, inUse, total: Number(sizeOf(cidr)) }));
    const wired = attachments.filter(({ state }) => state === 'wired').length;
    return { pods: { wired, adding: attachments.length - wired, blocks: use }, failures: [] };
  } catch (error) {
    return { failures: [{ doing: 'reading blocks and records', since: Date.now(), error: (error as Error).message }] };
  }
}
