// GET /v1/ipam, /v1/ipam/addresses/ADDRESS, /v1/ipam/check.
import { readAddress } from '#ip';
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { formatJson } from '../../resources/json.ts';
import { Refusal } from '../errors.ts';
import type { ApiSource } from '../port.ts';
import { AddressName, AddressUse, ErrorAnswer, Findings, IpamUse } from '../schemas.ts';

export function ipamRoutes(app: FastifyInstance, source: ApiSource): void {
  const errors = { '4xx': ErrorAnswer, '5xx': ErrorAnswer };
  app.get(
    '/v1/ipam',
    { schema: { summary: 'How full pools and blocks are', response: { 200: IpamUse, ...errors } } },
    async (_request, reply) => reply.type('application/json').send(formatJson(await source.ipam.usage())),
  );
  app.get<{ Params: Static<typeof AddressName> }>(
    '/v1/ipam/addresses/:address',
    { schema: { summary: 'Who has an address', params: AddressName, response: { 200: AddressUse, ...errors } } },
    async ({ params }) => {
      const address = readAddress(params.address);
      if (address === undefined)
        throw new Refusal(400, 'invalid', `${JSON.stringify(params.address)} is not an address`);
      return source.ipam.lookUp(address);
    },
  );
  app.get(
    '/v1/ipam/check',
    { schema: { summary: 'What is wrong in the data of IPAM', response: { 200: Findings, ...errors } } },
    () => source.ipam.check(),
  );
}
