// The one error of fib/: something that the operator of the node must see to.

/**
 * ip-missing: `ip` cannot be started. ip-ended: it ended or hung, again and again. ip-output: it printed what we do not
 * understand. ip-failed: it said no to a question. bad-route: a route that cannot be said to `ip`. closed: asked after
 * the end. icmp6: a router advertisement that cannot be sent.
 */
export type FibErrorCode = 'ip-missing' | 'ip-ended' | 'ip-output' | 'ip-failed' | 'bad-route' | 'closed' | 'icmp6';

export class FibError extends Error {
  override readonly name = 'FibError';
  readonly code: FibErrorCode;

  constructor(code: FibErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What a thrown value says, for a status. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
