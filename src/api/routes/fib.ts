// GET /v1/fib/routes.
import type { FastifyInstance } from 'fastify';
import { notFound } from '../errors.ts';
import type { ApiSource } from '../port.ts';
import { ErrorAnswer, FibRoutes } from '../schemas.ts';

export function fibRoutes(app: FastifyInstance, source: ApiSource): void {
  app.get(
    '/v1/fib/routes',
    {
      schema: {
        summary: 'The routes that should be in the kernel, or are ours there, and how each stands',
        response: { 200: FibRoutes, '4xx': ErrorAnswer },
      },
    },
    () => {
      const kernel = source.kernel();
      if (kernel === undefined) throw notFound('this agent leaves the kernel alone (it runs with --no-fib)');
      return { status: kernel.status(), routes: kernel.routes() };
    },
  );
}
