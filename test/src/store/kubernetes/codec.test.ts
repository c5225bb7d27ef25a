// Objects as Calico itself stored them (test/fixtures/calico): the model in them, and field by field the same again.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { KubeObject } from '../../../../src/kube/port.ts';
import { formatYaml, kindOf, parseJson, readText } from '../../../../src/resources/index.ts';
import type { Kind, NodeResource } from '../../../../src/resources/types.ts';
import { readYamlDocuments, yamlValue } from '../../../../src/resources/yaml.ts';
import { fromObject, isUsual, toObject } from '../../../../src/store/kubernetes/custom.ts';
import { annotationsFor, fromNode, keepOfNode } from '../../../../src/store/kubernetes/node.ts';

const folder = new URL('../../../fixtures/calico/', import.meta.url);
const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const valueOf = (text: string): unknown => yamlValue(readYamlDocuments(text)[0]!);

const files = [
  'bgpconfigurations',
  'bgpfilters',
  'bgppeers',
  'blockaffinities',
  'ipamblocks',
  'ipamconfigs',
  'ipamhandles',
  'ippools',
  'ipreservations',
];
const objects = files.flatMap((file) => {
  const { items } = valueOf(textOf(`stored-${file}.yaml`)) as { items: KubeObject[] };
  return items.map((object) => [`${object.kind} ${object.metadata.name}`, object] as const);
});
const model = (object: KubeObject) => {
  const { resource, problems } = fromObject(kindOf(object.kind) as Kind, object);
  expect(problems).toEqual([]);
  return resource!;
};
const stored = 'crd.projectcalico.org/v1';

test('there is something of every kind', () => {
  expect(new Set(objects.map(([, { kind }]) => kind)).size).toBe(files.length);
});

test.each(objects)('%s is the same object again', (_, object) => {
  const again = toObject(model(object), stored, { before: object.metadata });
  expect(formatYaml(again)).toBe(formatYaml(object));
});

test.each(objects)('%s would be created as Calico created it', (_, object) => {
  const kept = ['name', 'labels', 'annotations'] as const;
  const rest = Object.fromEntries(
    kept.flatMap((field) => (field in object.metadata ? [[field, object.metadata[field]]] : [])),
  );
  const inModel = parseJson(object.metadata.annotations!['projectcalico.org/metadata']!) as {
    creationTimestamp?: string;
  };
  const { metadata, ...resource } = model(object);
  const { resourceVersion: _v, uid: _u, creationTimestamp: _c, ...fresh } = metadata;
  const created = toObject({ ...resource, metadata: fresh }, stored, {
    now: new Date(inModel.creationTimestamp ?? 0),
  });
  expect(formatYaml(created)).toBe(formatYaml({ ...object, metadata: rest }));
});

test.each(objects)('of %s an agent need remember nothing, unless an operator wrote it', (_, object) => {
  const byAgents = ['IPAMBlock', 'BlockAffinity', 'IPAMHandle', 'IPAMConfig'].includes(object.kind);
  expect(isUsual(object.metadata)).toBe(byAgents);
});

const peer = (metadata: object): KubeObject => ({
  apiVersion: stored,
  kind: 'BGPPeer',
  metadata: { name: 'tor', ...metadata },
  spec: { peerIP: '192.0.2.1', asNumber: 65001 },
});

