// Reads a value by its description: every problem is reported with its path, and what is right is taken over.
import { type Format, readFormat } from './formats.ts';
import type { Field, Schema } from './schema.ts';
import { suggestion } from './suggest.ts';

/** From the root of the resource: ['spec', 'importV4', 0, 'cidr']. */
export type Path = readonly (string | number)[];
export type Report = (path: Path, message: string) => void;

/**
 * What the value says, canonical and with presets filled in; undefined for what cannot be taken over. What was wrong
 * has been reported then, and inside lists and objects too.
 */
export function read(schema: Schema, value: unknown, path: Path, report: Report): unknown {
  if (schema.type === 'nullable') return value === null ? null : read(schema.schema, value, path, report);
  if (schema.type === 'any') return value;
  if (value === null || value === undefined) {
    report(path, 'has no value (give it one, or leave the field out)');
    return undefined;
  }
  switch (schema.type) {
    case 'text':
      return readText(schema, value, path, report);
    case 'choice':
      return readChoice(schema.of, value, path, report);
    case 'integer':
      return readInteger(schema, value, path, report);
    case 'uint64':
      return readUint64(value, path, report);
    case 'asNumber':
      return readAsNumber(value, path, report);
    case 'boolean':
      return typeof value === 'boolean' ? value : refuse(path, report, `${shown(value)} is not true or false`);
    case 'booleanText':
      return readChoice(['true', 'false'], typeof value === 'boolean' ? String(value) : value, path, report);
    case 'portRange':
      return readPortRange(value, path, report);
    case 'list':
      return readList(schema, value, path, report);
    case 'map':
      return readMap(schema, value, path, report);
    case 'object':
      return readObject(schema, value, path, report);
    default:
      return schema satisfies never;
  }
}

