// What can go wrong with an address, and whether asking again may help.

/**
 * exhausted: nothing is free. limit: this node may claim no further block. taken: somebody else has that very address.
 * pool: no pool may be used, or the address lies in none. invalid: the request makes no sense. contended: the
 * compare-and-swap lost too often. unavailable: the store does not answer.
 */
export type IpamErrorCode = 'exhausted' | 'limit' | 'taken' | 'pool' | 'invalid' | 'contended' | 'unavailable';

/** `message` is one sentence that stands alone: it reaches a human through the events of a pod. */
export class IpamError extends Error {
  override readonly name = 'IpamError';
  readonly code: IpamErrorCode;

  constructor(code: IpamErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** Whether the same request may succeed later without anybody changing the configuration. */
  get mayPass(): boolean {
    return this.code !== 'pool' && this.code !== 'invalid';
  }
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
