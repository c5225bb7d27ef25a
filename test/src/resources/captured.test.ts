// Objects as Calico itself wrote and printed them (test/fixtures/calico): what is read and printed again is the same.
import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  formatJson,
  formatYaml,
  kindOf,
  parseJson,
  parseResource,
  printJson,
  printYaml,
  readText,
  toDocument,
} from '../../../src/resources/index.ts';
import { readYamlDocuments, yamlValue } from '../../../src/resources/yaml.ts';

const folder = new URL('../../fixtures/calico/', import.meta.url);

/** File → the YAML in it; of what `calicoctl get` printed, the part that is YAML. */
const texts = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml') || name.startsWith('calicoctl-get-'))
  .map((name): [string, string] => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    return [name, text.slice(name.endsWith('.yaml') ? 0 : text.indexOf('\napiVersion') + 1)];
  });

interface Item {
  readonly kind: string;
  readonly metadata: Record<string, unknown>;
  readonly spec: Record<string, unknown>;
}

function valueOf(text: string): { items: Item[] } {
  return yamlValue(readYamlDocuments(text)[0]!) as { items: Item[] };
}

const items = texts
  .filter(([name]) => name !== 'node-annotated.yaml')
  .flatMap(([name, text]) => valueOf(text).items.map((item): [string, Item] => [name, item]))
  .filter(([, item]) => kindOf(item.kind) !== undefined)
  .map(([name, item]) => [`${item.kind} ${String(item.metadata['name'])} in ${name}`, item] as const);

test('there is something to look at', () => {
  expect(texts.length).toBeGreaterThan(15);
  expect(items.length).toBeGreaterThan(30);
  expect(new Set(items.map(([, { kind }]) => kind)).size).toBeGreaterThan(9);
});

test.each(texts)('%s is printed byte for byte as it was read', (_, text) => {
  expect(formatYaml(valueOf(text))).toBe(text);
});

test.each(texts)('%s keeps every number through JSON and back', (_, text) => {
  const value = valueOf(text);
  expect(formatYaml(parseJson(formatJson(value)))).toBe(text);
});

test.each(items)('%s is read without a problem, and printed as it was', (_, item) => {
  const { resource, problems } = parseResource(item);
  expect(problems).toEqual([]);
  const { generation: _generation, ...metadata } = item.metadata;
  expect(formatYaml(toDocument(resource!))).toBe(
    formatYaml({ ...item, metadata, status: undefined, kind: kindOf(item.kind) }),
  );
});

test.each(items)('%s stays the same through our own YAML and JSON', (_, item) => {
  const resource = parseResource(item).resource!;
  expect(readText(printYaml(resource)).written[0]!.resource).toEqual(resource);
  expect(parseResource(parseJson(printJson(resource))).resource).toEqual(resource);
});

test('sequence numbers beyond 2^53 are bigints, every digit as it was', () => {
  const blocks = valueOf(texts.find(([name]) => name === 'stored-ipamblocks.yaml')![1]).items;
  const resource = parseResource(blocks[0]).resource!;
  expect(resource.spec).toMatchObject({
    sequenceNumber: 1_795_233_500_172_326_601n,
    sequenceNumberForAllocation: { 0: 1_795_233_500_172_326_593n },
  });
  expect(printJson(resource)).toContain('"sequenceNumber": 1795233500172326601,');
});

test('a list of one kind is printed as calicoctl prints it, a mixed one as a List', () => {
  const peer = items.find(([name]) => name === 'BGPPeer rr in calicoctl-get-bgppeer.txt')![1];
  const node = items.find(([name]) => name === 'Node worker-2 in calicoctl-get-node.txt')![1];
  const [one, other] = [parseResource(peer).resource!, parseResource(node).resource!];
  const alike = printYaml([one, one]);
  expect(alike).toMatch(/^apiVersion: projectcalico\.org\/v3\nitems:\n- apiVersion: /);
  expect(alike).toContain('\nkind: BGPPeerList\n');
  expect(printYaml([one, other])).toMatch(/^apiVersion: v1\n[\s\S]*\nkind: List\n/);
  expect(readText(printYaml([one, other])).written.map(({ resource }) => resource)).toEqual([one, other]);
});

test('a block of a later Calico keeps the fields that we do not know', () => {
  const spec = { cidr: '10.0.0.0/26', allocations: [], unallocated: [], attributes: [], later: { count: 2n ** 60n } };
  const block = { apiVersion: 'crd.projectcalico.org/v1', kind: 'IPAMBlock', metadata: { name: '10-0-0-0-26' }, spec };
  expect(printYaml(parseResource(block).resource!)).toContain('  later:\n    count: 1152921504606846976\n');
});

test('the v3 form of a BlockAffinity has a boolean, the v1 form a text', () => {
  const metadata = { name: 'worker-1-10-0-0-0-26' };
  const spec = { cidr: '10.0.0.0/26', node: 'worker-1', state: '', deleted: true };
  const v3 = parseResource({ apiVersion: 'projectcalico.org/v3', kind: 'BlockAffinity', metadata, spec }).resource!;
  expect(v3.spec).toMatchObject({ deleted: 'true', state: 'confirmed', type: 'host' });
  expect(printYaml(v3)).toContain('  deleted: true\n');
  expect(printYaml({ ...v3, apiVersion: 'crd.projectcalico.org/v1' })).toContain('  deleted: "true"\n');
});
