// The ports of fib/: what it asks of the outside. The real ones are `ip` children (ip.ts, monitor.ts).

/** Runs lines as `ip -batch` does, in order. One answer per line. */
export interface Batch {
  run(lines: readonly string[]): Promise<readonly LineResult[]>;
}

/** ok, or the kernel's (or `ip`'s own) words for why not. */
export type LineResult = { readonly ok: true } | { readonly ok: false; readonly error: string };
