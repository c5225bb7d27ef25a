// Configuration → speaker → routes: what is computed when, from what.
//
// Each look computes from what is: the wish for the speaker, and the routes. What the speaker learns takes the short way
// straight to the reconciler, route by route. There is no speaker before there is a whole wish, so that the time in
// which peers may come back after a restart begins when they can.
import { setImmediate as turn } from 'node:timers/promises';
import { type Family, type Prefix, familyOfPrefix } from '#ip';
import { type BestRoute, type Speaker, createSpeaker } from '../../bgp/index.ts';
import type { AddressFamily } from '../../bgp/message.ts';
import type { PeerWish, SpeakerWish } from '../../bgp/wish.ts';
import type { Attachment } from '../../cni/port.ts';
import type { RouteChange } from '../../fib/index.ts';
import type { Discovery } from '../../fib/neighbours/index.ts';
import { BGP_METRIC, type Route } from '../../fib/route.ts';
import type { AgentConfig } from '../config.ts';
import {
  type ClusterView,
  type LearnedRoute,
  desiredRoutes,
  desiredSpeaker,
  readView,
  routeLearner,
  routePriority,
  servicesBasis,
  speakingNodes,
} from '../desired/index.ts';
import type { Ipam } from '../ipam/index.ts';
import type { Log } from '../log.ts';
import type { AnnouncedServices } from '../services/announced.ts';
import type { ServicesFollower } from '../services/follow.ts';
import type { Problem, Store } from '../store/port.ts';
import type { Kernel } from './kernel.ts';
import { Loop } from './loop.ts';
import type { NftTable } from '../nft/index.ts';
import { noteTo } from './note.ts';
import { readPasswords } from './passwords.ts';
import type { Secrets } from './secrets.ts';
import { type Sweep, createSweep } from './sweep.ts';

export interface RouterOptions {
  readonly config: AgentConfig;
  readonly store: Store;
  readonly ipam: Pick<Ipam, 'ownBlocks'>;
  readonly log: Log;
  /** Absent: routes stay with the speaker. */
  readonly kernel?: Kernel | undefined;
  /** Absent: packets are not translated, nor thrown away. */
  readonly nft?: Pick<NftTable, 'follow'> | undefined;
  /** Which addresses of Services are to be announced. */
  readonly services: Pick<ServicesFollower, 'announced' | 'inCluster'>;
  /** Who is on the links of unnumbered peers; to be followed by {@link Router.look}. */
  readonly discovery: Pick<Discovery, 'follow' | 'sighting'>;
  /** What is wired here. */
  readonly attachments: () => Promise<readonly Attachment[]>;
  readonly restart: RestartState;
  /** Status shows something new. */
  readonly onNews?: () => void;
  /** Where passwords may be as well; absent without Kubernetes. */
  readonly secrets?: Pick<Secrets, 'read' | 'sweep'> | undefined;
}

export interface RestartState {
  /** There was a run before this one, and peers may be waiting for us. */
  readonly restarting: boolean;
  /** Families whose packets have flowed all the while. */
  readonly forwarding: readonly AddressFamily[];
}

/** Beyond, what has not come back is not waited for, and its routes go (RFC 4724 §4.1: the deferral timer). */
const DEFERRAL_SECONDS = 60;
/** Files that no hint tells about (passwords) take effect within this time. */
const LOOK_EVERY_MS = 15_000;
/** So many routes are gone through before others get a turn. */
const SLICE = 2000;

export class Router implements AsyncDisposable {
  private readonly options: RouterOptions;
  private readonly loop: Loop;
  private readonly stopWatching: () => void;
  private readonly sweep: Sweep;
  private running: Speaker | undefined;
  private wish: SpeakerWish | undefined;
  private latest: ClusterView | undefined;
  private known: readonly Problem[] = [];
  private reported = '';
  /** What the node itself wants in the kernel: pods, blocks, ways to peers. */
  private own: ReadonlyMap<string, Route> = new Map();
  private learn: (best: LearnedRoute) => Route | undefined = () => undefined;
  /** Of what BGP brings, by family; and while all of it changes over, what it was before. */
  private metrics: Readonly<Record<Family, number>> = { 4: BGP_METRIC, 6: BGP_METRIC };
  private former = this.metrics;
  /** What the routes were last computed from. */
  private basis = '';
  private closing = false;

