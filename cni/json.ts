// Reading fields out of decoded JSON: absent is undefined, malformed is an error that names the key.
import { CniError } from './error.ts';

export type Json = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object field, {} when it is absent or null. @throws CniError 7 */
export function objectAt(parent: Json, key: string, path = key): Json {
  const value = parent[key] ?? {};
  if (!isObject(value)) throw malformed(path, value, 'an object');
  return value;
}

/** @throws CniError 7 */
export function stringAt(parent: Json, key: string, path = key): string | undefined {
  const value = parent[key] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw malformed(path, value, 'a string');
}

/** A boolean, or its text as Calico's configuration has it ("true"). @throws CniError 7 */
export function booleanAt(parent: Json, key: string, path = key): boolean | undefined {
  const value = parent[key] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 'true' || value === 'false') return value === 'true';
  throw malformed(path, value, 'true or false');
}

/** @throws CniError 7 */
export function integerAt(parent: Json, key: string, path = key): number | undefined {
  const value = parent[key] ?? undefined;
  if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value))) return value;
  throw malformed(path, value, 'a whole number');
}

/** @throws CniError 7 */
export function stringsAt(parent: Json, key: string, path = key): readonly string[] | undefined {
  const value = parent[key] ?? undefined;
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw malformed(path, value, 'a list of strings');
}

/** @throws CniError 7 */
export function objectsAt(parent: Json, key: string, path = key): readonly Json[] | undefined {
  const value = parent[key] ?? undefined;
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every(isObject)) return value;
  throw malformed(path, value, 'a list of objects');
}

/** The same object with its keys in lower case: containerd writes capability keys in PascalCase, others in camelCase. */
export function withLowerCaseKeys(object: Json): Json {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key.toLowerCase(), value]));
}

export function malformed(path: string, value: unknown, expected: string): CniError {
  return new CniError(7, `${path} in the network configuration must be ${expected}, not ${JSON.stringify(value)}`);
}
