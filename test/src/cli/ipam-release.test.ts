// `ipam check -o FILE` and `ipam release --from-report FILE` on a cluster: Calico's own objects, and pods of which one has
// gone without its address being given back.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ipamCheck } from '../../../src/cli/commands/ipam-check.ts';
import { type ReleaseOptions, ipamRelease } from '../../../src/cli/commands/ipam-release.ts';
import type { Context } from '../../../src/cli/context.ts';
import { commonLeaks, parseReport } from '../../../src/cli/ipam-report.ts';
import type { Target } from '../../../src/cli/target.ts';
import { blockName } from '../../../src/resources/names.ts';
import { parseJson } from '../../../src/resources/index.ts';
import type { IPAMBlock } from '../../../src/resources/types.ts';
import { addressAt, parsePrefix } from '#ip';
import { captured } from '../../support/captured.ts';
import { type MemoryStore, createMemoryStore } from '../../support/memory-store.ts';
import { node } from '../../support/resources.ts';

/** An hour after the captured addresses were given out. */
const NOW = Date.parse('2026-11-21T05:00:00Z');
const leaked = '10.82.0.72';
const handle = 'k8s-pod-network.c0ffee-web-1';

interface Pod {
  name: string;
  namespace: string;
  node: string;
  addresses: string[];
}

let folder: string;
let file: string;
let store: MemoryStore;
let pods: Pod[];
let printed: string[];
let warned: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'manx-report-'));
  file = join(folder, 'report.json');
  store = createMemoryStore(
    ...captured('IPAMBlock', 'ipamblocks'),
    ...captured('IPAMHandle', 'ipamhandles'),
    ...captured('IPPool', 'ippools'),
    ...captured('ClusterInformation', 'clusterinformations'),
    ...['worker-1', 'worker-2', 'worker-3'].map((name) => node(name)),
  );
  const blocks = captured('IPAMBlock', 'ipamblocks');
  pods = podsIn(blocks).filter(({ name }) => name !== 'web-1');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The pods to whom the addresses were given. */
function podsIn(blocks: readonly IPAMBlock[]): Pod[] {
  const found = new Map<string, Pod>();
  for (const { spec } of blocks) {
    for (const [ordinal, index] of spec.allocations.entries()) {
      const { pod: name, namespace, node: on } = spec.attributes[index ?? -1]?.secondary ?? {};
      if (name === undefined || namespace === undefined || on === undefined) continue;
      const pod = found.get(`${namespace}/${name}`) ?? { name, namespace, node: on, addresses: [] };
      pod.addresses.push(addressAt(spec.cidr, ordinal));
      found.set(`${namespace}/${name}`, pod);
    }
  }
  return [...found.values()];
}

async function open(): Promise<Extract<Target, { at: 'cluster' }> & AsyncDisposable> {
  const list = async () =>
    pods.map(({ name, namespace, node: nodeName, addresses }) => ({
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec: { nodeName } },
      status: { podIPs: addresses.map((ip) => ({ ip })) },
    }));
  const kube = { client: { list } } as never;
  return { at: 'cluster', store, kube, [Symbol.asyncDispose]: async () => undefined };
}

function context(now = NOW): Context {
  [printed, warned] = [[], []];
  return {
    format: 'text',
    now: () => now,
    print: (lines: readonly string[]) => printed.push(...lines),
    warn: (lines: readonly string[]) => warned.push(...lines),
    show: (_value: unknown, render: (view: never) => readonly string[]) => printed.push(...render({} as never)),
    degraded: () => undefined,
  } as unknown as Context;
}

const check = (): Promise<void> => ipamCheck(context(), open, { reportFile: file });
const release = (options: Partial<ReleaseOptions> = {}, now = NOW): Promise<void> =>
  ipamRelease(context(now), open, { fromReport: [file], ...options });

async function holder(address: string): Promise<string | undefined> {
  const block = await store.get('IPAMBlock', blockName(parsePrefix('10.82.0.72/29')));
  const index = block!.spec.allocations[Number(address.split('.')[3]) - 72];
  return index === null || index === undefined ? undefined : block!.spec.attributes[index]?.handle_id;
}

/** Changes what was written, number for number. */
function edit(from: string | RegExp, to: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replace(from, to));
}

describe('ipam check -o FILE', () => {
  test('writes what calicoctl would: who has what, and what nobody has, with its 64-bit number', async () => {
    await check();
    const { allocations, ...rest } = parseJson(readFileSync(file, 'utf8')) as Record<string, never> & {
      allocations: Record<string, unknown>;
    };
    expect(rest).toMatchObject({
      version: expect.stringMatching(/^manxctl /),
      clusterGUID: expect.stringMatching(/./),
      datastoreLocked: false,
      clusterInformationRevision: expect.stringMatching(/^\d+$/),
    });
    expect(allocations[leaked]).toEqual([
      {
        ...{ ip: leaked, handle, pod: 'web-1', namespace: 'default', node: 'worker-1' },
        sequenceNumber: expect.any(BigInt),
        creationTimestamp: expect.stringContaining('2026-11-21 03:58:18'),
        ...{ inUse: false, owners: [] },
      },
    ]);
    expect(allocations['10.82.0.77']).toMatchObject([{ inUse: true, borrowed: true }]);
    expect(warned[0]).toMatch(/report\.json is written: 2 addresses and 0 handles that ipam release --from-report/);
  });

  test('is only done on a cluster: elsewhere nobody knows which addresses pods have', async () => {
    const folderTarget = async () => ({ at: 'folder' as const, store, [Symbol.asyncDispose]: async () => undefined });
    await expect(ipamCheck(context(), folderTarget, { reportFile: file })).rejects.toThrow('no report is written');
  });
});

