// GET /v1/status, /v1/version.
import type { FastifyInstance } from 'fastify';
import type { AgentStatus } from '../../agent/status.ts';
import type { ApiSource } from '../port.ts';
import { ErrorAnswer, Status, Version } from '../schemas.ts';
import { viewPeer } from '../views.ts';

export function statusRoutes(app: FastifyInstance, source: ApiSource): void {
  app.get(
    '/v1/status',
    { schema: { summary: 'How this node does, and why if not well', response: { 200: Status, '5xx': ErrorAnswer } } },
    async () => viewStatus(await source.status()),
  );
  app.get(
    '/v1/version',
    { schema: { summary: 'Who answers here', response: { 200: Version } } },
    () => source.identity,
  );
}

function viewStatus({ bgp, ...status }: AgentStatus): unknown {
  return bgp === undefined ? status : { ...status, bgp: { ...bgp, peers: bgp.peers.map((peer) => viewPeer(peer)) } };
}