test('a plain kubectl object has its own labels in the model', () => {
  const object = peer({
    labels: { rack: 'a' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', note: 'ours' },
  });
  expect(model(object).metadata).toEqual({ name: 'tor', labels: { rack: 'a' }, annotations: { note: 'ours' } });
});

test('labels of the model are in the annotation, and only those of Calico on the object as well', () => {
  const resource = { ...model(peer({})), metadata: { name: 'tor', labels: { rack: 'a', 'projectcalico.org/x': '1' } } };
  const { metadata } = toObject(resource, stored);
  expect(metadata.labels).toEqual({ 'projectcalico.org/x': '1' });
  expect(parseJson(metadata.annotations!['projectcalico.org/metadata']!)).toEqual({
    labels: { 'projectcalico.org/x': '1', rack: 'a' },
  });
});

test('a label that the model loses is gone everywhere; finalizers, owners and what kubectl remembers stay', () => {
  const before = {
    labels: { rack: 'a', row: '1' },
    annotations: {
      'projectcalico.org/metadata': '{"ownerReferences":[],"labels":{"rack":"a"}}',
      'kubectl.kubernetes.io/last-applied-configuration': '{"x":1}',
    },
    finalizers: ['somebody/else'],
    resourceVersion: '1',
    uid: 'u',
  };
  const read = model(peer(before));
  expect(read.metadata.labels).toEqual({ rack: 'a', row: '1' });
  const wanted = { ...read, metadata: { ...read.metadata, labels: { row: '1' } } } as never;
  expect(toObject(wanted, stored, { before: { name: 'tor', ...before } }).metadata).toEqual({
    name: 'tor',
    labels: { row: '1' },
    annotations: {
      'projectcalico.org/metadata': '{"ownerReferences":[],"labels":{"row":"1"}}',
      'kubectl.kubernetes.io/last-applied-configuration': '{"x":1}',
    },
    finalizers: ['somebody/else'],
    resourceVersion: '1',
    uid: 'u',
  });
});

test('in the native group there is plain metadata, and the names and types of that group', () => {
  const config = objects.find(([, { kind }]) => kind === 'IPAMConfig')![1];
  expect(toObject(model(config), 'projectcalico.org/v3')).toMatchObject({
    kind: 'IPAMConfiguration',
    metadata: { name: 'default' },
  });
  const affinity = model(objects.find(([, { kind }]) => kind === 'BlockAffinity')![1]);
  const native = toObject(affinity, 'projectcalico.org/v3');
  expect(native).toMatchObject({ spec: { deleted: false }, metadata: { labels: affinity.metadata.labels } });
  expect(native.metadata.annotations).toBeUndefined();
  expect(fromObject('BlockAffinity', native).resource?.spec).toEqual(affinity.spec);
});

test('what is wrong with an object is said with kind, name and path', () => {
  const { problems } = fromObject('BGPPeer', { ...peer({}), spec: { peerIP: 'nowhere' } });
  expect(problems).toMatchObject([{ kind: 'BGPPeer', name: 'tor', path: 'spec.peerIP' }]);
});

const node = valueOf(textOf('node-annotated.yaml')) as KubeObject;
const nodeModel = (object = node): NodeResource => fromNode(object).resource as NodeResource;

test('a Node is what calicoctl shows of it', () => {
  const printed = textOf('calicoctl-get-node.txt');
  const { resource } = readText(printed.slice(printed.indexOf('\napiVersion') + 1)).written[0]!;
  expect(nodeModel().spec).toEqual(resource!.spec);
  expect(nodeModel().metadata.labels).toEqual(resource!.metadata.labels);
});

test('what is held of a Node says the same as the Node', () => {
  expect(nodeModel(keepOfNode(node))).toEqual(nodeModel());
});

test('a heartbeat, another image or annotation of somebody else is no other version of a Node', () => {
  const later: KubeObject = {
    ...node,
    metadata: {
      ...node.metadata,
      resourceVersion: '99',
      annotations: { ...node.metadata.annotations, other: 'x' },
    },
    status: { conditions: [{ type: 'Ready', lastHeartbeatTime: 'now' }] },
  };
  expect(nodeModel(later)).toEqual(nodeModel());
  const moved = { ...node.metadata.annotations, 'projectcalico.org/IPv4Address': '10.250.1.99/24' };
  const other = nodeModel({ ...node, metadata: { ...node.metadata, annotations: moved } });
  expect(other.metadata.resourceVersion).not.toBe(nodeModel().metadata.resourceVersion);
});

test('only what changes of a Node is written, and what goes is taken away', () => {
  expect(annotationsFor(nodeModel(), node)).toEqual({});
  const wanted = { ...nodeModel(), spec: { bgp: { ipv4Address: '10.250.1.12/24', asNumber: 64513 } } } as NodeResource;
  expect(annotationsFor(wanted, node)).toEqual({
    'projectcalico.org/IPv4Address': '10.250.1.12/24',
    'projectcalico.org/IPv6Address': null,
    'projectcalico.org/RouteReflectorClusterID': null,
  });
});

test('labels that Kubernetes does not have go into an annotation', () => {
  const { metadata, ...rest } = nodeModel();
  const wanted = { ...rest, metadata: { ...metadata, labels: { rack: 'a', reflector: 'yes' } } };
  expect(annotationsFor(wanted, node)).toEqual({ 'projectcalico.org/labels': '{"reflector":"yes"}' });
});

test('an annotation that is no address is a problem under its own name', () => {
  const annotations = { 'projectcalico.org/IPv4Address': 'soon' };
  expect(fromNode({ ...node, metadata: { ...node.metadata, annotations } }).problems).toMatchObject([
    { kind: 'Node', name: 'worker-1', path: 'metadata.annotations["projectcalico.org/IPv4Address"]' },
  ]);
});
