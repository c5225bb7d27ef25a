// What no node's own agent can put right: the remains of nodes that no longer exist, and what stands in nobody's name.
//
// One agent at a time does this (by a Lease; on files, any), but that only spares the store: every write is a
// compare-and-swap on what was seen, so that two at once, or one whose lease has run out, do no harm. Of a node that
// exists nothing is touched that its own agent could still speak for: its leaks are its own affair (collect.ts).
import { type Prefix, addressAt } from '#ip';
import type { BlockAffinity, IPAMBlock, IPAMBlockSpec, IPAMHandle } from '../resources/types.ts';
import { handleName } from '../resources/names.ts';
import type { Store } from '../store/port.ts';
import { allocated, free, hostOf, isEmpty, nextRevision } from './block.ts';
import { type Site, TRIALS, releaseEmptyBlock } from './claim.ts';
import { type Collected, sweepAffinities } from './collect.ts';
import { createLive, deleteUnchanged, getAffinity, getBlock, ifUnchanged, listLive, newAffinity } from './data.ts';
import { IpamError } from './error.ts';
import { tidyHandle } from './handles.ts';
import { KEEPING_HANDLE } from './kept.ts';
import { Known } from './known.ts';

export interface ClusterCollectorOptions {
  readonly store: Store;
  /** The node that does it. */
  readonly node: string;
  /** Whether there is such a node, asked of whoever knows at this moment. */
  readonly isNode: (name: string) => Promise<boolean>;
  /** How long a node has to be gone, and a handle to be without addresses; {@link GRACE_MS} by default. */
  readonly graceMs?: number;
  /** Asked before each thing that is taken away. */
  readonly mayGoOn?: () => boolean;
  readonly clock: () => number;
  /** Monotonic ms. */
  readonly uptime: () => number;
  readonly pause: (attempt: number) => Promise<void>;
}

/** What was taken away. */
export interface ClusterCollected {
  readonly nodes: readonly string[];
  readonly addresses: readonly Collected[];
  readonly blocks: readonly Prefix[];
  readonly handles: readonly string[];
}

/** Long enough for a node that is deleted and made anew to come back to its own. */
export const GRACE_MS = 5 * 60_000;

export class ClusterCollector {
  readonly #options: ClusterCollectorOptions;
  readonly #site: Site;
  /** What looks like litter, by what it was: since when this process has seen it so without a break. */
  #suspects = new Map<string, number>();

  constructor(options: ClusterCollectorOptions) {
    const { store, node, clock, pause } = options;
    this.#options = options;
    const known = new Known(store, node);
    this.#site = { store: known.store, known, node, now: clock, pause };
  }

