// What a node takes from its peers and tells them when no filter decides: the defaults around BGPFilters.
//
// import: never what this node originates itself; then the filters; then everything.
// export: the filters (an Accept there bypasses all below); nothing of pools with disableBGPExport; what this node
// originates; nothing else from inside its own blocks; what it has learned from inside the pools; nothing else. So no
// configuration but a filter makes a node hand arbitrary routes from one peer to another.
import { type Address, type Prefix, familyOfPrefix, hostPrefix, prefixesOverlap, lengthOf } from '#ip';
import type { AddressFamily } from '../../bgp/message.ts';
import type { Match, Operation, Policy, Rule } from '../../bgp/policy/rule.ts';
import type { BGPPeer } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';
import { type Advertisements, communitiesFor } from './communities.ts';
import { filterRules } from './filter.ts';
import { type SessionPlan, audienceOf, endpointOf, linkOf } from './sessions.ts';
import { type SpeakingNode, addressesOf } from './speaking-node.ts';
import { type ClusterView, clusterConfiguration, serviceRanges } from './view.ts';

/** What the policies of all sessions of a node are made from. */
export interface PolicyContext {
  readonly view: ClusterView;
  readonly self: SpeakingNode;
  readonly nodes: readonly SpeakingNode[];
  readonly ownBlocks: readonly Prefix[];
  readonly advertisements: Advertisements;
  /** Ranges of Services that this node announces whole. */
  readonly serviceRanges: readonly Prefix[];
  /** External neighbours that were found on links. */
  readonly linkNeighbours: readonly Address[];
}

/** The session, as far as policy goes. */
export interface PolicyTarget {
  readonly plan: SessionPlan;
  readonly families: readonly AddressFamily[];
  /** The peer is in our AS. */
  readonly internal: boolean;
}

export interface Policies {
  readonly importPolicy: Policy;
  readonly exportPolicy: Policy;
  readonly troubles: readonly Problem[];
}

/**
 * Makes the policies of one session after the other. Sessions that are alike get the very same ones: a mesh has
 * thousands, and the speaker makes one stream of updates for all that share a policy.
 */
export function policyMaker(context: PolicyContext): (target: PolicyTarget) => Policies {
  const made = new Map<string, Policies>();
  return (target) => {
    const { plan, families, internal } = target;
    // All that policiesFor() looks at.
    const filters = plan.peer?.spec.filters ?? [];
    const key = JSON.stringify([families, internal, filters, lacksPolicy(target), internal ? '' : plan.remote]);
    const policies = made.get(key) ?? policiesFor(context, target);
    made.set(key, policies);
    return policies;
  };
}

function policiesFor(context: PolicyContext, target: PolicyTarget): Policies {
  const { plan, families } = target;
  // As in Calico, the mesh takes no filters.
  const names = plan.peer?.spec.filters ?? [];
  const imports = filterRules(names, context.view.filters, 'import', families);
  const exports = filterRules(names, context.view.filters, 'export', families);
  const name = names.length === 0 ? 'default' : names.join(', ');
  const lacking = lacksPolicy(target) ? [noPolicy] : [];
  return {
    importPolicy: {
      name,
      rules: [...ownRules(context), ...lacking, ...imports.rules],
      otherwise: 'accept',
    },
    exportPolicy: {
      name,
      rules: [...exports.rules, ...lacking, ...exportDefaults(context, target)],
      otherwise: 'reject',
    },
    troubles: [...imports.troubles, ...exports.troubles],
  };
}

/** RFC 8212 §2: without a policy, nothing is taken from an external peer and nothing is told. */
const noPolicy: Rule = { name: 'no filter is set, and PeerOptions requirePolicy (RFC 8212)', action: 'reject' };

function lacksPolicy({ plan, internal }: PolicyTarget): boolean {
  return plan.options.requirePolicy === true && !internal && (plan.peer?.spec.filters ?? []).length === 0;
}

/**
 * Before any filter: what a node originates itself it does not learn, whoever says so. Single addresses of Services are
 * not in here: there may be thousands, other nodes announce them too, a reflector passes those on; our own is preferred
 * to any other anyhow, and the kernel takes none.
 */
function ownRules({ self, ownBlocks, serviceRanges }: PolicyContext): Rule[] {
  const own = [...ownBlocks, ...addressesOf(self).map(hostPrefix), ...serviceRanges];
  return own.map((cidr) => ({
    name: `${cidr} is this node's own`,
    match: { prefix: { cidr, operator: 'Equal' } },
    action: 'reject',
  }));
}

