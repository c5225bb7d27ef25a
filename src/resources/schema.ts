// The vocabulary in which the kinds are described. A description is data: parsing reads it (read.ts), and so can
// whatever writes JSON Schema or a CustomResourceDefinition.
import type { Format } from './formats.ts';

export type Schema =
  | { readonly type: 'text'; readonly format?: Format; readonly maxBytes?: number; readonly empty?: true }
  | { readonly type: 'choice'; readonly of: readonly string[] }
  /** Bounds included. */
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  /** 0 to 2^64-1, as a bigint. */
  | { readonly type: 'uint64' }
  /** 1 to 2^32-1; also as a text, and as "high.low" (RFC 5396), as Calico takes it. */
  | { readonly type: 'asNumber' }
  | { readonly type: 'boolean' }
  /** A boolean that is the text "true" or "false" in crd.projectcalico.org/v1. */
  | { readonly type: 'booleanText' }
  | {
      readonly type: 'list';
      readonly items: Schema;
      readonly min?: number;
      readonly max?: number;
      readonly unique?: true;
      /** The field that tells the items apart; no two have the same in it. The kind's own check says so. */
      readonly key?: string;
    }
  | { readonly type: 'map'; readonly keys?: Format; readonly values: Schema }
  /** `open`: unknown fields are kept, not refused. `exactlyOne`: of the fields. */
  | { readonly type: 'object'; readonly fields: Fields; readonly open?: true; readonly exactlyOne?: true }
  /** A port, or "first:last" (Calico's numorstring.Port). */
  | { readonly type: 'portRange' }
  | { readonly type: 'nullable'; readonly schema: Schema }
  /** Kept as it is: ours neither to check nor to use. */
  | { readonly type: 'any' };

export interface Field {
  readonly schema: Schema;
  /** One line: what it is for. */
  readonly says: string;
  readonly required?: true;
  /** What stands in the parsed resource when the field is absent. */
  readonly preset?: unknown;
  /** Not printed while it has its preset, as Calico does not. */
  readonly quiet?: true;
}

export type Fields = Readonly<Record<string, Field>>;

/** A description of every field of T: a field of the type without one does not compile. */
export type FieldsOf<T> = { readonly [K in keyof Required<T>]: Field };

export const boolean: Schema = { type: 'boolean' };
export const asNumber: Schema = { type: 'asNumber' };
export const any: Schema = { type: 'any' };

export function text(format?: Format, maxBytes?: number): Schema {
  return { type: 'text', ...(format !== undefined && { format }), ...(maxBytes !== undefined && { maxBytes }) };
}

export function choice(...of: readonly string[]): Schema {
  return { type: 'choice', of };
}

export function integer(min: number, max: number): Schema {
  return { type: 'integer', min, max };
}

export function list(items: Schema, limits: { min?: number; max?: number; unique?: true; key?: string } = {}): Schema {
  return { type: 'list', items, ...limits };
}

export function map(values: Schema, keys?: Format): Schema {
  return { type: 'map', values, ...(keys !== undefined && { keys }) };
}

export function object(fields: Fields): Schema {
  return { type: 'object', fields };
}

export function nullable(schema: Schema): Schema {
  return { type: 'nullable', schema };
}
