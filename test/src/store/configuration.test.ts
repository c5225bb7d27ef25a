// The configuration folder: what is in force, what is said about mistakes, and what writes do to the files.
import {
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
  chmod,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Kinds, parseResource } from '../../../src/resources/index.ts';
import { Configuration } from '../../../src/store/configuration.ts';
import { formatProblems, loadFolder, openFileStore } from '../../../src/store/file.ts';
import { type Store, StoreError } from '../../../src/store/port.ts';
import { run } from '../../lab/host.ts';
import { until } from '../../lab/until.ts';

let root: string;
let config: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'manx-config-'));
  config = join(root, 'config');
  await mkdir(config);
});
afterEach(() => rm(root, { recursive: true }));

/** With a period that no test waits for: what is noticed is noticed by a hint. */
function open(options: { rereadMs?: number } = {}): Promise<Store & AsyncDisposable> {
  return openFileStore({ config, datastore: join(root, 'data'), settleMs: 20, rereadMs: 60_000, ...options });
}

function write(name: string, text: string): Promise<void> {
  return writeFile(join(config, name), text);
}

function read(name: string): Promise<string> {
  return readFile(join(config, name), 'utf8');
}

function pool(name: string, spec: string): string {
  return `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: ${name}}\nspec: {${spec}}\n`;
}

function peer(name: string, spec: object = { peerIP: '10.0.0.1', asNumber: 65001 }): Kinds['BGPPeer'] {
  const value = { apiVersion: 'projectcalico.org/v3', kind: 'BGPPeer', metadata: { name }, spec };
  return parseResource(value).resource as Kinds['BGPPeer'];
}

async function pools(store: Store): Promise<string[]> {
  return (await store.list('IPPool')).map(({ metadata, spec }) => `${metadata.name} ${spec.cidr}`);
}

describe('the folder', () => {
  test('is read as a whole: several documents and files, ordered by name', async () => {
    await write('b.yaml', `${pool('z', 'cidr: 10.1.0.0/16')}---\n${pool('a', 'cidr: 10.2.0.0/16')}`);
    await write('a.yml', pool('m', 'cidr: 10.3.0.0/16'));
    await write(
      'c.json',
      '{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"j"},"spec":{"cidr":"10.4.0.0/16"}}',
    );
    await using store = await open();
    expect(await pools(store)).toEqual(['a 10.2.0.0/16', 'j 10.4.0.0/16', 'm 10.3.0.0/16', 'z 10.1.0.0/16']);
    expect(store.status()).toEqual({ kind: 'file', problems: [], inStepSince: expect.any(Number) });
  });

  test('may hold what is no configuration: hidden files, backups, folders, pipes, passwords', async () => {
    for (const name of [
      '.a.yaml.swp',
      '.hidden.yaml',
      '#a.yaml#',
      '#b.yaml',
      'a.yaml~',
      'a.yaml.bak',
      'secret',
      'README.md',
    ]) {
      await write(name, ': [ no yaml');
    }
    await mkdir(join(config, 'old.yaml'));
    await run('mkfifo', [join(config, 'pipe.yaml')]);
    expect(await loadFolder(config)).toEqual({ resources: [], problems: [] });
  });

  test('that does not exist is one clear problem, and no obstacle', async () => {
    await rm(config, { recursive: true });
    await using store = await open({ rereadMs: 30 });
    const message = `the configuration folder ${config} does not exist (make it, or name another with --config)`;
    expect(store.status()).toEqual({ kind: 'file', problems: [{ message }], error: message });
    await mkdir(config);
    await write('a.yaml', pool('a', 'cidr: 10.0.0.0/16'));
    await until('the folder is seen', () => store.status().error === undefined);
    expect(await pools(store)).toEqual(['a 10.0.0.0/16']);
  });

  test('has its problems reported all at once, in the order of files and lines', async () => {
    await write('pools.yaml', `${pool('a', 'cidr: 10.82.0.0/16')}---\n${pool('b', 'cidr: 10.82.0.0/20')}`);
    await write(
      'peers.yaml',
      `# peers
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: tor-a}
spec:
  peerIP: 10.250.1.300
  pasword: x
  asNumber: 1
`,
    );
    await write('empty.yaml', ' \n');
    await symlink('/nowhere', join(config, 'link.yaml'));
    const { problems } = await loadFolder(config);
    expect(`\n${formatProblems(problems)}`).toBe(`
  empty.yaml                   is empty (delete the file if nothing belongs into it)
  link.yaml                    cannot be read: ENOENT: no such file or directory, open '${config}/link.yaml'
  peers.yaml:6  BGPPeer tor-a  spec.peerIP: "10.250.1.300" is not an address
  peers.yaml:7  BGPPeer tor-a  spec.pasword: unknown field (did you mean password?)
  pools.yaml:9  IPPool b       spec.cidr: 10.82.0.0/20 overlaps IPPool a (10.82.0.0/16, pools.yaml:4)`);
  });

  test('is no place for what agents write', async () => {
    const affinity = `apiVersion: crd.projectcalico.org/v1\nkind: BlockAffinity\nmetadata: {name: x}\nspec: {cidr: 10.0.0.0/26, node: x}\n`;
    await write('a.yaml', affinity);
    expect(formatProblems((await loadFolder(config)).problems)).toBe(
      '  a.yaml:2  BlockAffinity x  kind: BlockAffinity belongs into the datastore, not here',
    );
  });
});

