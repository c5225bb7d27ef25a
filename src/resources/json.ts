// JSON that keeps 64-bit numbers: Calico's sequence numbers are nanoseconds since 1970, beyond what a double holds
// exactly, and a block that is written back with a rounded one is corrupt.
import { ResourceError } from './error.ts';

// ECMAScript 2026, in Node since 22; TypeScript's library does not have it yet.
declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
}

/**
 * Parses JSON; an integer that a double cannot hold exactly becomes a bigint, every other number a number.
 * @throws ResourceError
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' ? exactNumber(value, context?.source) : value,
    ) as unknown;
  } catch (cause) {
    throw new ResourceError('json', `no JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Prints JSON with bigints as numbers; `indent` as of JSON.stringify. */
export function formatJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, part: unknown) => (typeof part === 'bigint' ? JSON.rawJSON(String(part)) : part),
    indent,
  );
}

function exactNumber(value: number, source: string | undefined): number | bigint {
  if (Number.isSafeInteger(value) || source === undefined || !/^-?\d+$/.test(source)) return value;
  return BigInt(source);
}