/** How a value is quoted in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}

function refuse(path: Path, report: Report, message: string): undefined {
  report(path, message);
  return undefined;
}

type Of<T extends Schema['type']> = Extract<Schema, { readonly type: T }>;

function readText(schema: Of<'text'>, value: unknown, path: Path, report: Report): string | undefined {
  if (typeof value !== 'string') {
    const hint = typeof value === 'object' ? '' : ' (put it in quotes)';
    return refuse(path, report, `${shown(value)} is not a text${hint}`);
  }
  if (value === '' && schema.empty === undefined && schema.format !== 'selector')
    return refuse(path, report, 'is empty');
  if (schema.maxBytes !== undefined && Buffer.byteLength(value) > schema.maxBytes) {
    return refuse(path, report, `has ${Buffer.byteLength(value)} bytes (at most ${schema.maxBytes})`);
  }
  return schema.format === undefined ? value : readFormatted(schema.format, value, path, report);
}

function readFormatted(format: Format, value: string, path: Path, report: Report): string | undefined {
  const reading = readFormat(format, value);
  return 'value' in reading ? reading.value : refuse(path, report, reading.refused);
}

function readChoice(of: readonly string[], value: unknown, path: Path, report: Report): string | undefined {
  if (typeof value === 'string' && of.includes(value)) return value;
  const near = typeof value === 'string' ? suggestion(value, of) : '';
  return refuse(path, report, `${shown(value)} is not ${oneOf(of)}${near}`);
}

function oneOf(of: readonly string[]): string {
  return of.length === 1 ? of[0]! : `${of.slice(0, -1).join(', ')} or ${of.at(-1)!}`;
}

function readInteger({ min, max }: Of<'integer'>, value: unknown, path: Path, report: Report): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`;
  return refuse(path, report, `${shown(value)} is not a whole number ${range}`);
}

function readUint64(value: unknown, path: Path, report: Report): bigint | undefined {
  const exact = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof exact === 'bigint' && exact >= 0n && exact < 1n << 64n) return exact;
  return refuse(path, report, `${shown(value)} is not a whole number from 0 to 2^64-1`);
}

function readAsNumber(value: unknown, path: Path, report: Report): number | undefined {
  const number = typeof value === 'string' ? asNumberOf(value) : typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= 0xffff_ffff) return number;
  // RFC 7607: AS 0 is nobody's.
  return refuse(path, report, `${shown(value)} is not an AS number (1 to 4294967295)`);
}

function asNumberOf(text: string): number {
  const [, high, low] = /^(?:(\d{1,5})\.)?(\d{1,10})$/.exec(text) ?? [];
  if (low === undefined) return Number.NaN;
  if (high === undefined) return Number(low);
  return Number(high) > 0xffff || Number(low) > 0xffff ? Number.NaN : Number(high) * 0x1_0000 + Number(low);
}

function readPortRange(value: unknown, path: Path, report: Report): number | string | undefined {
  const [, first, last] = /^(\d{1,5}):(\d{1,5})$/.exec(String(value)) ?? [];
  if (first === undefined) {
    const isDigits = typeof value === 'string' && /^\d{1,5}$/.test(value);
    return readInteger({ type: 'integer', min: 0, max: 65_535 }, isDigits ? Number(value) : value, path, report);
  }
  if (Number(first) <= Number(last) && Number(last) <= 65_535) return `${first}:${last}`;
  return refuse(path, report, `${shown(value)} is not a range of ports (as in "1024:65535")`);
}

function readList(schema: Of<'list'>, value: unknown, path: Path, report: Report): unknown[] | undefined {
  if (!Array.isArray(value)) return refuse(path, report, `${shown(value)} is not a list`);
  if (value.length < (schema.min ?? 0)) report(path, `needs at least ${schema.min === 1 ? 'one entry' : schema.min}`);
  if (value.length > (schema.max ?? Number.POSITIVE_INFINITY)) {
    report(path, `has ${value.length} entries (at most ${schema.max})`);
  }
  const items = value.map((item, i) => read(schema.items, item, [...path, i], report));
  if (schema.unique) {
    for (const [i, item] of items.entries()) {
      if (item !== undefined && items.indexOf(item) < i) report([...path, i], `${shown(item)} is there twice`);
    }
  }
  return items.filter((item) => item !== undefined);
}

function readMap(schema: Of<'map'>, value: unknown, path: Path, report: Report): object | undefined {
  if (!isRecord(value)) return refuse(path, report, `${shown(value)} is not a map`);
  const entries = Object.entries(value).map(([key, item]): [string | undefined, unknown] => [
    schema.keys === undefined ? key : readFormatted(schema.keys, key, [...path, key], report),
    read(schema.values, item, [...path, key], report),
  ]);
  return Object.fromEntries(entries.filter(([key, item]) => key !== undefined && item !== undefined));
}

function readObject(schema: Of<'object'>, value: unknown, path: Path, report: Report): object | undefined {
  if (!isRecord(value)) return refuse(path, report, `${shown(value)} is not a map`);
  const names = Object.keys(schema.fields);
  const entries: [string, unknown][] = [];
  for (const [name, item] of Object.entries(value)) {
    if (Object.hasOwn(schema.fields, name)) continue;
    if (schema.open) entries.push([name, item]);
    else report([...path, name], `unknown field${suggestion(name, names)}`);
  }
  for (const [name, field] of Object.entries(schema.fields)) {
    const item = readField(field, value, name, path, report);
    if (item !== undefined) entries.push([name, item]);
  }
  const given = names.filter((name) => Object.hasOwn(value, name));
  if (schema.exactlyOne && given.length !== 1) report(path, `needs exactly one of ${names.join(', ')}`);
  return Object.fromEntries(entries);
}

function readField(field: Field, holder: object, name: string, path: Path, report: Report): unknown {
  if (Object.hasOwn(holder, name)) {
    return read(field.schema, (holder as Record<string, unknown>)[name], [...path, name], report);
  }
  if (field.required) report([...path, name], 'is missing');
  return field.preset;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
