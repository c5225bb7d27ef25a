// Calico's own objects, as captured from a real cluster (test/fixtures/calico).
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Kind, Kinds } from '../../src/resources/types.ts';

/** The objects of a captured list; integers beyond 2^53 and what is a bigint in our types are bigints. */
export function captured<K extends Kind>(kind: K, plural: string): Kinds[K][] {
  const text = readFileSync(new URL(`../fixtures/calico/stored-${plural}.yaml`, import.meta.url), 'utf8');
  const list = parse(text, { intAsBigInt: true }) as { items: { kind: string; spec: object }[] };
  return list.items.map((item) => narrow(item, '') as Kinds[K]).filter((item) => item.kind === kind);
}

function narrow(value: unknown, path: string): unknown {
  if (typeof value === 'bigint') return /sequenceNumber/.test(path) ? value : Number(value);
  if (Array.isArray(value)) return value.map((item) => narrow(item, path));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, narrow(item, `${path}.${key}`)]));
}
