// GET /v1/bgp/peers, /v1/bgp/peers/NAME, /v1/bgp/routes; POST /v1/bgp/peers/NAME/{refresh,reset}.
import { type Address, type Prefix, bitsOf, familyOf, prefixFrom, readAddress, readPrefix } from '#ip';
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import type { PeerStatus, RouteStatus } from '../../../bgp/status.ts';
import { Refusal, notFound } from '../errors.ts';
import type { ApiSource, SpeakerFace } from '../port.ts';
import { ErrorAnswer, Peer, PeerName, Routes, RoutesQuery } from '../schemas.ts';
import { type KernelRouteView, type PeerView, type RoutesAnswer, viewPeer, viewRoute } from '../views.ts';

export function bgpRoutes(app: FastifyInstance, source: ApiSource): void {
  const errors = { '4xx': ErrorAnswer, '5xx': ErrorAnswer };
  app.get(
    '/v1/bgp/peers',
    { schema: { summary: 'All sessions', response: { 200: Type.Array(Peer), ...errors } } },
    () =>
      source
        .speaker()
        ?.status()
        .peers.map((peer) => view(source, peer)) ?? [],
  );
  app.get<{ Params: Static<typeof PeerName> }>(
    '/v1/bgp/peers/:name',
    { schema: { summary: 'One session', params: PeerName, response: { 200: Peer, ...errors } } },
    async ({ params }): Promise<PeerView> => {
      const { peer, speaker } = findPeer(source, params.name);
      const policies = await speaker.policies(peer.name);
      return { ...view(source, peer), ...(policies && { policies }) };
    },
  );
  for (const what of ['refresh', 'reset'] as const) {
    const summary = { refresh: 'Ask the peer for its routes again', reset: 'End the session; it comes back by itself' };
    app.post<{ Params: Static<typeof PeerName> }>(
      `/v1/bgp/peers/:name/${what}`,
      { schema: { summary: summary[what], params: PeerName, response: { 204: Type.Null(), ...errors } } },
      async ({ params }, reply) => {
        const { peer, speaker } = findPeer(source, params.name);
        act(speaker, peer, what);
        return reply.code(204).send();
      },
    );
  }
  app.get<{ Querystring: Static<typeof RoutesQuery> }>(
    '/v1/bgp/routes',
    {
      schema: {
        summary: 'Paths by prefix, and why each is where it is',
        querystring: RoutesQuery,
        response: { 200: Routes, ...errors },
      },
    },
    ({ query }) => answerRoutes(source, query),
  );
}

function view(source: ApiSource, peer: PeerStatus): PeerView {
  return viewPeer(peer, source.wishOf(peer.name));
}

/** By name, or by address where that is one peer's. */
function findPeer(source: ApiSource, name: string): { peer: PeerStatus; speaker: SpeakerFace } {
  const speaker = source.speaker();
  const peers = speaker?.status().peers ?? [];
  const peer = peers.find((each) => each.name === name) ?? peers.find((each) => each.address === name);
  if (peer === undefined || speaker === undefined) {
    const known = peers.map((each) => each.name).join(', ');
    throw notFound(`there is no peer ${name}${known === '' ? '; there are none at all' : `; there are ${known}`}`);
  }
  return { peer, speaker };
}

function act(speaker: SpeakerFace, peer: PeerStatus, what: 'refresh' | 'reset'): void {
  if (what === 'refresh' && peer.state !== 'Established') {
    throw new Refusal(409, 'conflict', `${peer.name} is ${peer.state}: only an Established session can be refreshed`);
  }
  speaker[what](peer.name);
}

function answerRoutes(source: ApiSource, query: Static<typeof RoutesQuery>): RoutesAnswer {
  const speaker = source.speaker();
  const limit = query.limit ?? 1000;
  const found = speaker === undefined ? [] : [...select(speaker, query, limit + 1)];
  const kernel = kernelIndex(source);
  const routes = found.slice(0, limit).map((route) => viewRoute(route, kernel));
  return { routes, more: found.length > limit };
}

function select(speaker: SpeakerFace, query: Static<typeof RoutesQuery>, limit: number): Iterable<RouteStatus> {
  const { prefix: text, family, peer } = query;
  const narrowed = { ...(family && { family }), ...(peer !== undefined && { peer }), limit } as const;
  if (text === undefined) return speaker.routes(narrowed);
  const prefix = readPrefix(text);
  if (prefix !== undefined) return speaker.routes({ ...(peer !== undefined && { peer }), prefix });
  const address = readAddress(text);
  if (address === undefined)
    throw new Refusal(400, 'invalid', `${JSON.stringify(text)} is neither a prefix nor an address`);
  return longestMatch(speaker, address, peer);
}

/** Where a packet to this address would go: the longest prefix that contains it and has a path. */
function longestMatch(speaker: SpeakerFace, address: Address, peer: string | undefined): readonly RouteStatus[] {
  for (let length: number = bitsOf(familyOf(address)); length >= 0; length--) {
    const prefix = prefixFrom(address, length);
    const found = [...speaker.routes({ prefix, ...(peer !== undefined && { peer }) })].filter(
      ({ paths }) => paths.length > 0,
    );
    if (found.length > 0) return found;
  }
  return [];
}

/** Built once a request, and only when there is a kernel to look at. */
function kernelIndex(source: ApiSource): ((prefix: Prefix) => readonly KernelRouteView[]) | undefined {
  const kernel = source.kernel();
  if (kernel === undefined) return undefined;
  const byPrefix = Map.groupBy(kernel.routes(), ({ route }) => route.prefix);
  return (prefix) => byPrefix.get(prefix) ?? [];
}
