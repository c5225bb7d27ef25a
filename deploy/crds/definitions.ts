// The CustomResourceDefinitions of every kind that Manx uses, made from the descriptions in src/resources.
import { formatYaml } from '../../src/resources/yaml.ts';
import { kindNames } from '../../src/kinds.ts';
import { kinds } from '../../src/resources/kinds.ts';
import type { Schema } from '../../src/resources/schema.ts';
import { calicoNodeStatusStatus, poolStatus } from '../../src/resources/schemas/status.ts';
import type { Kind } from '../../src/resources/types.ts';
import { type StatusKind, statusKinds } from '../../src/status/model.ts';
import { bgpPeerState, nodeRouting } from '../../src/status/schema.ts';
import { columnsOf } from './columns.ts';
import { type OpenApi, type Rule, openApiOf, withRules } from './open-api.ts';
import { type RulesAt, rulesOf } from './rules.ts';

/** File name → content. */
export function crdFiles(): ReadonlyMap<string, string> {
  const definitions = [...wishes(), ...statuses()];
  const files = definitions.map((crd): [string, string] => [fileOf(crd), `${HEAD}${formatYaml(crd)}`]);
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: files.map(([name]) => name).sort(),
  };
  return new Map([...files, ['kustomization.yaml', `${HEAD}${formatYaml(kustomization)}`]]);
}

const HEAD = '# Made by `node deploy/crds/write.ts` from src/resources; do not edit.\n';

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly group: string; readonly names: { readonly plural: string } };
}

function fileOf({ spec }: Definition): string {
  return `${spec.group}_${spec.names.plural}.yaml`;
}

/** Of the core API, which knows what a Node is. */
const builtIn: readonly Kind[] = ['Node'];

const statusOf: Readonly<Partial<Record<Kind, Schema>>> = {
  IPPool: poolStatus,
  CalicoNodeStatus: calicoNodeStatusStatus,
};

function wishes(): Definition[] {
  return (Object.keys(kinds) as Kind[])
    .filter((kind) => !builtIn.includes(kind))
    .map((kind) => {
      const { spec, specOptional, apiVersions } = kinds[kind];
      const status = statusOf[kind];
      const schema = resourceSchema({
        spec: openApiOf(spec),
        ...(status && { status: openApiOf(status) }),
      });
      // Calico's tools write the stored form into crd.projectcalico.org; its v3 is another API.
      const apiVersion = apiVersions.find((version) => version.endsWith('/v1'))!;
      return definition({
        ...{ kind, apiVersion, columns: columnsOf[kind], plural: kindNames[kind].plural },
        shortNames: shortNames[kind] ?? [],
        schema: withAll(specOptional ? schema : { ...schema, required: ['spec'] }, rulesOf[kind] ?? []),
        subresource: status !== undefined,
      });
    });
}

/** manxctl knows more; these must not be anybody else's (`po` is pods). */
const shortNames: Readonly<Partial<Record<Kind, readonly string[]>>> = {
  IPPool: ['ipp'],
  BGPConfiguration: ['bgpconfig'],
  BGPPeer: ['bgpp'],
  BGPFilter: ['bgpf'],
  IPReservation: ['ipr'],
  PeerOptions: ['peeropts'],
  FelixConfiguration: ['felixconfig'],
  ClusterInformation: ['clusterinfo'],
  KubeControllersConfiguration: ['kcconfig'],
  CalicoNodeStatus: ['caliconodestatus'],
  BlockAffinity: ['affinity'],
};

/**
 * Without a status subresource: there is nothing else in them, and creating one takes a single request so. Open, because
 * agents of a later version may say more.
 */
function statuses(): Definition[] {
  const schemas = { NodeRoutingStatus: nodeRouting, BGPPeerStatus: bgpPeerState };
  return (Object.keys(statusKinds) as StatusKind[]).map((kind) =>
    definition({
      ...{ kind, apiVersion: 'projectmanx.org/v1', columns: columnsOf[kind], plural: statusKinds[kind].plural },
      shortNames: statusKinds[kind].short,
      schema: resourceSchema({
        status: { ...openApiOf(schemas[kind]), 'x-kubernetes-preserve-unknown-fields': true },
      }),
      subresource: false,
    }),
  );
}

function resourceSchema(parts: Readonly<Record<string, OpenApi>>): OpenApi {
  return {
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      ...parts,
    },
  };
}

function definition(of: {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly object[];
  readonly schema: OpenApi;
  readonly subresource: boolean;
}): Definition {
  const [group, version] = of.apiVersion.split('/') as [string, string];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${of.plural}.${group}`, labels: { 'app.kubernetes.io/part-of': 'manx' } },
    spec: {
      group,
      scope: 'Cluster',
      names: {
        kind: of.kind,
        listKind: `${of.kind}List`,
        plural: of.plural,
        singular: of.kind.toLowerCase(),
        categories: ['manx'],
        ...(of.shortNames.length > 0 && { shortNames: of.shortNames }),
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: of.schema },
          additionalPrinterColumns: of.columns,
          ...(of.subresource && { subresources: { status: {} } }),
        },
      ],
    },
  } as Definition;
}

function withAll(schema: OpenApi, all: readonly RulesAt[]): OpenApi {
  return all.reduce((so, { at, rules }) => withRulesAt(so, at, rules), schema);
}

function withRulesAt(schema: OpenApi, [step, ...rest]: readonly string[], rules: readonly Rule[]): OpenApi {
  if (step === undefined) return withRules(schema, rules);
  if (step === '[]') {
    // CEL is costed in advance, and what has no end costs too much.
    return { maxItems: 1000, ...schema, items: withRulesAt(schema.items!, rest, rules) };
  }
  const inner = withRulesAt(schema.properties![step]!, rest, rules);
  return { ...schema, properties: { ...schema.properties, [step]: inner } };
}
