// Problems as people read them: one line each, in the order of the files, columns aligned.
import type { Problem } from './port.ts';

/** "peers.yaml:14  BGPPeer tor-a  spec.peerIP: … is not an address", one line a problem, each indented by two. */
export function formatProblems(problems: readonly Problem[]): string {
  const rows = inOrder(problems).map(cells);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  return rows
    .map(([place, what, message]) => {
      const columns = [place.padEnd(widths[0]!), what.padEnd(widths[1]!), message];
      return `  ${columns.filter((_, i) => i === 2 || widths[i]! > 0).join('  ')}`;
    })
    .join('\n');
}

/** By file and line, those without a file last; otherwise as they came. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => {
    if (a.file !== b.file) {
      if (a.file === undefined || b.file === undefined) return a.file === undefined ? 1 : -1;
      return a.file < b.file ? -1 : 1;
    }
    return (a.line ?? 0) - (b.line ?? 0);
  });
}

function cells({ file, line, kind, name, path, message }: Problem): [string, string, string] {
  const place = file === undefined ? '' : line === undefined ? file : `${file}:${line}`;
  const what = [kind, name].filter((word) => word !== undefined).join(' ');
  return [place, what, path === undefined ? message : `${path}: ${message}`];
}
