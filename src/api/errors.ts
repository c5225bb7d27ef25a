// How the API says no: {error: {code, message, problems?}}, with a code that stays and a sentence that stands alone.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../log.ts';
import { type Problem, StoreError, type StoreErrorCode } from '../store/port.ts';

/** A no that the API itself has reached. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: string;
  readonly problems: readonly Problem[];

  constructor(status: number, code: string, message: string, problems: readonly Problem[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

export function notFound(what: string): Refusal {
  return new Refusal(404, 'not_found', what);
}

const storeAnswers = {
  exists: [409, 'exists'],
  conflict: [409, 'conflict'],
  missing: [404, 'not_found'],
  invalid: [422, 'invalid'],
  unavailable: [503, 'unavailable'],
} as const satisfies Record<StoreErrorCode, readonly [number, string]>;

/** Every error of a handler comes here; one that nobody foresaw is logged with its stack. */
export function answerError(log: Log) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const refusal = asRefusal(error);
    if (refusal.status >= 500) log.error({ error, method: request.method, url: request.url }, 'API request failed');
    const { code, message, problems } = refusal;
    return reply.code(refusal.status).send({ error: { code, message, ...(problems.length > 0 && { problems }) } });
  };
}

function asRefusal(error: Error & { statusCode?: number }): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreError) {
    const [status, code] = storeAnswers[error.code];
    return new Refusal(status, code, error.message, error.problems);
  }
  // Fastify's own: a request that does not fit its schema, a body that is no JSON.
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new Refusal(error.statusCode, error.statusCode === 404 ? 'not_found' : 'invalid', error.message);
  }
  return new Refusal(500, 'internal', error.message);
}
