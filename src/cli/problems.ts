// A problem of the configuration on one line: where, what, and how to mend it.
import type { Problem } from '../store/port.ts';

export function formatProblem({ file, line, kind, name, path, message }: Problem): string {
  const place = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}`;
  const what = [kind, name].filter((word) => word !== undefined).join(' ');
  return [place, what, path === undefined ? message : `${path}: ${message}`].filter((word) => word !== '').join('  ');
}