function exportDefaults(context: PolicyContext, target: PolicyTarget): Rule[] {
  const { view, self, ownBlocks } = context;
  const hidden = view.pools.filter(({ spec }) => spec.disableBGPExport);
  return [
    ...hidden.map(({ metadata, spec }) => reject(`pool ${metadata.name} has disableBGPExport`, within(spec.cidr))),
    { name: 'originated by this node', match: { source: 'Local' }, action: 'accept' },
    ...ownBlocks.map((cidr) => reject(`inside this node's block ${cidr}`, within(cidr))),
    ...(self.clusterId === undefined ? [] : reflected(view)),
    ...(target.internal ? learned(context) : learnedForExternal(context, target)),
  ];
}

/** A route reflector passes on what other nodes announce of services. */
function reflected(view: ClusterView): Rule[] {
  return serviceRanges(clusterConfiguration(view)).map(({ cidr }) => ({
    name: `inside the service range ${cidr}`,
    match: within(cidr),
    action: 'accept',
  }));
}

/** Routes inside the pools, with what prefixAdvertisements adds. */
function learned({ view, advertisements }: PolicyContext, match: Match = {}): Rule[] {
  return view.pools.flatMap(({ metadata, spec }) => {
    const special = advertisements.filter(({ cidr }) => prefixesOverlap(cidr, spec.cidr));
    const cidrs = new Set([...special.map(({ cidr }) => narrower(cidr, spec.cidr)), spec.cidr]);
    return [...cidrs]
      .sort((a, b) => lengthOf(b) - lengthOf(a))
      .map((cidr): Rule => {
        const operations = communitiesFor(advertisements, cidr).map((value): Operation => ({
          do: 'addCommunity',
          value,
        }));
        return {
          name: `inside pool ${metadata.name}`,
          match: { ...match, ...within(cidr) },
          action: 'accept',
          ...(operations.length > 0 && { operations }),
        };
      });
  });
}

/**
 * An external peer hears of other nodes' blocks from us only where they cannot tell it themselves: because the
 * configuration gives them no session with it. Otherwise a fabric of n nodes would show n routes for each of n
 * blocks, and a peer that is not on our subnet would send traffic for all of them through any of us. What one
 * external peer says is not told to another.
 */
function learnedForExternal(context: PolicyContext, { plan }: PolicyTarget): Rule[] {
  const others = context.nodes.filter(({ name }) => name !== context.self.name);
  const audiences = sameRemote(context, plan).map(audienceOf);
  const [speaking, silent] = partition(others, (node) => audiences.some((isFor) => isFor(node)));
  const external = externalPeers(context);
  if (silent.length <= speaking.length + external.length) {
    return silent.flatMap(addressesOf).flatMap((nextHop) => learned(context, { source: 'RemotePeers', nextHop }));
  }
  return [
    ...speaking.flatMap((node) =>
      addressesOf(node).map((nextHop) => reject(`${node.name} announces it itself`, { nextHop })),
    ),
    ...external.map((nextHop) => reject('learned from an external peer', { nextHop })),
    ...learned(context),
  ];
}

/**
 * Every BGPPeer that asks for a session with the same peer, for whatever node. Who is on a link is known to nobody else:
 * an unnumbered fabric counts as one peer, to which each node that has a link to it speaks for itself.
 */
function sameRemote({ view }: PolicyContext, { remote, peer }: SessionPlan): BGPPeer[] {
  if ('prefix' in remote) return peer === undefined ? [] : [peer];
  if ('link' in remote) return view.peers.filter((each) => linkOf(view, each) !== undefined);
  return view.peers.filter((each) => endpointOf(each)?.address === remote.address);
}

function externalPeers({ view, self, linkNeighbours }: PolicyContext): Address[] {
  const places = view.peers
    .filter(({ spec }) => spec.asNumber !== undefined && spec.asNumber !== self.asn)
    .map((peer) => endpointOf(peer)?.address);
  return [...new Set([...places.filter((address) => address !== undefined), ...linkNeighbours])];
}

function within(cidr: Prefix): Pick<Match, 'prefix'> {
  return { prefix: { cidr, operator: 'In' } };
}

function reject(name: string, match: Match): Rule {
  return { name, match, action: 'reject' };
}

function narrower(a: Prefix, b: Prefix): Prefix {
  return familyOfPrefix(a) === familyOfPrefix(b) && lengthOf(a) > lengthOf(b) ? a : b;
}

function partition<T>(list: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const groups = Map.groupBy(list, test);
  return [groups.get(true) ?? [], groups.get(false) ?? []];
}
