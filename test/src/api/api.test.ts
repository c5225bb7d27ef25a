// The API of a real agent that has a session with another one.
import { stat } from 'node:fs/promises';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Findings, IpamUse, Peer, Routes, Services, Status, Version } from '../../../src/api/schemas.ts';
import type { PeerView, RoutesAnswer } from '../../../src/api/views.ts';
import { ApiError } from '../../../src/cli/client.ts';
import { until } from '../../lab/until.ts';
import { type Pair, startPair } from './pair.ts';

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

async function refusal(work: Promise<unknown>): Promise<ApiError> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof ApiError) return error;
  throw new Error('the API did not refuse', { cause: error });
}

describe('the socket of the API', () => {
  test('opens for its owner only', async () => {
    expect((await stat(pair.one.socket)).mode & 0o777).toBe(0o600);
  });
});

describe('answers', () => {
  test.for<[string, TSchema]>([
    ['/v1/status', Status],
    ['/v1/version', Version],
    ['/v1/bgp/peers/two', Peer],
    ['/v1/bgp/routes', Routes],
    ['/v1/ipam', IpamUse],
    ['/v1/services', Services],
    ['/v1/ipam/check', Findings],
  ])('of %s are what the description says, without a field that it does not know', async ([path, schema]) => {
    const answer = await pair.one.api.get(path);
    expect(Value.Errors(schema, answer).map(({ instancePath, message }) => `${instancePath} ${message}`)).toEqual([]);
  });

  test('describe themselves as OpenAPI, each path of it', async () => {
    const { openapi, paths } = await pair.one.api.get<{ openapi: string; paths: object }>('/openapi.json');
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths).sort()).toEqual([
      '/v1/bgp/peers',
      '/v1/bgp/peers/{name}',
      '/v1/bgp/peers/{name}/refresh',
      '/v1/bgp/peers/{name}/reset',
      '/v1/bgp/routes',
      '/v1/fib/routes',
      '/v1/ipam',
      '/v1/ipam/addresses/{address}',
      '/v1/ipam/check',
      '/v1/resources/{kind}',
      '/v1/resources/{kind}/{name}',
      '/v1/services',
      '/v1/status',
      '/v1/version',
    ]);
  });
});

describe('peers', () => {
  test('are found by name and by address', async () => {
    const byName = await pair.one.api.get<PeerView>('/v1/bgp/peers/two');
    const byAddress = await pair.one.api.get<PeerView>('/v1/bgp/peers/192.0.2.2');
    expect([byName.name, byAddress.name, byName.state]).toEqual(['two', 'two', 'Established']);
  });

  test('that do not exist are answered with those that do', async () => {
    const { status, code, message } = await refusal(pair.one.api.get('/v1/bgp/peers/three'));
    expect({ status, code, message }).toEqual({
      status: 404,
      code: 'not_found',
      message: 'there is no peer three; there are two',
    });
  });

  test('come back by themselves after a reset', async () => {
    const before = await pair.one.api.get<PeerView>('/v1/bgp/peers/two');
    await pair.one.api.send('POST', '/v1/bgp/peers/two/reset');
    await until('the session was down and is up again', async () => {
      const now = await pair.one.api.get<PeerView>('/v1/bgp/peers/two');
      return now.flaps === before.flaps + 1 && now.state === 'Established';
    });
  });

  test('can be asked for their routes again', async () => {
    await pair.one.api.send('POST', '/v1/bgp/peers/two/refresh');
    await until('the request is counted', async () => {
      const { messages } = await pair.one.api.get<PeerView>('/v1/bgp/peers/two');
      return messages.sent.routeRefresh > 0;
    });
  });
});

