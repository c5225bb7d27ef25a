// The agent's API: HTTP on a unix socket that only root may open. The description of all of it is at /openapi.json.
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance, type FastifySchemaValidationError } from 'fastify';
import { chmod, rename, rm } from 'node:fs/promises';
import type { Log } from '../log.ts';
import { answerError, notFound } from './errors.ts';
import type { ApiSource } from './port.ts';
import { bgpRoutes } from './routes/bgp.ts';
import { fibRoutes } from './routes/fib.ts';
import { ipamRoutes } from './routes/ipam.ts';
import { resourceRoutes } from './routes/resources.ts';
import { serviceRoutes } from './routes/services.ts';
import { statusRoutes } from './routes/status.ts';

/** Answers on the socket until it is disposed of. A socket that a killed agent left behind is replaced. */
export async function serveApi(socketPath: string, source: ApiSource, log: Log): Promise<AsyncDisposable> {
  const app = await createApi(source, log);
  // Bound elsewhere, closed to others, then put in place in one step: at no moment may anybody else open it.
  const fresh = `${socketPath}.new`;
  await rm(fresh, { force: true });
  await app.listen({ path: fresh });
  await chmod(fresh, 0o600);
  await rename(fresh, socketPath);
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(socketPath, { force: true });
      await app.close();
    },
  };
}

/** The API without a socket. */
export async function createApi(source: ApiSource, log: Log): Promise<FastifyInstance> {
  const app = fastify({
    // A query that is not known is a mistake worth an answer, not something to drop.
    ajv: { customOptions: { removeAdditional: false, allErrors: true } },
    schemaErrorFormatter: (errors) => new Error(errors.map(requestProblem).join('; ')),
    forceCloseConnections: true,
  });
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler(answerError(log));
  app.setNotFoundHandler((request) => {
    throw notFound(`there is no ${request.method} ${request.url}; /openapi.json lists what there is`);
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'manxd', version: source.identity.version, description: 'The agent of one node' },
    },
  });
  await app.register(async (scope) => {
    statusRoutes(scope, source);
    bgpRoutes(scope, source);
    fibRoutes(scope, source);
    ipamRoutes(scope, source);
    serviceRoutes(scope, source);
    resourceRoutes(scope, source);
    scope.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  });
  await app.ready();
  return app;
}

/** What is wrong with a request, in words that name what was sent. */
function requestProblem({ keyword, params, instancePath, message }: FastifySchemaValidationError): string {
  if (keyword === 'additionalProperties') return `unknown parameter ${String(params['additionalProperty'])}`;
  return `${instancePath.slice(1)} ${message ?? 'is not right'}`;
}
