// /v1/resources/KIND[/NAME]: the same documents as in the configuration folder, read and written.
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { type AnyResource, listDocument } from '../../documents.ts';
import { kindNames, kinds, readKind } from '../../kinds.ts';
import { formatJson, parseJson } from '../../resources/json.ts';
import { parseResource } from '../../resources/parse.ts';
import { toDocument } from '../../resources/print.ts';
import type { Kind } from '../../resources/types.ts';
import { Refusal, notFound } from '../errors.ts';
import type { ApiSource } from '../port.ts';
import { ErrorAnswer, KindName, Resource, ResourceList, ResourceName } from '../schemas.ts';

export function resourceRoutes(app: FastifyInstance, { documents }: ApiSource): void {
  const errors = { '4xx': ErrorAnswer, '5xx': ErrorAnswer };
  // Numbers of 64 bits survive only in our own parser; what it gives is checked by parseResource, not by a schema.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    parseBody(body as string, done);
  });
  app.get<{ Params: Static<typeof KindName> }>(
    '/v1/resources/:kind',
    { schema: { summary: 'All of a kind', params: KindName, response: { 200: ResourceList, ...errors } } },
    async ({ params }, reply) => {
      const kind = knownKind(params.kind);
      return reply.type('application/json').send(formatJson(listDocument(kind, await documents.list(kind))));
    },
  );
  app.get<{ Params: Static<typeof ResourceName> }>(
    '/v1/resources/:kind/:name',
    { schema: { summary: 'One resource', params: ResourceName, response: { 200: Resource, ...errors } } },
    async ({ params }, reply) => {
      const kind = knownKind(params.kind);
      const resource = await documents.get(kind, params.name);
      if (resource === undefined) throw notFound(`there is no ${kind} ${params.name}`);
      return reply.type('application/json').send(documentText(resource));
    },
  );
  app.put<{ Params: Static<typeof ResourceName>; Headers: { 'if-none-match'?: string } }>(
    '/v1/resources/:kind/:name',
    {
      schema: {
        summary: 'Make a resource so; with "If-None-Match: *" only if there is none of that name',
        description: 'With metadata.resourceVersion only while that is the newest.',
        params: ResourceName,
        response: { 200: Resource, 201: Resource, ...errors },
      },
    },
    async ({ params, body, headers }, reply) => {
      const resource = readBody(body, writableKind(params.kind), params.name);
      const verb = headers['if-none-match'] === '*' ? 'create' : 'apply';
      const { resource: stored, outcome } = await documents[verb](resource);
      return reply
        .code(outcome === 'created' ? 201 : 200)
        .type('application/json')
        .send(documentText(stored));
    },
  );
  app.delete<{ Params: Static<typeof ResourceName> }>(
    '/v1/resources/:kind/:name',
    { schema: { summary: 'Delete a resource', params: ResourceName, response: errors } },
    async ({ params }, reply) => {
      await documents.remove(writableKind(params.kind), params.name);
      return reply.code(204).send();
    },
  );
}

function parseBody(body: string, done: (error: Error | null, value?: unknown) => void): void {
  // The answer to a body that is no JSON is a refusal, not a failure of ours.
  try {
    done(null, parseJson(body));
  } catch (error) {
    done(new Refusal(400, 'invalid', `the body is ${(error as Error).message}`));
  }
}

function knownKind(word: string): Kind {
  const kind = readKind(word);
  if (kind === undefined) throw notFound(`there is no kind ${word}; there are ${kinds.join(', ')}`);
  return kind;
}

/** Blocks, affinities and handles are the agents' books: written by hand, addresses would be given twice. */
function writableKind(word: string): Kind {
  const kind = knownKind(word);
  if (kindNames[kind].written === 'by operators') return kind;
  throw new Refusal(403, 'forbidden', `${kind} is written by the agents only`);
}

function readBody(body: unknown, kind: Kind, name: string): AnyResource {
  const { resource, problems } = parseResource(body, {});
  if (resource === undefined || problems.length > 0) {
    throw new Refusal(422, 'invalid', `${kind} ${name} is not valid`, problems);
  }
  if (resource.kind !== kind || resource.metadata.name !== name) {
    throw new Refusal(
      422,
      'invalid',
      `the body is ${resource.kind} ${resource.metadata.name}, the path ${kind} ${name}`,
    );
  }
  return resource;
}

function documentText(resource: AnyResource): string {
  return formatJson(toDocument(resource));
}
