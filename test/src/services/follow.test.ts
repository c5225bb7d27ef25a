// Following the cluster's Services: what is asked of the API server, when somebody is told to look, and what holds while
// it is not known.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Prefix, parsePrefix } from '#ip';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { KubeObject, Reflect, ReflectOptions } from '../../../src/kube/port.ts';
import type { BGPConfigurationSpec } from '../../../src/resources/types.ts';
import {
  type ServicesBasis,
  type ServicesFollower,
  followServices,
  withoutCluster,
} from '../../../src/services/follow.ts';
import { type Memory, openMemory } from '../../../src/services/memory.ts';

const cidr = parsePrefix('198.51.100.0/24');
const configuration: BGPConfigurationSpec = { serviceExternalIPs: [{ cidr }] };
const basis = (spec = configuration, labels = {}): ServicesBasis => ({
  ...{ configuration: spec, pools: [] },
  node: { labels, families: [4] },
});

/** One resource of an API server in memory; it is listed when the test says so. */
class Source {
  readonly options: ReflectOptions<KubeObject>;
  disposed = false;
  private readonly lookers = new Set<() => void>();
  private readonly listed = Promise.withResolvers<void>();
  private objects = new Map<string, KubeObject>();

  constructor(options: ReflectOptions<KubeObject>) {
    this.options = options;
  }

  list(...objects: readonly KubeObject[]): void {
    for (const object of objects) this.put(object);
    this.listed.resolve();
  }

  put(object: KubeObject): void {
    this.objects.set(object.metadata.name, this.options.keep?.(object) ?? object);
    for (const look of this.lookers) look();
  }

  reflection(): ReturnType<Reflect> {
    return {
      ready: this.listed.promise,
      all: () => [...this.objects.values()],
      get: (name) => this.objects.get(name),
      watch: (look) => {
        this.lookers.add(look);
        return () => this.lookers.delete(look);
      },
      status: () => ({ items: this.objects.size, listed: true, missing: false }),
      [Symbol.asyncDispose]: () => {
        this.disposed = true;
        return Promise.resolve();
      },
    };
  }
}

let sources: Map<string, Source>;
let memory: Memory & { known: readonly Prefix[] };
let changes: number;
let follower: ServicesFollower;

function start(patienceMs = 60_000): ServicesFollower {
  const reflect = ((path: { plural: string }, options: ReflectOptions<KubeObject> = {}) => {
    const source = new Source(options);
    sources.set(path.plural, source);
    return source.reflection();
  }) as unknown as Reflect;
  follower = followServices({ reflect, node: 'here', onChange: () => void changes++, memory, patienceMs });
  return follower;
}

beforeEach(() => {
  vi.useFakeTimers();
  sources = new Map();
  changes = 0;
  const known: readonly Prefix[] = [];
  memory = {
    known,
    keep: (addresses) => {
      memory.known = addresses;
      return Promise.resolve();
    },
  };
});
afterEach(async () => {
  await follower?.[Symbol.asyncDispose]();
  vi.useRealTimers();
});

const service = (name: string, address: string): KubeObject => ({
  ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'web' } },
  spec: { clusterIPs: ['10.96.0.1'], externalIPs: [address], externalTrafficPolicy: 'Local', selector: { app: name } },
});
const slice = (name: string, ready: boolean, pod = '10.82.0.1'): KubeObject => ({
  ...{ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4' },
  metadata: { name, namespace: 'web', labels: { 'kubernetes.io/service-name': name } },
  endpoints: [{ addresses: [pod], nodeName: 'here', conditions: { ready } }],
});
const nodeObject = (status: string): KubeObject => ({
  ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'here' } },
  status: { conditions: [{ type: 'NetworkUnavailable', status }] },
});

/** What is answered when waiting is over. */
async function answerOf<T>(answer: Promise<T>): Promise<T> {
  await vi.advanceTimersByTimeAsync(0);
  return answer;
}

async function listAll(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
  sources.get('services')!.list(service('shop', '198.51.100.7'));
  sources.get('endpointslices')!.list(slice('shop', true));
  sources.get('nodes')!.list(nodeObject('False'));
}

test('the first answer waits for the lists, and has what follows from them', async () => {
  const answer = start().announced(basis());
  await listAll();
  expect(await answer).toMatchObject({ ranges: [cidr], addresses: ['198.51.100.7/32'] });
  expect(memory.known).toEqual(['198.51.100.7/32']);
});