describe('routes', () => {
  const learned = '203.0.113.0/24';
  const ask = (query: string) => pair.one.api.get<RoutesAnswer>(`/v1/bgp/routes?${query}`);

  test('have every path with the reason for its place', async () => {
    const [route] = (
      await until('the route is there', async () => {
        const answer = await ask(`prefix=${encodeURIComponent(learned)}`);
        return answer.routes.length > 0 ? answer : undefined;
      })
    ).routes;
    expect(route).toMatchObject({
      prefix: learned,
      paths: [{ peer: 'two', state: 'best', attributes: { asPath: '65001', nextHop: '192.0.2.2' } }],
    });
    expect(route!.paths[0]!.why).not.toBe('');
  });

  test('of an address are those of the longest prefix around it', async () => {
    expect((await ask('prefix=203.0.113.7')).routes.map(({ prefix }) => prefix)).toEqual([learned]);
    expect((await ask('prefix=192.168.0.1')).routes).toEqual([]);
  });

  test('are cut at the limit, which the answer says', async () => {
    const { routes, more } = await ask('limit=1');
    expect([routes.length, more]).toEqual([1, true]);
  });

  test.for([
    ['prefix=300.0.0.1', '"300.0.0.1" is neither a prefix nor an address'],
    ['famly=ipv4-unicast', 'unknown parameter famly'],
    ['limit=0', 'limit must be >= 1'],
  ])('are not answered for %s', async ([query, message]) => {
    const error = await refusal(ask(query!));
    expect([error.status, error.code, error.message]).toEqual([400, 'invalid', message]);
  });
});

test('without FIB there are no kernel routes to ask for', async () => {
  expect((await refusal(pair.one.api.get('/v1/fib/routes'))).message).toBe(
    'this agent leaves the kernel alone (it runs with --no-fib)',
  );
});

describe('resources', () => {
  const path = '/v1/resources/BGPFilter/nothing';
  const filter = (spec: object) =>
    JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind: 'BGPFilter', metadata: { name: 'nothing' }, spec });
  const accept = filter({ importV4: [{ action: 'Accept' }] });

  test('are created, listed, changed and deleted', async () => {
    const { api } = pair.one;
    const created = await api.send('PUT', path, accept);
    const changed = await api.send('PUT', path, filter({ importV4: [{ action: 'Reject' }] }));
    const { items } = await api.get<{ items: { metadata: { name: string } }[] }>('/v1/resources/bgpfilters');
    const deleted = await api.send('DELETE', path);
    expect([created.status, changed.status, deleted.status]).toEqual([201, 200, 204]);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['nothing']);
    expect((await refusal(api.get(path))).status).toBe(404);
  });

  test('are not created twice where that is asked for', async () => {
    const { api } = pair.one;
    await api.send('PUT', path, accept, { 'if-none-match': '*' });
    const again = await refusal(api.send('PUT', path, accept, { 'if-none-match': '*' }));
    await api.send('DELETE', path);
    expect([again.status, again.code]).toEqual([409, 'exists']);
  });

  test('that are wrong are refused with every problem', async () => {
    const wrong = filter({ importV4: [{ action: 'Acept' }], exportV9: [] });
    const { status, code, problems } = await refusal(pair.one.api.send('PUT', path, wrong));
    expect([status, code]).toEqual([422, 'invalid']);
    expect(problems.map((problem) => problem.path)).toEqual(['spec.exportV9', 'spec.importV4[0].action']);
  });

  test('that do not fit what is there are refused by the whole', async () => {
    const document = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'Node',
      metadata: { name: 'double' },
      spec: { bgp: { ipv4Address: '192.0.2.1/24' } },
    };
    const error = await refusal(pair.one.api.send('PUT', '/v1/resources/Node/double', JSON.stringify(document)));
    expect([error.status, error.code]).toEqual([422, 'invalid']);
  });

  test('of another name than the path says are refused', async () => {
    const error = await refusal(pair.one.api.send('PUT', '/v1/resources/BGPFilter/other', accept));
    expect(error.message).toBe('the body is BGPFilter nothing, the path BGPFilter other');
  });

  test('of no kind that there is are answered with those that there are', async () => {
    expect((await refusal(pair.one.api.get('/v1/resources/GlobalNetworkPolicy'))).message).toMatch(
      /^there is no kind GlobalNetworkPolicy; there are Node, IPPool/,
    );
  });

  test('that agents keep books in can be read and not written', async () => {
    const { status, code } = await refusal(pair.one.api.send('DELETE', '/v1/resources/IPAMBlock/10-0-0-0-26'));
    expect([status, code]).toEqual([403, 'forbidden']);
  });

  test('bodies that are no JSON are refused as such', async () => {
    const { status, message } = await refusal(pair.one.api.send('PUT', path, '{'));
    expect(status).toBe(400);
    expect(message).toMatch(/^the body is no JSON: /);
  });
});

test('a path that does not exist is answered with where to look', async () => {
  expect((await refusal(pair.one.api.get('/v2'))).message).toBe(
    'there is no GET /v2; /openapi.json lists what there is',
  );
});