  constructor(options: RouterOptions) {
    this.options = options;
    const work = (): Promise<void> => this.compute();
    this.loop = new Loop({ doing: 'following the configuration', log: options.log, everyMs: LOOK_EVERY_MS, work });
    this.sweep = createSweep(() => this.release());
    this.stopWatching = options.store.watch(
      [
        'Node',
        'IPPool',
        'BGPConfiguration',
        'BGPPeer',
        'BGPFilter',
        'PeerOptions',
        'BlockAffinity',
        'FelixConfiguration',
      ],
      () => this.look(),
    );
  }

  look(): void {
    this.loop.look();
  }

  /** Looks, and resolves when what was seen is under way. */
  settle(): Promise<void> {
    return this.loop.settle();
  }

  /** A next hop can be reached now that could not, or the other way round, or by another gateway. */
  nextHopsChanged(): void {
    this.basis = '';
    this.running?.nextHopsChanged();
    this.look();
  }

  get speaker(): Speaker | undefined {
    return this.running;
  }

  get view(): ClusterView | undefined {
    return this.latest;
  }

  get troubles(): readonly Problem[] {
    return this.known;
  }

  failures(): Loop[] {
    return [this.loop];
  }

  shutDown(): readonly string[] {
    return (this.wish?.peers ?? []).filter(({ shutdown }) => shutdown !== undefined).map(({ name }) => name);
  }

  /** A dynamic peer is called after the wish that it came by, and its address. */
  wishOf(peer: string): Omit<PeerWish, 'address' | 'passive' | 'port'> | undefined {
    const { peers = [], dynamicPeers = [] } = this.wish ?? {};
    return peers.find(({ name }) => name === peer) ?? dynamicPeers.find(({ name }) => peer.startsWith(`${name} `));
  }

  /** As for a restart: no NOTIFICATION, and what the sessions take with them when they close reaches no kernel. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.closing = true;
    this.sweep.cancel();
    this.stopWatching();
    await this.loop.close();
    await this.running?.close('restart');
  }

  private async compute(): Promise<void> {
    const { config, store, ipam, secrets } = this.options;
    const [view, blocks, attachments] = await Promise.all([
      readView(store),
      ipam.ownBlocks(),
      this.options.attachments(),
    ]);
    const password = await readPasswords(config.config, view, secrets && ((where) => secrets.read(where)));
    const ownBlocks = blocks.map(({ cidr }) => cidr);
    const { discovery } = this.options;
    const announced = await this.servicesOf(view);
    const { wish, links, troubles } = desiredSpeaker({
      ...{ view, ownBlocks, node: config.node, password },
      ownAddresses: attachments.flatMap(({ addresses }) => addresses),
      services: announced,
      sighting: (link) => discovery.sighting(link),
      ...(config.listenPort !== undefined && { listenPort: config.listenPort }),
      ...(config.routerId !== undefined && { routerId: config.routerId }),
    });
    this.latest = view;
    this.reportProblems(store.status().problems);
    secrets?.sweep();
    this.report(troubles);
    // Without a wish, what was wished before stays in force, in the speaker and in the kernel.
    if (wish === undefined || this.closing) return;
    discovery.follow(links);
    this.wish = wish;
    this.running ??= this.startSpeaker();
    this.running.apply(wish);
    this.options.nft?.follow({
      ...{ view, node: config.node, services: [...announced.ranges, ...announced.addresses] },
      translated: this.options.services.inCluster,
    });
    await this.updateRoutes({ view, ownBlocks, attachments });
  }

  private async servicesOf(view: ClusterView): Promise<AnnouncedServices> {
    const self = speakingNodes(view).find(({ name }) => name === this.options.config.node);
    if (self === undefined) return { ranges: [], addresses: [], entries: [] };
    return this.options.services.announced(servicesBasis(view, self));
  }

  private startSpeaker(): Speaker {
    const { restart, log, kernel, onNews } = this.options;
    log.info({ ...restart }, 'BGP speaker starts');
    const tell = noteTo(log);
    return createSpeaker({
      restart: { ...restart, deferralSeconds: DEFERRAL_SECONDS },
      ...(kernel && { resolve: (nextHop) => kernel.resolve(nextHop) }),
      events: {
        best: (changes) => {
          this.sweep.changed();
          this.follow(changes);
        },
        converged: () => this.sweep.converged(),
        note: (fact) => {
          tell(fact);
          onNews?.();
        },
      },
    });
  }

  /** What is left from before our start is nobody's any more. */
  private release(): void {
    this.options.log.info('converged; routes from before the start that nobody announces any more may go');
    this.options.kernel?.reconciler.release();
  }

