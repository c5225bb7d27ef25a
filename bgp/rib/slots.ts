// What an update group announces is numbered by slots. Without ADD-PATH a slot is a prefix; with it, a path, whose id
// is also the path identifier on the wire (RFC 7911 §3), so it is held until the last peer has heard of its end.
import { type PathTable, pathField } from './path-table.ts';
import type { PrefixTable } from './prefix-table.ts';

export interface Slots {
  /** Octets of the longest NLRI. */
  readonly room: number;
  /** Every slot is below this. */
  readonly end: number;
  prefixOf(slot: number): number;
  retain(slot: number): void;
  release(slot: number): void;
  /** Writes the NLRI. @returns where it ends. */
  write(slot: number, out: Uint8Array, at: number): number;
}

export function prefixSlots(prefixes: PrefixTable): Slots {
  return {
    room: 17,
    get end() {
      return prefixes.end;
    },
    prefixOf: (slot) => slot,
    retain: (slot) => prefixes.retain(slot),
    release: (slot) => prefixes.release(slot),
    write: (slot, out, at) => prefixes.write(slot, out, at),
  };
}

export function pathSlots(prefixes: PrefixTable, paths: PathTable): Slots {
  return {
    room: 21,
    get end() {
      return paths.end;
    },
    prefixOf: (slot) => paths.get(slot, pathField.prefix),
    retain: (slot) => paths.retain(slot),
    release: (slot) => paths.release(slot),
    write: (slot, out, at) => {
      out[at] = slot >>> 24;
      out[at + 1] = slot >>> 16;
      out[at + 2] = slot >>> 8;
      out[at + 3] = slot;
      return prefixes.write(paths.get(slot, pathField.prefix), out, at + 4);
    },
  };
}
