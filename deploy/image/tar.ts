// A tar archive that only depends on what is in it: sorted, owned by root, without a time (POSIX ustar).
import { createHash } from 'node:crypto';

export type Entry =
  | { readonly path: string; readonly kind: 'file'; readonly mode: number; readonly content: Uint8Array }
  | { readonly path: string; readonly kind: 'folder'; readonly mode: number }
  | { readonly path: string; readonly kind: 'link'; readonly target: string };

const BLOCK = 512;
const types = { file: '0', link: '2', folder: '5' } as const;

/** The archive in pieces. Folders on the way to an entry are added. Paths are relative, at most 100 bytes. */
export function tar(entries: readonly Entry[]): Uint8Array[] {
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at);
      if (!all.has(folder)) all.set(folder, { path: folder, kind: 'folder', mode: 0o755 });
    }
  }
  const sorted = [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const pieces = sorted.flatMap((entry) => {
    if (entry.kind !== 'file') return [header(entry)];
    const padding = -entry.content.length & (BLOCK - 1);
    return [header(entry), entry.content, new Uint8Array(padding)];
  });
  return [...pieces, new Uint8Array(2 * BLOCK)];
}

function header(entry: Entry): Uint8Array {
  const { path, kind } = entry;
  const name = kind === 'folder' ? `${path}/` : path;
  const target = kind === 'link' ? entry.target : '';
  if (Buffer.byteLength(name) > 100 || Buffer.byteLength(target) > 100) throw new Error(`too long for tar: ${name}`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void =>
    void block.write(value.toString(8).padStart(digits, '0'), at, 'ascii');
  block.write(name, 0);
  octal(kind === 'link' ? 0o777 : entry.mode, 100, 7);
  octal(0, 108, 7); // owner
  octal(0, 116, 7); // group
  octal(kind === 'file' ? entry.content.length : 0, 124, 11);
  octal(0, 136, 11); // time
  block.write(`        ${types[kind]}`, 148, 'ascii');
  block.write(target, 157);
  block.write('ustar\u{0}00', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

export function sha256(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