describe('in force', () => {
  test('is the last good configuration as long as there are problems', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    await write('a.yaml', pool('a', 'cidr: 10.1.0.1/16'));
    await until('the mistake is seen', () => store.status().problems.length === 1);
    expect(await pools(store)).toEqual(['a 10.1.0.0/16']);
    await write('a.yaml', pool('a', 'cidr: 10.9.0.0/16'));
    await until('it is mended', () => store.status().problems.length === 0);
    expect(await pools(store)).toEqual(['a 10.9.0.0/16']);
  });

  test('nothing can be written into what the store hands out', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    const found = (await store.get('IPPool', 'a'))! as { spec: { disabled: boolean } };
    expect(() => (found.spec.disabled = true)).toThrow(TypeError);
  });

  test('a file that is emptied before it is written anew tears nothing down', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    await write('a.yaml', '');
    await until('the empty file is seen', () => store.status().problems.length === 1);
    expect(await pools(store)).toEqual(['a 10.1.0.0/16']);
  });
});

test('a file that somebody is in the midst of writing is not taken for finished', async () => {
  const both = `${pool('a', 'cidr: 10.1.0.0/16')}---\n${pool('b', 'cidr: 10.2.0.0/16')}`;
  await write('a.yaml', both);
  let waits = 0;
  const configuration = new Configuration(config, async () => {
    waits++;
    // The writer goes on while we wait.
    if (waits < 4) await write('a.yaml', `${both}${'# more\n'.repeat(waits)}`);
  });
  await configuration.reload();
  expect(waits).toBe(0);
  // Right by itself, and without pool b.
  await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
  const changes = await configuration.reload();
  expect(waits).toBe(4);
  expect(changes.kinds.size).toBe(0);
  expect(configuration.list('IPPool')).toHaveLength(2);
});

describe('hints', () => {
  async function counting(store: Store, ...kinds: (keyof Kinds)[]): Promise<{ count: () => number }> {
    let count = 0;
    store.watch(kinds, () => count++);
    return { count: () => count };
  }

  test('come when a file is replaced by renaming, as editors do', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    const { count } = await counting(store, 'IPPool');
    await write('.a.tmp', pool('a', 'cidr: 10.2.0.0/16'));
    await rename(join(config, '.a.tmp'), join(config, 'a.yaml'));
    await until('the hint is there', () => count() > 0);
    expect(await pools(store)).toEqual(['a 10.2.0.0/16']);
  });

  test('come when a link to the whole content is switched, as the kubelet does', async () => {
    for (const [version, cidr] of [
      ['1', '10.1.0.0/16'],
      ['2', '10.2.0.0/16'],
    ] as const) {
      await mkdir(join(config, `..${version}`));
      await write(`..${version}/a.yaml`, pool('a', `cidr: ${cidr}`));
    }
    await symlink('..1', join(config, '..data'));
    await symlink('..data/a.yaml', join(config, 'a.yaml'));
    await using store = await open();
    const { count } = await counting(store, 'IPPool');
    expect(await pools(store)).toEqual(['a 10.1.0.0/16']);
    await symlink('..2', join(config, '..data_tmp'));
    await rename(join(config, '..data_tmp'), join(config, '..data'));
    await until('the hint is there', () => count() > 0);
    expect(await pools(store)).toEqual(['a 10.2.0.0/16']);
  });

  test('come when the folder itself is replaced', async () => {
    await using store = await open({ rereadMs: 30 });
    await mkdir(join(root, 'other'));
    await writeFile(join(root, 'other/a.yaml'), pool('a', 'cidr: 10.1.0.0/16'));
    await rename(config, join(root, 'old'));
    await rename(join(root, 'other'), config);
    await until('the other folder is read', async () => (await pools(store)).length === 1);
  });

  test('come only for kinds that have changed, and not for a comment', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await write('b.yaml', pool('b', 'cidr: 10.2.0.0/16'));
    await using store = await open();
    const ofPools = await counting(store, 'IPPool');
    const ofPeers = await counting(store, 'BGPPeer', 'Node');
    const version = (await store.get('IPPool', 'a'))!.metadata.resourceVersion;
    await store.create('IPReservation', {
      ...{ apiVersion: 'projectcalico.org/v3', kind: 'IPReservation', metadata: { name: 'r' } },
      spec: { reservedCIDRs: [] },
    });
    await write('b.yaml', pool('b', 'cidr: 10.3.0.0/16'));
    await until('the hint is there', () => ofPools.count() > 0);
    expect(ofPeers.count()).toBe(0);
    await write('a.yaml', `# noted\n${pool('a', 'cidr: 10.1.0.0/16')}`);
    await write('c.yaml', pool('c', 'cidr: 10.4.0.0/16'));
    await until('the last change is seen', async () => (await pools(store)).length === 3);
    expect((await store.get('IPPool', 'a'))!.metadata.resourceVersion).toBe(version);
  });

  test('come no more for those who have stopped', async () => {
    await using store = await open();
    let calls = 0;
    const stop = store.watch(['BGPPeer'], () => calls++);
    await store.create('BGPPeer', peer('a'));
    stop();
    await store.create('BGPPeer', peer('b', { peerIP: '10.0.0.2', asNumber: 1 }));
    expect(calls).toBe(1);
  });
});

