// Changes of a configuration file keep whatever its owner wrote beside them.
import { describe, expect, test } from 'vitest';
import { type Kinds, readText, toDocument } from '../../../src/resources/index.ts';
import { appendDocument, changeDocument, changeJson, removeDocument } from '../../../src/store/edit.ts';

const text = `# Our pools. Ask before you change them.
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: a}   # the first
spec: {cidr: 10.82.0.0/16, blockSize: 26}
---
# The second.
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: b
spec:
  # big enough
  cidr: FD82::/48
  nodeSelector: "rack == 'a'" # only there
  allowedUses:
  - Workload
  - Tunnel # never used
---
apiVersion: v1
kind: List
items:
  - {apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: c}, spec: {cidr: 10.84.0.0/16}}
  # of the lab
  - {apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: d}, spec: {cidr: 10.85.0.0/16}}
`;

function change(name: string, spec: Partial<Kinds['IPPool']['spec']>): string {
  const { written } = readText(text);
  const place = written.find((one) => one.name === name)!;
  const resource = place.resource as Kinds['IPPool'];
  return changeDocument(
    text,
    place,
    toDocument(resource),
    toDocument({ ...resource, spec: { ...resource.spec, ...spec } }),
  );
}

/** The lines that are not in the text any more, and those that are new. */
function difference(changed: string): { gone: string[]; came: string[] } {
  const [before, after] = [text.split('\n'), changed.split('\n')];
  return {
    gone: before.filter((line) => !after.includes(line)),
    came: after.filter((line) => !before.includes(line)),
  };
}

describe('a change', () => {
  test('touches the one line that says it, and keeps its comment and everybody’s habits', () => {
    expect(difference(change('b', { nodeSelector: 'all()' }))).toEqual({
      gone: [`  nodeSelector: "rack == 'a'" # only there`],
      came: ['  nodeSelector: all() # only there'],
    });
  });

  test('adds what was only a default before', () => {
    expect(difference(change('b', { disabled: true })).came).toEqual(['  disabled: true']);
    expect(difference(change('b', { disabled: true })).gone).toEqual([]);
  });

  test('removes an entry of a list', () => {
    expect(difference(change('b', { allowedUses: ['Workload'] }))).toEqual({
      gone: ['  - Tunnel # never used'],
      came: [],
    });
  });

  test('in flow style stays there', () => {
    expect(difference(change('a', { blockSize: 28 })).came).toContain('spec: {cidr: 10.82.0.0/16, blockSize: 28}');
  });

  test('of an item of a List leaves the others alone', () => {
    const { gone, came } = difference(change('c', { disabled: true }));
    expect(gone).toHaveLength(1);
    expect(came).toEqual([
      '  - {apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: c}, spec: {cidr: 10.84.0.0/16, disabled: true}}',
    ]);
  });

  test('keeps to the width by which its owner indents', () => {
    const wide = text
      .split('---\n')[1]!
      .replaceAll('  ', '    ')
      .replace(/ {4}allowedUses:\n.*\n.*\n/, '');
    const place = readText(wide).written[0]!;
    const resource = place.resource as Kinds['IPPool'];
    const to = { ...resource, spec: { ...resource.spec, disabled: true } };
    expect(changeDocument(wide, place, toDocument(resource), toDocument(to))).toBe(`${wide}    disabled: true\n`);
  });

  test('of nothing changes nothing', () => {
    expect(change('b', {}).split('---\n')[1]).toBe(text.split('---\n')[1]);
  });
});

function remove(...names: string[]): string | undefined {
  let rest: string | undefined = text;
  for (const name of names) {
    const { written } = readText(rest ?? '');
    rest = removeDocument(
      rest ?? '',
      written.find((one) => one.name === name)!,
    );
  }
  return rest;
}

describe('a removal', () => {
  test.each([['a'], ['b'], ['c'], ['d']])('of %s leaves all others as they are', (name) => {
    const names = readText(remove(name)!).written.map((one) => one.name);
    expect(names).toEqual(['a', 'b', 'c', 'd'].filter((one) => one !== name));
    expect(readText(remove(name)!).problems).toEqual([]);
  });

  test('of a document takes its comments along and nothing else', () => {
    expect(difference(remove('b')!).came).toEqual([]);
    expect(remove('b')).not.toContain('The second');
    expect(remove('b')).toContain('# Our pools');
  });

  test('of the last item of a List removes the List', () => {
    expect(remove('c', 'd')).not.toContain('List');
  });

  test('of everything leaves no file', () => {
    expect(remove('a', 'b', 'c', 'd')).toBeUndefined();
  });
});

test('a document is added behind the others, whatever the end of the file looks like', () => {
  const added = {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'e' },
    spec: { cidr: '10.0.0.0/8' },
  };
  for (const before of [text, text.trimEnd(), '', '\n']) {
    const names = readText(appendDocument(before, added)).written.map((one) => one.name);
    expect(names.at(-1)).toBe('e');
    expect(names.length).toBe(readText(before).written.length + 1);
  }
});

test('in a file of JSON an item is changed or removed, and the file stays JSON', () => {
  const items = ['a', 'b'].map((name) => ({ kind: 'IPPool', metadata: { name } }));
  const json = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  const to = { kind: 'IPPool', metadata: { name: 'b' }, spec: { n: 2n ** 60n } };
  expect(changeJson(json, { document: 0, item: 1 }, to)).toContain('"n": 1152921504606846976');
  expect(JSON.parse(changeJson(json, { document: 0, item: 1 }, undefined)!)).toMatchObject({ items: [items[0]] });
  expect(changeJson(JSON.stringify(to.metadata), { document: 0 }, undefined)).toBeUndefined();
});
