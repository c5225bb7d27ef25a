// What only shows when the resources are looked at together: names given twice, pools that overlap, addresses of two
// nodes, references into nothing. Pure.
import { type Address, prefixesOverlap } from '#ip';
import type { Problem } from '../store/port.ts';
import { parseEndpoint } from './endpoint.ts';
import { type Rough, type Where, problemAt } from './parse.ts';
import type { Path } from './read.ts';
import { unknownCommunities } from './schemas/bgp.ts';
import { matches, parseSelector } from './selector.ts';
import { suggestion } from './suggest.ts';
import type { BGPPeer, Kind, Kinds, Metadata, PeerOptions } from './types.ts';

/** A resource and where it stands; a bare resource will do where there are no files. */
export interface Located<K extends Kind = Kind> {
  readonly resource: Kinds[K];
  readonly where?: Where;
}

/** What the text says about a resource that is wrong by itself. */
export interface Wrong {
  readonly kind?: string;
  readonly name?: string;
  readonly rough?: Rough;
  readonly where?: Where;
}

/** A resource as far as it is right. */
interface Known<K extends Kind> {
  readonly resource: Rough<K>;
  readonly where?: Where;
}

/**
 * Every problem between resources.
 * @param wrong those that are not right by themselves: a reference to one of them is not a reference into nothing, and
 *   what is right of them is still compared, so that one mistake does not hide another
 */
export function checkTogether(resources: readonly (Located | Kinds[Kind])[], wrong: readonly Wrong[] = []): Problem[] {
  const located = resources.map((one): Located => ('resource' in one ? one : { resource: one }));
  const duplicates = duplicateNames(located);
  // What is there twice would only be reported again by the checks below.
  const again = new Set(duplicates.map(({ one }) => one));
  const unique = located.filter((one) => !again.has(one));
  const wrongOf = (kind: Kind): readonly Wrong[] => wrong.filter((one) => one.kind === kind);
  const namesOf = (kind: Kind): string[] => [
    ...of(unique, kind).map(({ resource }) => resource.metadata.name),
    ...wrongOf(kind).flatMap(({ name }) => name ?? []),
  ];
  const peers = of(unique, 'BGPPeer');
  const options = of(unique, 'PeerOptions');
  return [
    ...duplicates.map(({ problem }) => problem),
    ...overlappingPools(inPlace([...of(unique, 'IPPool'), ...roughly(wrong, 'IPPool')])),
    ...sharedAddresses(inPlace([...of(unique, 'Node'), ...roughly(wrong, 'Node')])),
    ...danglingFilters(peers, namesOf('BGPFilter')),
    ...danglingPeers(options, namesOf('BGPPeer')),
    // What is said to be missing here may stand in the very resource that is wrong.
    ...(wrongOf('PeerOptions').length > 0 ? [] : peersWithoutPeer(peers, options)),
    ...(wrongOf('Node').length > 0 ? [] : peersWithoutAs(peers, of(unique, 'Node'))),
    ...(wrongOf('BGPConfiguration').length > 0 ? [] : danglingCommunities(of(unique, 'BGPConfiguration'))),
  ];
}

function of<K extends Kind>(located: readonly Located[], kind: K): Located<K>[] {
  return located.filter(({ resource }) => resource.kind === kind) as Located<K>[];
}

function roughly<K extends Kind>(wrong: readonly Wrong[], kind: K): Known<K>[] {
  return wrong.flatMap(({ rough, where = {} }) =>
    rough?.kind === kind ? [{ resource: rough as Rough<K>, where }] : [],
  );
}

/** Sorts as things were made; what is about to be made comes last. */
export function creationOrder({ creationTimestamp }: Pick<Metadata, 'creationTimestamp'>): string {
  return creationTimestamp ?? '~';
}

/** As they stand in the files, or else were made: of two that do not go together the later one is reported. */
function inPlace<K extends Kind>(known: readonly Known<K>[]): Known<K>[] {
  const place = ({ where = {} }: Known<K>): [string, number] => [where.file ?? '', where.line ?? 0];
  const made = ({ resource }: Known<K>): string => creationOrder(resource.metadata);
  return [...known].sort((a, b) => {
    const [[fileA, lineA], [fileB, lineB]] = [place(a), place(b)];
    if (fileA !== fileB) return fileA < fileB ? -1 : 1;
    if (lineA !== lineB || made(a) === made(b)) return lineA - lineB;
    return made(a) < made(b) ? -1 : 1;
  });
}

function problem({ resource, where = {} }: Known<Kind>, path: Path, message: string): Problem {
  return problemAt({ kind: resource.kind, name: resource.metadata.name }, where, path, message);
}

/** "pools.yaml:3", or nothing. */
function place({ where = {} }: Pick<Known<Kind>, 'where'>, path: Path): string | undefined {
  const line = where.lineOf?.(path) ?? where.line;
  return where.file === undefined ? undefined : `${where.file}${line === undefined ? '' : `:${line}`}`;
}

function* pairs<T>(items: readonly T[]): Generator<readonly [T, T]> {
  for (const [i, item] of items.entries()) for (const earlier of items.slice(0, i)) yield [earlier, item];
}

