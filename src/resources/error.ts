// What is wrong with a text that stands in a resource.

/** What kind of text it was. */
export type ResourceErrorCode = 'selector' | 'duration' | 'endpoint' | 'json';

/** A text that cannot be read. `message` is one sentence fit for an operator, without the field it stood in. */
export class ResourceError extends Error {
  override readonly name = 'ResourceError';
  readonly code: ResourceErrorCode;

  constructor(code: ResourceErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}
