// The CustomResourceDefinitions of deploy/crds: that they are what src/resources says, for every kind.
import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { crdFiles } from '../../deploy/crds/definitions.ts';
import { kindNames } from '../../src/kinds.ts';
import { statusKinds } from '../../src/status/model.ts';

const folder = new URL('../../deploy/crds/', import.meta.url);
const committed = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

interface Crd {
  readonly spec: {
    readonly names: { readonly plural: string; readonly shortNames?: readonly string[] };
    readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: object } }[];
  };
}

const crds = [...crdFiles()]
  .filter(([name]) => name !== 'kustomization.yaml')
  .map(([name, text]): [string, Crd] => [name, parse(text) as Crd]);

test('what is committed is what `node deploy/crds/write.ts` makes now', () => {
  const files = crdFiles();
  expect([...files.keys()].sort()).toEqual(committed.sort());
  for (const name of committed) expect(readFileSync(new URL(name, folder), 'utf8')).toBe(files.get(name));
});

test('every kind but Node, which is Kubernetes own, has one', () => {
  const plurals = [...Object.values(kindNames), ...Object.values(statusKinds)].map(({ plural }) => plural);
  expect(crds.map(([, { spec }]) => spec.names.plural).sort()).toEqual(
    plurals.filter((name) => name !== 'nodes').sort(),
  );
});

test('no short name is given twice, and none is one of Kubernetes own', () => {
  const short = crds.flatMap(([, { spec }]) => spec.names.shortNames ?? []);
  expect(new Set(short).size).toBe(short.length);
  for (const taken of ['po', 'no', 'ns', 'svc', 'ep', 'sa', 'cm', 'pv']) expect(short).not.toContain(taken);
});

test('an integer without a bound of 32 bits is declared with 64: sequence numbers are nanoseconds', () => {
  const [, block] = crds.find(([name]) => name.endsWith('_ipamblocks.yaml'))!;
  expect(block.spec.versions[0]!.schema.openAPIV3Schema).toMatchObject({
    properties: {
      spec: {
        'x-kubernetes-preserve-unknown-fields': true,
        properties: {
          sequenceNumber: { type: 'integer', format: 'int64' },
          sequenceNumberForAllocation: { additionalProperties: { type: 'integer', format: 'int64' } },
          allocations: { items: { type: 'integer', nullable: true } },
        },
      },
    },
  });
});
