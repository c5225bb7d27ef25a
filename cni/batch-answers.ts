// What a run of `ip -force -batch -` says, line by line: for work inside namespaces, on either end of the socket.
import type { LineAnswer } from './port.ts';

/** `ip` cannot know this object. Its complaint, as that of the last line, proves that every line before was read. */
export const lastLine = 'manx-end';

/**
 * Errors stand before "Command failed -:N", where N is the line; a line that worked is silent.
 * @returns what was said last where the end was not reached.
 */
export function readAnswers(output: string, count: number): readonly LineAnswer[] | string {
  const answers: LineAnswer[] = Array.from({ length: count }, () => ({ ok: true }));
  let rest = output;
  for (const match of output.matchAll(/^Command failed -:(\d+)$/gm)) {
    const error = output.slice(output.length - rest.length, match.index).trim();
    rest = output.slice(match.index + match[0].length);
    const line = Number(match[1]) - 1;
    if (line === count) return answers;
    answers[line] = { ok: false, error };
  }
  return rest.trim() || 'no answer';
}

/** What `ip -j` printed; it prints nothing where it failed, and for some commands where there is nothing. */
export function readShown(text: string): readonly unknown[] {
  if (text.trim() === '') return [];
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value : [];
}
