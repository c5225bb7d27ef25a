// Errors of the CNI contract: a numeric code that tells the runtime what to do, and one sentence that a human reads in
// `kubectl describe pod`.

/**
 * 1–99 are the specification's (CNI 1.1.0, section 5), 100 and up are ours:
 *
 * 1 unsupported cniVersion · 2 unsupported field · 3 container unknown (the runtime may skip DEL) · 4 bad environment ·
 * 5 I/O · 6 undecodable input · 7 invalid network configuration · 8 CNI_NETNS is the host's own · 11 try again later ·
 * 50 ADD cannot be served · 51 the same, and wired pods suffer too · 100 the kernel differs from what ADD made ·
 * 101 already attached · 102 the kernel refused · 999 a fault of ours
 */
export type CniErrorCode = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 11 | 50 | 51 | 100 | 101 | 102 | 999;

/** What went wrong with one call. `message` is one sentence that stands alone; `details` may be longer. */
export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: CniErrorCode;
  readonly details: string | undefined;

  constructor(code: CniErrorCode, message: string, options: { details?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details;
  }
}

/** Any thrown value as a CniError: what is none yet gets the given code. */
export function asCniError(error: unknown, code: CniErrorCode = 999): CniError {
  if (error instanceof CniError) return error;
  return new CniError(code, error instanceof Error ? error.message : String(error), { cause: error });
}
