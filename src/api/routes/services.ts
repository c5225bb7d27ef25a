// GET /v1/services.
import type { FastifyInstance } from 'fastify';
import type { ApiSource } from '../port.ts';
import { ErrorAnswer, Services } from '../schemas.ts';

export function serviceRoutes(app: FastifyInstance, source: ApiSource): void {
  app.get(
    '/v1/services',
    {
      schema: {
        summary: 'Every range and address of Services that could be announced here, and why it is or is not',
        response: { 200: Services, '4xx': ErrorAnswer },
      },
    },
    () => source.services(),
  );
}