test('nothing is asked of the API server while no range is configured, and nothing any more when none is', async () => {
  start();
  expect((await follower.announced(basis({}))).entries).toEqual([]);
  expect(sources.size).toBe(0);
  const answer = follower.announced(basis());
  await listAll();
  await answer;
  await follower.announced(basis({}));
  expect([...sources.values()].map(({ disposed }) => disposed)).toEqual([true, true, true]);
});

test('headless Services are left out by the server, and of Nodes only this one is asked for', async () => {
  void start().announced(basis());
  await listAll();
  expect(sources.get('endpointslices')!.options.labelSelector).toBe('!service.kubernetes.io/headless');
  expect(sources.get('nodes')!.options.fieldSelector).toBe('metadata.name=here');
});

test('somebody is told to look when what is announced changes, and not for anything else', async () => {
  const answer = start().announced(basis());
  await listAll();
  await answer;
  await vi.advanceTimersByTimeAsync(1000);
  expect(changes).toBe(0);
  sources.get('endpointslices')!.put(slice('shop', true, '10.82.0.2'));
  sources.get('services')!.put(service('far', '203.0.113.1'));
  await vi.advanceTimersByTimeAsync(1000);
  expect(changes).toBe(0);
  sources.get('endpointslices')!.put(slice('shop', false));
  await vi.advanceTimersByTimeAsync(1000);
  expect(changes).toBe(1);
  expect((await follower.announced(basis())).addresses).toEqual([]);
  expect(memory.known).toEqual([]);
});

test('a node whose network becomes unavailable announces nothing', async () => {
  const answer = start().announced(basis());
  await listAll();
  await answer;
  sources.get('nodes')!.put(nodeObject('True'));
  await vi.advanceTimersByTimeAsync(1000);
  expect(changes).toBe(1);
  expect(await follower.announced(basis())).toMatchObject({ ranges: [], addresses: [] });
});

test('while the API server is away, what was announced before the start stays, as far as the ranges allow it', async () => {
  memory.known = ['198.51.100.7/32', '203.0.113.9/32'].map(parsePrefix);
  const answer = start(50).announced(basis());

  expect(await answer).toMatchObject({ ranges: [cidr], addresses: ['198.51.100.7/32'] });
  expect((await answer).entries.at(-1)).toEqual({
    ...{ prefix: '198.51.100.7/32', use: 'remembered', announcedAs: '198.51.100.7/32' },
    reason: 'as before the agent started: the API server has not told of Services yet',
  });
  expect(memory.known).toHaveLength(2);

  sources.get('services')!.list();
  sources.get('endpointslices')!.list();
  sources.get('nodes')!.list(nodeObject('False'));
  await vi.advanceTimersByTimeAsync(1000);
  expect(changes).toBe(1);
  expect((await follower.announced(basis())).addresses).toEqual([]);
});

test('what is remembered is not announced by a node that is excluded from load balancing', async () => {
  memory.known = [parsePrefix('198.51.100.7/32')];
  const excluded = { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' };
  expect((await answerOf(start(0).announced(basis(configuration, excluded)))).addresses).toEqual([]);
});

test('of what the API server sends, only what matters here is held', async () => {
  void start().announced(basis());
  await listAll();
  const { keep } = sources.get('endpointslices')!.options;
  expect(JSON.stringify(keep!(slice('shop', true, '10.82.0.1')))).toBe(
    JSON.stringify(keep!(slice('shop', true, '10.82.0.2'))),
  );
});

test('without a cluster ranges are announced whole', async () => {
  const { addresses, ranges } = await withoutCluster('here').announced(basis());
  expect([ranges, addresses]).toEqual([[cidr], []]);
});

test('the memory of addresses is a file, and a damaged one is as good as none', async () => {
  vi.useRealTimers();
  const folder = await mkdtemp(join(tmpdir(), 'manx-services-'));
  const file = join(folder, 'services.json');
  const first = await openMemory(file);
  expect(first.known).toEqual([]);
  await first.keep([parsePrefix('198.51.100.7/32')]);
  expect((await openMemory(file)).known).toEqual(['198.51.100.7/32']);
  expect(await readFile(file, 'utf8')).toBe('["198.51.100.7/32"]\n');
  await writeFile(file, '["198.51.100.7/32", 7');
  expect((await openMemory(file)).known).toEqual([]);
  await rm(folder, { recursive: true });
});