describe('passwords', () => {
  const options = `apiVersion: projectmanx.org/v1\nkind: PeerOptions\nmetadata: {name: all}\nspec: {passwordFile: secrets/tor}\n`;
  async function problem(): Promise<string> {
    return formatProblems((await loadFolder(config)).problems).trim();
  }

  test('must be there, not empty, not too long, and not open to everybody', async () => {
    await write('options.yaml', options);
    const place = 'options.yaml:4  PeerOptions all  spec.passwordFile: secrets/tor';
    expect(await problem()).toBe(`${place} does not exist (it is looked for in the configuration folder)`);
    await mkdir(join(config, 'secrets/tor'), { recursive: true });
    expect(await problem()).toBe(`${place} is not a file`);
    await rm(join(config, 'secrets/tor'), { recursive: true });
    const file = join(config, 'secrets/tor');
    await writeFile(file, '\n', { mode: 0o600 });
    expect(await problem()).toBe(`${place} is empty`);
    await writeFile(file, 'x'.repeat(81));
    expect(await problem()).toBe(`${place} has 81 bytes (a TCP MD5 key has at most 80)`);
    await writeFile(file, 'secret\n');
    expect(await problem()).toBe('');
    await chmod(file, 0o644);
    expect(await problem()).toBe(`${place} is open to everybody (mode 0644; chmod o= secrets/tor)`);
  });

  test('that change are hinted at', async () => {
    await write('options.yaml', options);
    await mkdir(join(config, 'secrets'));
    await writeFile(join(config, 'secrets/tor'), 'one', { mode: 0o600 });
    await using store = await open({ rereadMs: 30 });
    let hints = 0;
    store.watch(['PeerOptions'], () => hints++);
    await writeFile(join(config, 'secrets/tor'), 'two');
    await until('the hint is there', () => hints > 0);
  });
});

async function refusal(work: Promise<unknown>): Promise<StoreError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreError);
  return error as StoreError;
}

