// Which single addresses this node announced when it last knew: for a start while the API server is away.
import { readFile } from 'node:fs/promises';
import { type Prefix, readPrefix } from '#ip';
import { writeAtomically } from '../store/atomic.ts';

export interface Memory {
  readonly known: readonly Prefix[];
  keep(addresses: readonly Prefix[]): Promise<void>;
}

/** @param file is written when something has changed. One that cannot be read, or is damaged, is as good as none. */
export async function openMemory(file: string): Promise<Memory> {
  let known = parse(await readFile(file, 'utf8').catch(() => '[]'));
  return {
    get known() {
      return known;
    },
    keep: async (addresses) => {
      if (addresses.join() === known.join()) return;
      await writeAtomically(file, `${JSON.stringify(addresses)}\n`);
      known = addresses;
    },
  };
}

function parse(text: string): readonly Prefix[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.flatMap((each) => readPrefix(String(each)) ?? []) : [];
  } catch {
    return []; // not ours, or cut short: nothing is remembered then
  }
}