  /** Looks at everything once. What was seen the same way for the time of grace goes. @throws StoreError, IpamError */
  async run(): Promise<ClusterCollected> {
    const { store } = this.#site;
    // Handles before blocks: an ADD writes its handle first, and what it holds is then among the blocks or not yet.
    const handles = await listLive(store, 'IPAMHandle');
    const blocks = await listLive(store, 'IPAMBlock');
    const affinities = await listLive(store, 'BlockAffinity');
    const gone = await this.#goneNodes(blocks, affinities);
    const orphans = orphansAmong(handles, blocks);
    const due = this.#due([
      ...gone.map((name) => `node ${name}`),
      ...orphans.map(({ metadata }) => `handle ${metadata.name} ${metadata.resourceVersion}`),
    ]);
    const dead = new Set(gone.filter((name) => due.has(`node ${name}`)));
    const cleared = await this.#clear(blocks, affinities, dead);
    const dropped = await this.#dropHandles(
      orphans.filter(({ metadata }) => due.has(`handle ${metadata.name} ${metadata.resourceVersion}`)),
    );
    await this.#giveAffinities(blocks, affinities, new Set(gone));
    await sweepAffinities(this.#site);
    return { nodes: [...dead], ...cleared, handles: dropped };
  }

  async #goneNodes(blocks: readonly IPAMBlock[], affinities: readonly BlockAffinity[]): Promise<string[]> {
    const named = new Set([
      ...blocks.flatMap(({ spec }) => [hostOf(spec), ...usersOf(spec)]),
      ...affinities.filter(({ spec }) => spec.type === 'host').map(({ spec }) => spec.node),
    ]);
    const known = new Set((await this.#site.store.list('Node')).map(({ metadata }) => metadata.name));
    const gone: string[] = [];
    for (const name of named) {
      if (name === undefined || known.has(name) || name === this.#site.node) continue;
      if (!(await this.#options.isNode(name))) gone.push(name);
    }
    return gone;
  }

  /** Those that have been suspects for the time of grace; whoever is none any more begins anew. */
  #due(suspects: readonly string[]): ReadonlySet<string> {
    const now = this.#options.uptime();
    this.#suspects = new Map(suspects.map((name) => [name, this.#suspects.get(name) ?? now]));
    const grace = this.#options.graceMs ?? GRACE_MS;
    return new Set(suspects.filter((name) => now - this.#suspects.get(name)! >= grace));
  }

  async #clear(
    blocks: readonly IPAMBlock[],
    affinities: readonly BlockAffinity[],
    dead: ReadonlySet<string>,
  ): Promise<{ readonly addresses: Collected[]; readonly blocks: Prefix[] }> {
    const addresses: Collected[] = [];
    const removed: Prefix[] = [];
    const isDead = (name: string | undefined): boolean => name !== undefined && dead.has(name);
    for (const { spec } of blocks) {
      if (!isDead(hostOf(spec)) && !usersOf(spec).some(isDead)) continue;
      this.#assertMayGoOn();
      const freed = await this.#clearBlock(spec.cidr, isDead);
      addresses.push(...freed);
      for (const handle of new Set(freed.map((one) => one.handle))) await tidyHandle(this.#site, handle);
      if (isDead(hostOf(spec)) && (await getBlock(this.#site.store, spec.cidr)) === undefined) removed.push(spec.cidr);
    }
    for (const affinity of affinities) {
      if (affinity.spec.type !== 'host' || !isDead(affinity.spec.node)) continue;
      const block = await getBlock(this.#site.store, affinity.spec.cidr);
      const present = await getAffinity(this.#site.store, affinity.spec.node, affinity.spec.cidr);
      const isOwner = block !== undefined && hostOf(block.spec) === affinity.spec.node;
      if (present !== undefined && !isOwner) await deleteUnchanged(this.#site.store, 'BlockAffinity', present);
    }
    return { addresses, blocks: removed };
  }

  /** Frees what the dead hold in a block; if it was theirs, it goes, or is nobody's while others have addresses in it. */
  async #clearBlock(cidr: Prefix, isDead: (name: string | undefined) => boolean): Promise<Collected[]> {
    for (let attempt = 1; attempt <= TRIALS; attempt++) {
      const block = await getBlock(this.#site.store, cidr);
      if (block === undefined) return [];
      const isTheirs = isDead(hostOf(block.spec));
      const leaks = leaksOf(block.spec, isDead, isTheirs);
      const freed = free(
        block.spec,
        leaks.map(({ ordinal }) => ordinal),
      );
      const spec = nextRevision(isTheirs && !isEmpty(freed) ? withoutOwner(freed) : freed);
      const written = await ifUnchanged(this.#site.store.update('IPAMBlock', { ...block, spec }));
      const isDone =
        written !== undefined && (!isTheirs || !isEmpty(spec) || (await releaseEmptyBlock(this.#site, written)));
      if (isDone) return leaks.filter(({ handle }) => handle !== KEEPING_HANDLE);
      await this.#site.pause(attempt);
    }
    throw new IpamError('contended', `the block ${cidr} kept changing while it was cleared; try again`);
  }

  async #dropHandles(orphans: readonly IPAMHandle[]): Promise<string[]> {
    const dropped: string[] = [];
    for (const handle of orphans) {
      this.#assertMayGoOn();
      // Unchanged since it was read: whoever gives something out under it has written it anew before.
      if (await deleteUnchanged(this.#site.store, 'IPAMHandle', handle)) dropped.push(handle.spec.handleID);
    }
    return dropped;
  }

  /** A block whose owner has no affinity to it gets one, pending: its owner sees it and confirms it. */
  async #giveAffinities(
    blocks: readonly IPAMBlock[],
    affinities: readonly BlockAffinity[],
    gone: ReadonlySet<string>,
  ): Promise<void> {
    const present = new Set(affinities.map(({ spec }) => `${spec.node} ${spec.cidr}`));
    for (const { spec } of blocks) {
      const host = hostOf(spec);
      if (host === undefined || gone.has(host) || present.has(`${host} ${spec.cidr}`)) continue;
      await ifUnchanged(createLive(this.#site.store, 'BlockAffinity', newAffinity(host, spec.cidr, 'pending')));
    }
  }

  #assertMayGoOn(): void {
    if (this.#options.mayGoOn?.() === false) throw new IpamError('contended', 'another agent collects now');
  }
}

interface Leak extends Collected {
  readonly ordinal: number;
}

/** What the dead hold; in a block of theirs also what names no node, or rests. */
function leaksOf(block: IPAMBlockSpec, isDead: (name: string | undefined) => boolean, isTheirs: boolean): Leak[] {
  return [...allocated(block)].flatMap(({ ordinal, attribute }) => {
    const user = attribute?.secondary?.['node'];
    const rests = attribute?.releasedAt !== undefined;
    if (!(isDead(user) || (isTheirs && (user === undefined || rests)))) return [];
    return [{ ordinal, address: addressAt(block.cidr, ordinal), handle: attribute?.handle_id ?? KEEPING_HANDLE }];
  });
}

function withoutOwner(block: IPAMBlockSpec): IPAMBlockSpec {
  const { affinity: _, affinityClaimTime: _claimed, ...rest } = block;
  return rest;
}

function usersOf(block: IPAMBlockSpec): string[] {
  return [...allocated(block)].flatMap(({ attribute }) => attribute?.secondary?.['node'] ?? []);
}

function orphansAmong(handles: readonly IPAMHandle[], blocks: readonly IPAMBlock[]): IPAMHandle[] {
  const holding = new Set(
    blocks.flatMap(({ spec }) =>
      [...allocated(spec)].flatMap(({ attribute }) =>
        attribute?.handle_id === undefined ? [] : handleName(attribute.handle_id),
      ),
    ),
  );
  return handles.filter(({ metadata }) => !holding.has(metadata.name));
}
