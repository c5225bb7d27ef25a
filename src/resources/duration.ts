// Durations as Go writes them, and therefore Calico: "2m0s", "1.5h", "300ms".
import { ResourceError } from './error.ts';

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  µs: 1e-3, // U+00B5, the micro sign
  μs: 1e-3, // U+03BC, the letter mu
  ns: 1e-6,
};
const part = /(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|μs|ns|m|s)/y;

/**
 * The milliseconds of a duration; fractions of them are kept.
 * @throws ResourceError for anything that Go's time.ParseDuration refuses, and for a negative duration
 */
export function parseDuration(text: string): number {
  const bad = (why: string): ResourceError =>
    new ResourceError('duration', `${JSON.stringify(text)} ${why} (as in 90s or 2m0s)`);
  if (text.startsWith('-')) throw bad('is a negative duration');
  const body = text.startsWith('+') ? text.slice(1) : text;
  if (body === '0') return 0;
  if (/^\d+(\.\d+)?$/.test(body)) throw bad('is a duration without a unit');
  let ms = 0;
  let at = 0;
  while (at < body.length) {
    part.lastIndex = at;
    const match = part.exec(body);
    if (match === null) throw bad('is not a duration');
    ms += Number(match[1]) * unitMs[match[2]!]!;
    at = part.lastIndex;
  }
  if (at === 0) throw bad('is not a duration');
  return ms;
}
