// How long to wait before the next try: exponential, with full jitter, so that a thousand agents that lost one server at
// one moment do not come back at one moment. Pure.

const FIRST_MS = 250;
const LONGEST_MS = 30_000;

/**
 * @param tries how many have failed in a row, from 1 on
 * @param random from 0 to 1
 * @param askedMs what the server asks for (Retry-After); never less than that
 */
export function backoffMs(tries: number, random: number, askedMs = 0): number {
  const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(tries, 20));
  // Never at once: even the luckiest leaves the server some air.
  return Math.round(askedMs + FIRST_MS / 5 + random * (most - FIRST_MS / 5));
}

/** Retry-After in ms: RFC 9110 §10.2.3 has seconds or a date. Beyond five minutes we ask sooner. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), 300_000) : undefined;
}
