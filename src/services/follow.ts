// Services and EndpointSlices as the API server tells of them, and what follows from them for this node, kept up to date.
//
// Nothing is followed as long as BGPConfiguration names no range: every node that follows all Services is a burden for
// the API server. What is held of an object is what announcing looks at, so other changes are no reason to look.
import { setTimeout as pause } from 'node:timers/promises';
import type { Prefix } from '#ip';
import type { Reflect, Reflection } from '../kube/port.ts';
import { serviceRanges } from '../desired/view.ts';
import { prefixSet } from '../desired/prefix-set.ts';
import {
  type AnnouncedServices,
  type ServiceEntry,
  type ServicesInput,
  isExcluded,
  servicesAnnouncer,
} from './announced.ts';
import type { Memory } from './memory.ts';
import { type ClusterNode, type EndpointSlice, type Service, isNetworkUnavailable, keep } from './objects.ts';

/** What the configuration and the node say; the rest is known here. */
export type ServicesBasis = Omit<ServicesInput, 'known'>;

export interface ServicesStatus {
  /** Whether Services are known: otherwise only ranges are announced, and what was announced before. */
  readonly known: boolean;
  readonly services: number;
  readonly endpointSlices: number;
  /** Why the API server's word is not the newest, if so. */
  readonly error?: string;
}

export interface ServicesFollower extends AsyncDisposable {
  /** Somebody here translates packets to Services: kube-proxy. */
  readonly inCluster: boolean;
  /** What is to be announced now; of the first call with ranges the cluster's Services are waited for. */
  announced(basis: ServicesBasis): Promise<AnnouncedServices>;
  /** Every range and address that could be announced, as it stands at this moment. */
  entries(): readonly ServiceEntry[];
  status(): ServicesStatus;
}

/** Without a cluster: ranges, and nothing to follow. */
export function withoutCluster(node: string): ServicesFollower {
  const announce = servicesAnnouncer(node);
  let latest: AnnouncedServices | undefined;
  return {
    inCluster: false,
    announced: (basis) => Promise.resolve((latest = announce(basis))),
    entries: () => latest?.entries ?? [],
    status: () => ({ known: false, services: 0, endpointSlices: 0 }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

export interface FollowOptions {
  readonly reflect: Reflect;
  readonly node: string;
  /** What is announced has changed: ask again. */
  readonly onChange: () => void;
  /** What was announced before the agent started anew. */
  readonly memory: Memory;
  readonly patienceMs?: number;
}

/** An API server that has given the configuration gives Services, too; one that is away is not waited for any longer. */
const PATIENCE_MS = 10_000;
/** Endpoints change in crowds. */
const GATHER_MS = 50;

export function followServices(options: FollowOptions): ServicesFollower {
  return new Follower(options);
}

interface Followed {
  readonly services: Reflection<Service>;
  readonly endpointSlices: Reflection<EndpointSlice>;
  readonly self: Reflection<ClusterNode>;
  readonly ready: Promise<void>;
  isReady: boolean;
}

class Follower implements ServicesFollower {
  readonly inCluster = true;
  private readonly options: FollowOptions;
  private readonly announce: (input: ServicesInput) => AnnouncedServices;
  private followed: Followed | undefined;
  private waited = false;
  private basis: ServicesBasis | undefined;
  private said = '';
  private gathering: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(options: FollowOptions) {
    this.options = options;
    this.announce = servicesAnnouncer(options.node);
  }

  async announced(basis: ServicesBasis): Promise<AnnouncedServices> {
    this.basis = basis;
    if (serviceRanges(basis.configuration).length === 0) await this.unfollow();
    else if (!this.closed) this.followed ??= this.follow();
    await this.firstLists();
    const announced = this.compute(basis);
    this.said = textOf(announced);
    if (this.followed?.isReady) await this.options.memory.keep(announced.addresses);
    return announced;
  }

  entries(): readonly ServiceEntry[] {
    return this.basis === undefined ? [] : this.compute(this.basis).entries;
  }

  status(): ServicesStatus {
    const { services, endpointSlices, self, isReady = false } = this.followed ?? {};
    const error = [services, endpointSlices, self].flatMap((each) => each?.status().error ?? [])[0];
    return {
      known: isReady,
      services: services?.status().items ?? 0,
      endpointSlices: endpointSlices?.status().items ?? 0,
      ...(error !== undefined && { error }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    await this.unfollow();
  }

  private follow(): Followed {
    const { reflect, node } = this.options;
    const services = reflect<Service>({ group: '', version: 'v1', plural: 'services' }, { keep: keep.service });
    const endpointSlices = reflect<EndpointSlice>(
      { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' },
      { labelSelector: '!service.kubernetes.io/headless', keep: keep.endpointSlice },
    );
    const self = reflect<ClusterNode>(
      { group: '', version: 'v1', plural: 'nodes' },
      { fieldSelector: `metadata.name=${node}`, keep: keep.node },
    );
    const ready = Promise.all([services.ready, endpointSlices.ready, self.ready]).then(() => {
      followed.isReady = true;
      this.changed();
    });
    const followed: Followed = { services, endpointSlices, self, ready, isReady: false };
    for (const reflection of [services, endpointSlices, self]) reflection.watch(() => this.changed());
    return followed;
  }

  private async unfollow(): Promise<void> {
    clearTimeout(this.gathering);
    this.gathering = undefined;
    const { services, endpointSlices, self } = this.followed ?? {};
    this.followed = undefined;
    await Promise.all([services, endpointSlices, self].flatMap((each) => each?.[Symbol.asyncDispose]() ?? []));
  }

  private async firstLists(): Promise<void> {
    if (this.waited || this.followed === undefined) return;
    const { patienceMs = PATIENCE_MS } = this.options;
    await Promise.race([this.followed.ready, pause(patienceMs, undefined, { ref: false })]);
    this.waited = true;
  }

  private compute(basis: ServicesBasis): AnnouncedServices {
    const { services, endpointSlices, self, isReady } = this.followed ?? {};
    if (!isReady) return this.remembered(this.announce({ ...basis, known: { services: [], endpointSlices: [] } }));
    const networkUnavailable = self!.all().some(isNetworkUnavailable);
    return this.announce({
      ...basis,
      node: { ...basis.node, networkUnavailable },
      known: { services: services!.all(), endpointSlices: endpointSlices!.all() },
    });
  }

  /** Not to know is no reason to withdraw what traffic may be on: it stays, as far as the ranges still allow it. */
  private remembered(announced: AnnouncedServices): AnnouncedServices {
    const { configuration, node } = this.basis!;
    const ranges = prefixSet(serviceRanges(configuration).map(({ cidr }) => cidr));
    const kept = isExcluded(node)
      ? []
      : this.options.memory.known.filter((prefix) => ranges.containing(prefix) !== undefined);
    const reason = 'as before the agent started: the API server has not told of Services yet';
    return {
      ...announced,
      addresses: kept,
      entries: [
        ...announced.entries,
        ...kept.map((prefix: Prefix) => ({ prefix, use: 'remembered' as const, announcedAs: prefix, reason })),
      ],
    };
  }

  private changed(): void {
    if (this.closed) return;
    this.gathering ??= setTimeout(() => {
      this.gathering = undefined;
      if (this.basis === undefined || this.followed === undefined) return;
      if (textOf(this.compute(this.basis)) !== this.said) this.options.onChange();
    }, GATHER_MS);
  }
}

function textOf({ ranges, addresses }: AnnouncedServices): string {
  return [...ranges, ...addresses].join();
}