describe('writes', () => {
  test('make a file for what is new, and take it away with the last document', async () => {
    await using store = await open();
    const created = await store.create('BGPPeer', peer('tor-a'));
    expect(await readdir(config)).toEqual(['bgppeer-tor-a.yaml']);
    expect(await store.get('BGPPeer', 'tor-a')).toEqual(created);
    await store.delete('BGPPeer', created);
    expect(await readdir(config)).toEqual([]);
    expect(await store.list('BGPPeer')).toEqual([]);
  });

  test('change the document in its file, with the mode of the file and the link to it', async () => {
    await writeFile(join(root, 'real.yaml'), `# mine\n${pool('a', 'cidr: 10.1.0.0/16')}`, { mode: 0o600 });
    await chmod(join(root, 'real.yaml'), 0o660);
    await symlink('../real.yaml', join(config, 'pools.yaml'));
    await using store = await open();
    const found = (await store.get('IPPool', 'a'))!;
    const updated = await store.update('IPPool', { ...found, spec: { ...found.spec, disabled: true } });
    expect(updated.metadata.resourceVersion).not.toBe(found.metadata.resourceVersion);
    const real = join(root, 'real.yaml');
    expect(await readFile(real, 'utf8')).toBe(`# mine\n${pool('a', 'cidr: 10.1.0.0/16, disabled: true')}`);
    expect((await stat(real)).mode & 0o777).toBe(0o660);
    expect(await readdir(config)).toEqual(['pools.yaml']);
    expect((await lstat(join(config, 'pools.yaml'))).isSymbolicLink()).toBe(true);
  });

  test('lose against whoever was quicker, also against an editor that nobody has noticed yet', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    const found = (await store.get('IPPool', 'a'))!;
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16, disabled: true'));
    const change = { ...found, spec: { ...found.spec, natOutgoing: true } };
    expect(await refusal(store.update('IPPool', change))).toMatchObject({
      code: 'conflict',
      message: 'IPPool a has changed since it was read (a.yaml:1)',
    });
    expect((await refusal(store.delete('IPPool', found))).code).toBe('conflict');
    expect(await read('a.yaml')).toBe(pool('a', 'cidr: 10.1.0.0/16, disabled: true'));
  });

  test('say exists and missing', async () => {
    await using store = await open();
    const created = await store.create('BGPPeer', peer('a'));
    expect(await refusal(store.create('BGPPeer', peer('a')))).toMatchObject({
      code: 'exists',
      message: 'BGPPeer a exists (bgppeer-a.yaml:1)',
    });
    await store.delete('BGPPeer', created);
    expect((await refusal(store.update('BGPPeer', created))).code).toBe('missing');
    expect((await refusal(store.delete('BGPPeer', created))).code).toBe('missing');
  });

  test('are refused when the whole would be wrong, and nothing is written', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    const found = (await store.get('IPPool', 'a'))!;
    const overlapping = { ...found, metadata: { name: 'b' } };
    const error = await refusal(store.create('IPPool', overlapping));
    expect(error).toMatchObject({
      code: 'invalid',
      message: 'IPPool b is not written: the configuration would have a problem',
      problems: [
        {
          ...{ file: 'ippool-b.yaml', kind: 'IPPool', name: 'b', path: 'spec.cidr' },
          message: '10.1.0.0/16 overlaps IPPool a (10.1.0.0/16, a.yaml:4)',
        },
      ],
    });
    expect(await readdir(config)).toEqual(['a.yaml']);
    const filtered = { ...peer('p'), spec: { ...peer('p').spec, filters: ['nowhere'] } };
    expect((await refusal(store.create('BGPPeer', filtered))).problems[0]!.message).toBe(
      'there is no BGPFilter nowhere',
    );
  });

  test('leave what a pool was created with', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    const found = (await store.get('IPPool', 'a'))!;
    const error = await refusal(store.update('IPPool', { ...found, spec: { ...found.spec, blockSize: 28 } }));
    expect(formatProblems(error.problems)).toBe(
      '  IPPool a  spec.blockSize: is 26 for good (delete it and create another one for 28)',
    );
  });

  test('mend a document that somebody has broken', async () => {
    await write('a.yaml', pool('a', 'cidr: 10.1.0.0/16'));
    await using store = await open();
    await write('a.yaml', pool('a', 'cidr: 10.1.0.1/16'));
    await until('the mistake is seen', () => store.status().problems.length === 1);
    const found = (await store.get('IPPool', 'a'))!;
    await store.update('IPPool', { ...found, spec: { ...found.spec, disabled: true } });
    expect(store.status().problems).toEqual([]);
    expect((await store.get('IPPool', 'a'))!.spec).toEqual({ ...found.spec, disabled: true });
  });

  test('at once all happen', async () => {
    await using store = await open();
    await write('all.yaml', '# all\n');
    const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
    await Promise.all(
      names.map((name, i) => store.create('BGPPeer', peer(name, { peerIP: `10.0.0.${i}`, asNumber: 1 }))),
    );
    expect((await store.list('BGPPeer')).map(({ metadata }) => metadata.name)).toEqual(names.sort());
  });

  test('that anchors would spread elsewhere are left to the owner', async () => {
    const anchored = pool('a', 'cidr: 10.1.0.0/16, <<: *common').replace(
      'metadata:',
      'status: &common {disabled: true}\nmetadata:',
    );
    await write('a.yaml', anchored);
    await using store = await open();
    const found = (await store.get('IPPool', 'a'))!;
    expect(found.spec.disabled).toBe(true);
    expect(await refusal(store.update('IPPool', { ...found, spec: { ...found.spec, disabled: false } }))).toMatchObject(
      {
        code: 'invalid',
        message: 'a.yaml is written so that IPPool a can only be changed by hand',
      },
    );
    expect(await read('a.yaml')).toBe(anchored);
  });
});