  private async updateRoutes(from: RoutesBasis): Promise<void> {
    const { kernel, config } = this.options;
    if (kernel === undefined) return;
    const basis = JSON.stringify(from);
    if (basis === this.basis) return;
    const input = { ...from, node: config.node };
    const before = this.own;
    this.own = new Map(desiredRoutes({ ...input, best: [] }).map((route) => [keyOf(route), route]));
    this.learn = routeLearner(input);
    this.metrics = { 4: routePriority(from.view, 4), 6: routePriority(from.view, 6) };
    const gone = [...before.values()].filter((route) => !this.own.has(keyOf(route)));
    kernel.reconciler.change([
      ...[...this.own.values()].map((route): RouteChange => ({ ...route, route })),
      ...gone.map(({ prefix, metric }): RouteChange => ({ prefix, metric })),
    ]);
    this.basis = basis;
    await this.learnAll();
    this.former = this.metrics;
  }

  /** All best paths anew, a slice at a time; what changes meanwhile is followed as ever. */
  private async learnAll(): Promise<void> {
    let slice: BestRoute[] = [];
    for (const best of this.running?.best() ?? []) {
      if (slice.push(best) < SLICE) continue;
      this.follow(slice);
      slice = [];
      await turn();
    }
    this.follow(slice);
  }

  private follow(changes: readonly BestRoute[]): void {
    const { kernel } = this.options;
    if (this.closing || kernel === undefined) return;
    kernel.reconciler.change(changes.flatMap((best) => this.changesOf(best, kernel)));
  }

  private changesOf({ prefix, paths }: BestRoute, kernel: Kernel): RouteChange[] {
    const family = familyOfPrefix(prefix);
    const metric = this.metrics[family];
    // A block of ours has its blackhole under this very key, whatever anybody announces.
    const own = this.own.get(keyOf({ prefix, metric }));
    const route =
      own ?? (paths.length === 0 ? undefined : this.learn({ prefix, paths: paths.map(throughGateway(kernel)) }));
    const change = { prefix, metric, route };
    const was = this.former[family];
    return was === metric ? [change] : [change, { prefix, metric: was }];
  }

  private reportProblems(problems: readonly Problem[]): void {
    const text = JSON.stringify(problems);
    if (text === this.reported) return;
    this.reported = text;
    if (problems.length > 0)
      this.options.log.error({ problems }, 'the configuration has problems, what was last right stays in force');
    else this.options.log.info('the configuration is in force');
  }

  private report(troubles: readonly Problem[]): void {
    const isNews = JSON.stringify(troubles) !== JSON.stringify(this.known);
    this.known = troubles;
    if (isNews) this.options.onNews?.();
    if (isNews && troubles.length > 0)
      this.options.log.warn({ troubles }, 'the configuration asks for what cannot be had');
  }
}

/** What the node's own routes follow from. */
interface RoutesBasis {
  readonly view: ClusterView;
  readonly ownBlocks: readonly Prefix[];
  readonly attachments: readonly Attachment[];
}

/** The kernel takes only neighbours for gateways: a next hop further away is reached through one. */
function throughGateway(kernel: Kernel): (path: BestRoute['paths'][number]) => LearnedRoute['paths'][number] {
  return ({ nextHop, interface: dev }) => {
    const found = kernel.resolve(nextHop, dev);
    const via = found.gateway ?? nextHop;
    const out = dev ?? found.interface;
    return { nextHop: via, ...(out !== undefined && { interface: out }) };
  };
}

function keyOf({ prefix, metric }: { readonly prefix: Prefix; readonly metric: number }): string {
  return `${prefix} ${metric}`;
}
