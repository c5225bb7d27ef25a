// The three ways in which Calico writes a point in time into a block, and back. All take ms since the epoch.

/** Nanoseconds since the epoch: where a block's sequence number starts. */
export function unixNano(ms: number): bigint {
  return BigInt(Math.trunc(ms)) * 1_000_000n + BigInt(Math.round((ms - Math.trunc(ms)) * 1e6));
}

/** Whole seconds, RFC 3339: "2026-11-21T03:58:20Z". */
export function claimTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** As Go prints a time, zeros at the end of the fraction left away: "2026-11-21 03:58:20.15 +0000 UTC". */
export function timestamp(ms: number): string {
  const [day, time] = new Date(ms).toISOString().split('T') as [string, string];
  const fraction = unixNano(ms) % 1_000_000_000n;
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${day} ${time.slice(0, 8)}${digits === '' ? '' : `.${digits}`} +0000 UTC`;
}

/** The ms of such a {@link timestamp}; undefined for anything else. */
export function readTimestamp(text: string): number | undefined {
  const [, day, time] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d* \+0000 UTC$/.exec(text) ?? [];
  const ms = Date.parse(`${day}T${time}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
