// BGPConfiguration: what holds for every session of the cluster, or (named node.<name>) of one node.
import type { SpecReport } from '../kinds.ts';
import { type FieldsOf, asNumber, boolean, choice, integer, list, object, text } from '../schema.ts';
import { isCommunity } from '../formats.ts';
import type { BGPConfigurationSpec } from '../types.ts';
import { ROUTE_PRIORITY_MAX, secretReference } from './common.ts';

const cidrs = list(object({ cidr: { says: 'the range', required: true, schema: text('prefixOrAddress') } }));
const routePriority = integer(1, ROUTE_PRIORITY_MAX);

export const bgpConfigurationSpec = object({
  logSeverityScreen: {
    says: 'how much is logged',
    schema: choice('Trace', 'Debug', 'Info', 'Warning', 'Error', 'Fatal', 'None'),
  },
  nodeToNodeMeshEnabled: { says: 'every node peers with every other (true)', schema: boolean },
  asNumber: { says: 'AS of nodes that name none (64512)', schema: asNumber },
  listenPort: { says: 'TCP port (179)', schema: integer(1, 65_535) },
  bindMode: { says: "listen everywhere, or on the node's address only", schema: choice('None', 'NodeIP') },
  communities: {
    says: 'names for communities, to be used in prefixAdvertisements',
    schema: list(
      object({
        name: { says: 'the name', required: true, schema: text('communityName') },
        value: { says: '64512:120, or large 64512:300:100', required: true, schema: text('community') },
      }),
      { key: 'name' },
    ),
  },
  prefixAdvertisements: {
    says: 'communities that routes inside a prefix carry',
    schema: list(
      object({
        cidr: { says: 'the prefix', required: true, schema: text('prefix') },
        communities: { says: 'names or values', required: true, schema: list(text(), { min: 1, unique: true }) },
      }),
    ),
  },
  serviceClusterIPs: { says: 'announced by every node', schema: cidrs },
  serviceExternalIPs: { says: 'announced by every node', schema: cidrs },
  serviceLoadBalancerIPs: { says: 'announced by every node', schema: cidrs },
  serviceLoadBalancerAggregation: {
    says: 'Enabled: the ranges; Disabled: single addresses',
    preset: 'Enabled',
    schema: choice('Enabled', 'Disabled'),
  },
  nodeMeshPassword: { says: 'TCP MD5 in the mesh', schema: secretReference },
  nodeMeshMaxRestartTime: { says: 'how long routes outlive a session of the mesh', schema: text('duration') },
  ignoredInterfaces: { says: 'patterns', schema: list(text('interfacePattern')) },
  localWorkloadPeeringIPV4: { says: 'our address towards local workloads', schema: text('addressV4') },
  localWorkloadPeeringIPV6: { says: 'our address towards local workloads', schema: text('addressV6') },
  programClusterRoutes: {
    says: "whose routes Calico's BIRD installs",
    schema: choice('Enabled', 'Disabled', 'EnabledNoEncapOnly', 'EnabledIPIPOnly'),
  },
  ipv4NormalRoutePriority: { says: 'metric of routes in the kernel (1024)', schema: routePriority },
  ipv6NormalRoutePriority: { says: 'metric of routes in the kernel (1024)', schema: routePriority },
} satisfies FieldsOf<BGPConfigurationSpec>);

/** What a node's own BGPConfiguration may say; Calico fills the aggregation in by itself. */
export const ofOneNode = ['listenPort', 'logSeverityScreen', 'prefixAdvertisements', 'serviceLoadBalancerAggregation'];

export function checkBgpConfiguration(
  spec: Partial<BGPConfigurationSpec>,
  report: SpecReport,
  { name, given }: { readonly name: string; readonly given: readonly string[] },
): void {
  if (name.startsWith('node.')) {
    for (const field of given.filter((field) => !ofOneNode.includes(field))) {
      report([field], 'belongs into BGPConfiguration default, not into that of one node');
    }
  }
  if (spec.nodeToNodeMeshEnabled === false) {
    for (const field of ['nodeMeshPassword', 'nodeMeshMaxRestartTime']) {
      if (given.includes(field)) report([field], 'needs the mesh, and nodeToNodeMeshEnabled is false');
    }
  }
  checkCommunities(spec, report, name);
}

function checkCommunities(spec: Partial<BGPConfigurationSpec>, report: SpecReport, name: string): void {
  const names = (spec.communities ?? []).map((community) => community.name);
  for (const [i, community] of names.entries()) {
    if (names.indexOf(community) < i) report(['communities', i, 'name'], `${community} is there twice`);
  }
  if (names.length > 0 && (spec.prefixAdvertisements ?? []).length === 0) {
    report(['communities'], 'needs prefixAdvertisements, where communities are used');
  }
  // The names that a node's own configuration uses are those of the default: checkTogether looks at them.
  if (name.startsWith('node.')) return;
  for (const { path, message } of unknownCommunities(spec, names)) report(path, message);
}

/** The entries of prefixAdvertisements that are neither a value nor a known name. */
export function* unknownCommunities(
  spec: Partial<BGPConfigurationSpec>,
  names: readonly string[],
): Generator<{ path: (string | number)[]; message: string }> {
  for (const [i, { communities }] of (spec.prefixAdvertisements ?? []).entries()) {
    for (const [j, community] of (communities ?? []).entries()) {
      if (names.includes(community) || isCommunity(community)) continue;
      const path = ['prefixAdvertisements', i, 'communities', j];
      yield { path, message: `${JSON.stringify(community)} is neither a community nor a name in spec.communities` };
    }
  }
}