describe('ipam release --from-report', () => {
  test('gives back what nobody has, and says so first', async () => {
    await check();
    await release();
    expect(printed[0]).toBe('Released 2 of 2 leaked addresses, deleted 0 of 0 empty handles.');
    expect(printed.find((line) => line.startsWith(leaked))).toMatch(/^10\.82\.0\.72 +k8s-\S+-web-1 +released$/);
    expect(await holder(leaked)).toBeUndefined();
    expect(await store.get('IPAMHandle', handle)).toBeUndefined();
  });

  test.each([
    ['a pod has it now', (pod: Pod) => pod, /kept: pod default\/web-1 has it/],
    ['its pod is there and has not told its address', (pod: Pod) => ({ ...pod, addresses: [] }), /has not told/],
  ])('leaves an address where it is when %s, even by force', async (_, made, why) => {
    await check();
    pods.push(made(podsIn(captured('IPAMBlock', 'ipamblocks')).find(({ name }) => name === 'web-1')!));
    await release({ force: true });
    expect(printed.find((line) => line.startsWith(leaked))).toMatch(why);
    expect(await holder(leaked)).toBe(handle);
  });

  test('leaves an address that was given out a moment before', async () => {
    await check();
    await release({}, Date.parse('2026-11-21T04:00:00Z'));
    expect(printed.find((line) => line.startsWith(leaked))).toMatch(/kept: given out 1 m ago, its pod may not/);
    expect(await holder(leaked)).toBe(handle);
  });

  test('leaves an address that was given to somebody else since', async () => {
    await check();
    edit(/("ip": "10\.82\.0\.72",\s+"handle": "[^"]+",\s+"sequenceNumber": )\d+/, '$11');
    await release();
    expect(printed.find((line) => line.startsWith(leaked))).toContain('kept: given to somebody else since');
    expect(await holder(leaked)).toBe(handle);
  });

  test('of several reports takes what is leaked in all of them', async () => {
    await check();
    const first = parseReport(readFileSync(file, 'utf8'), 'first');
    pods.push(podsIn(captured('IPAMBlock', 'ipamblocks')).find(({ name }) => name === 'web-1')!);
    await check();
    const second = parseReport(readFileSync(file, 'utf8'), 'second');
    expect([first, second].map(({ addresses }) => addresses.length)).toEqual([2, 0]);
    expect(commonLeaks([first, second]).addresses).toEqual([]);
    expect(commonLeaks([first, first]).addresses).toEqual(first.addresses);
  });

  test('deletes handles that hold nothing, unless they have changed since', async () => {
    const one = captured('IPAMHandle', 'ipamhandles')[0]!;
    for (const name of ['orphan-a', 'orphan-b']) {
      store.seed({ ...one, metadata: { name }, spec: { ...one.spec, handleID: name } });
    }
    await check();
    await store.update('IPAMHandle', (await store.get('IPAMHandle', 'orphan-b'))!);
    await release();
    expect(printed[0]).toBe('Released 2 of 2 leaked addresses, deleted 1 of 2 empty handles.');
    expect(await store.get('IPAMHandle', 'orphan-a')).toBeUndefined();
    expect(await store.get('IPAMHandle', 'orphan-b')).toBeDefined();
  });

  test('refuses a report of another cluster, even by force', async () => {
    await check();
    edit(/"clusterGUID": "[^"]*"/, '"clusterGUID": "another"');
    await expect(release({ force: true })).rejects.toThrow(/report\.json is of another cluster: another, and this/);
    expect(await holder(leaked)).toBe(handle);
  });

  test('refuses a report from before a change of the cluster, unless forced', async () => {
    await check();
    await store.update('ClusterInformation', (await store.get('ClusterInformation', 'default'))!);
    await expect(release()).rejects.toThrow(/nothing was released.*\n.*ClusterInformation has changed since/);
    expect(await holder(leaked)).toBe(handle);
    await release({ force: true });
    expect(warned[0]).toBe('the report does not fit, and is used all the same:');
    expect(await holder(leaked)).toBeUndefined();
  });

  test('refuses a report of another program, unless forced: calicoctl’s is understood', async () => {
    await check();
    edit(/"version": "[^"]*"/, '"version": "v3.31.0"');
    await expect(release()).rejects.toThrow(/was written by v3\.31\.0/);
    await release({ force: true });
    expect(await holder(leaked)).toBeUndefined();
  });

  test.each(['', '[]', '{"clusterGUID": "a"}', '{"clusterGUID": "a", "clusterInformationRevision": "1"}'])(
    'refuses %j, which is no report',
    async (text) => {
      writeFileSync(file, text);
      await expect(release()).rejects.toThrow('is no report of ipam check');
    },
  );
});