function duplicateNames(located: readonly Located[]): { one: Located; problem: Problem }[] {
  const seen = new Map<string, Located>();
  const found: { one: Located; problem: Problem }[] = [];
  for (const one of located) {
    const { kind, metadata } = one.resource;
    const key = `${kind}/${metadata.name}`;
    const earlier = seen.get(key);
    const path = ['metadata', 'name'];
    if (earlier === undefined) seen.set(key, one);
    else {
      const at = place(earlier, path);
      found.push({ one, problem: problem(one, path, `is there already${at === undefined ? '' : ` (${at})`}`) });
    }
  }
  return found;
}

function* overlappingPools(pools: readonly Known<'IPPool'>[]): Generator<Problem> {
  const path = ['spec', 'cidr'];
  for (const [earlier, pool] of pairs(pools)) {
    const [a, b] = [earlier.resource.spec.cidr, pool.resource.spec.cidr];
    if (a === undefined || b === undefined || !prefixesOverlap(a, b)) continue;
    const at = [a, place(earlier, path)].filter((part) => part !== undefined).join(', ');
    yield problem(pool, path, `${b} overlaps IPPool ${earlier.resource.metadata.name} (${at})`);
  }
}

function* sharedAddresses(nodes: readonly Known<'Node'>[]): Generator<Problem> {
  for (const field of ['ipv4Address', 'ipv6Address'] as const) {
    const seen = new Map<string, Known<'Node'>>();
    const path = ['spec', 'bgp', field];
    for (const node of nodes) {
      const address = node.resource.spec.bgp?.[field]?.split('/')[0];
      if (address === undefined) continue;
      const earlier = seen.get(address);
      if (earlier === undefined) {
        seen.set(address, node);
        continue;
      }
      const at = place(earlier, path);
      const owner = `Node ${earlier.resource.metadata.name}${at === undefined ? '' : ` (${at})`}`;
      yield problem(node, path, `${address} is the address of ${owner} already`);
    }
  }
}

function* danglingFilters(peers: readonly Located<'BGPPeer'>[], names: readonly string[]): Generator<Problem> {
  for (const peer of peers) {
    for (const [i, filter] of (peer.resource.spec.filters ?? []).entries()) {
      if (names.includes(filter)) continue;
      yield problem(peer, ['spec', 'filters', i], `there is no BGPFilter ${filter}${suggestion(filter, names)}`);
    }
  }
}

function* peersWithoutPeer(
  peers: readonly Located<'BGPPeer'>[],
  options: readonly Located<'PeerOptions'>[],
): Generator<Problem> {
  for (const peer of peers) {
    const { peerIP, peerSelector, localWorkloadSelector } = peer.resource.spec;
    if (peerIP !== undefined || peerSelector !== undefined || localWorkloadSelector !== undefined) continue;
    const found = options.some(({ resource }) => saysWho(resource) && isFor(resource, peer.resource));
    if (found) continue;
    const ways = 'peerIP, peerSelector, or PeerOptions with interface or dynamicPrefix';
    yield problem(peer, ['spec'], `does not say who the peer is (${ways})`);
  }
}

function saysWho({ spec }: PeerOptions): boolean {
  return spec.interface !== undefined || spec.dynamicPrefix !== undefined;
}

/** Whether these options name or select the peer. */
function isFor({ spec }: PeerOptions, { metadata }: BGPPeer): boolean {
  if (spec.peers !== undefined) return spec.peers.includes(metadata.name);
  return spec.peerSelector !== undefined && matches(parseSelector(spec.peerSelector), metadata.labels ?? {});
}

/** The AS of one of our own nodes is known; of anybody else the operator has to say it. */
function* peersWithoutAs(peers: readonly Located<'BGPPeer'>[], nodes: readonly Located<'Node'>[]): Generator<Problem> {
  const own = new Set(nodes.flatMap(({ resource }) => addressesOf(resource.spec.bgp)));
  for (const peer of peers) {
    const { peerIP, asNumber } = peer.resource.spec;
    if (peerIP === undefined || asNumber !== undefined || own.has(parseEndpoint(peerIP).address)) continue;
    yield problem(peer, ['spec', 'asNumber'], `is missing: ${peerIP} is not the address of a Node`);
  }
}

function addressesOf(bgp: Kinds['Node']['spec']['bgp']): Address[] {
  const texts = [bgp?.ipv4Address, bgp?.ipv6Address].filter((text) => text !== undefined);
  return texts.map((text) => text.split('/')[0] as Address);
}

function* danglingPeers(options: readonly Located<'PeerOptions'>[], names: readonly string[]): Generator<Problem> {
  for (const one of options) {
    for (const [i, peer] of (one.resource.spec.peers ?? []).entries()) {
      if (names.includes(peer)) continue;
      yield problem(one, ['spec', 'peers', i], `there is no BGPPeer ${peer}${suggestion(peer, names)}`);
    }
  }
}

/** A node's own configuration may use the names that the default one defines. */
function* danglingCommunities(configurations: readonly Located<'BGPConfiguration'>[]): Generator<Problem> {
  const common = configurations.find(({ resource }) => resource.metadata.name === 'default');
  const names = (common?.resource.spec.communities ?? []).map(({ name }) => name);
  for (const one of configurations) {
    if (one === common) continue;
    for (const { path, message } of unknownCommunities(one.resource.spec, names)) {
      yield problem(one, ['spec', ...path], `${message} of BGPConfiguration default`);
    }
  }
}
