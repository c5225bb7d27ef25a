// The keeper against the real nft and kernel, each test in a host of its own.
import { parsePrefix } from '#ip';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTable } from '../../../src/nft/cleanup.ts';
import { type NftBasis, type NftTable, openNft } from '../../../src/nft/index.ts';
import { type Nft, nftCommand } from '../../../src/nft/nft.ts';
import { parseTable } from '../../../src/nft/table.ts';
import { type Host, createHost } from '../../lab/host.ts';
import { lacking } from '../../lab/needs.ts';
import { until } from '../../lab/until.ts';
import { pool } from '../../support/resources.ts';

const why = lacking('nft');
const log = pino({ level: 'silent' });
const basis = (...pools: NftBasis['view']['pools']): NftBasis => ({
  view: { pools, nodes: [], bgpConfigurations: [], peers: [], filters: [], peerOptions: [], reservations: [] },
  ...{ node: 'one', services: [], translated: false },
});
const natted = pool('a', '10.82.0.0/16', { natOutgoing: true });
const foreign = 'table ip manx {\n\tchain theirs {\n\t\taccept\n\t}\n}\n';

let host: Host;
beforeEach(async () => {
  host = await createHost();
});
afterEach(() => host[Symbol.asyncDispose]());

const inHost = (): Nft => nftCommand(['ip', 'netns', 'exec', host.name, 'nft']);
const nft = async (text: string): Promise<string> => (await host.run('nft', ['-f', '-'], { input: text })).stdout;
const ours = (): Promise<string | undefined> => inHost().list();
const open = (everyMs?: number): NftTable => openNft(log, { nft: inHost(), ...(everyMs && { everyMs }) });

test.skipIf(why)(`the table comes, changes and goes with the pools ${why ?? ''}`, async () => {
  await using table = open();
  await table.settle();
  expect(await ours()).toBeUndefined();
  for (const [pools, sets] of [
    [[natted], ['set nat-v4', 'set inside-v4']],
    [
      [natted, pool('b', 'fd82::/48', { natOutgoing: true })],
      ['set nat-v4', 'set inside-v4', 'set nat-v6', 'set inside-v6'],
    ],
    [[pool('a', '10.82.0.0/16')], undefined],
  ] as const) {
    table.follow(basis(...pools));
    await table.settle();
    const listed = await ours();
    expect(listed && [...parseTable(listed).keys()].filter((header) => header.startsWith('set'))).toEqual(sets);
  }
  expect(table.failures()[0]!.failure).toBeUndefined();
});

test.skipIf(why)(`what somebody changed by hand is put right, and counted ${why ?? ''}`, async () => {
  await using table = open(20);
  table.follow(basis(natted));
  await table.settle();
  const before = await ours();
  for (const change of [
    'flush chain inet manx nat-outgoing',
    'delete element inet manx nat-v4 { 10.82.0.0/16 }',
    'add element inet manx inside-v4 { 192.0.2.0/24 }',
    'delete table inet manx',
    'add chain inet manx more',
  ]) {
    const { repairs } = table.status();
    await nft(`${change}\n`);
    await until(`${change} is undone`, async () => table.status().repairs > repairs && (await ours()) === before);
  }
});

test.skipIf(why)(`a table that is as it should be is not written again by the next run ${why ?? ''}`, async () => {
  const first = open();
  first.follow(basis(natted));
  await first.settle();
  await first[Symbol.asyncDispose]();
  expect(await ours()).toBeDefined();
  const handles = async (): Promise<string> => (await host.run('nft', ['-a', 'list', 'table', 'inet', 'manx'])).stdout;
  const before = await handles();

  await using second = open();
  await second.settle(); // nobody has said yet what there should be
  second.follow(basis(natted));
  await second.settle();
  expect(await handles()).toBe(before);
  expect(second.status().lastCheck).toBeDefined();
});

test.skipIf(why)(`tables of others stay as they are, also one of our name in another family ${why ?? ''}`, async () => {
  await nft(foreign);
  const theirs = async (): Promise<string> => (await host.run('nft', ['-a', 'list', 'table', 'ip', 'manx'])).stdout;
  const before = await theirs();
  await using table = open();
  table.follow(basis(natted));
  await table.settle();
  expect(await removeTable(inHost())).toBe('removed');
  expect(await removeTable(inHost())).toBe('absent');
  expect(await theirs()).toBe(before);
  expect((await host.run('nft', ['list', 'tables'])).stdout).toBe('table ip manx\n');
});

test.skipIf(why)(`ten thousand announced addresses go in and come out equal ${why ?? ''}`, async () => {
  await using table = open();
  const services = Array.from(
    { length: 10_000 },
    (_, i) => `203.${i >> 8}.${i & 255}.1/32`,
  ) as unknown as NftBasis['services'];
  table.follow({ ...basis(), services, translated: true });
  await table.settle();
  table.follow({ ...basis(), services, translated: true });
  await table.settle();
  expect(table.failures()[0]!.failure).toBeUndefined();
  expect(table.status()).toMatchObject({ wished: true, repairs: 0 });
});

test('without nft it is said who must act, and nothing breaks', async () => {
  await using table = openNft(log, { nft: nftCommand(['/nowhere/nft']) });
  table.follow(basis(pool('a', '10.82.0.0/16')));
  await table.settle();
  expect(table.troubles).toEqual([]);
  table.follow(basis(natted));
  await table.settle();
  expect(table.troubles.map(({ kind, name, path }) => [kind, name, path])).toEqual([
    ['IPPool', 'a', 'spec.natOutgoing'],
  ]);
  expect(table.failures()[0]!.failure).toBeUndefined();
  expect(await removeTable(nftCommand(['/nowhere/nft']))).toBe('unknown');
});

test.skipIf(why)(
  `without CAP_NET_ADMIN nft says no, and that is a failure to be tried again ${why ?? ''}`,
  async () => {
    const unprivileged = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin', '--'];
    await using table = openNft(log, { nft: nftCommand(['ip', 'netns', 'exec', host.name, ...unprivileged, 'nft']) });
    table.follow(basis(natted));
    await table.settle();
    expect(table.failures()[0]!.failure).toMatchObject({
      doing: 'keeping nft table inet manx',
      error: expect.stringContaining('Operation not permitted') as string,
    });
  },
);

test.skipIf(why)(`CAP_NET_ADMIN alone is enough ${why ?? ''}`, async () => {
  const barely = ['setpriv', '--bounding-set', '-all,+net_admin', '--inh-caps', '-all', '--'];
  await using table = openNft(log, { nft: nftCommand(['ip', 'netns', 'exec', host.name, ...barely, 'nft']) });
  table.follow({ ...basis(natted), services: [parsePrefix('203.0.113.0/24')], translated: true });
  await table.settle();
  expect(table.failures()[0]!.failure).toBeUndefined();
  expect([...parseTable((await ours())!).keys()]).toContain('chain nat-outgoing');
});
