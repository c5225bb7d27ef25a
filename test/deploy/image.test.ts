// The image as it is built, and what it puts onto a host, each run in a root that has nothing else.
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ociArchive } from '../../deploy/image/oci.ts';
import { tar } from '../../deploy/image/tar.ts';
import { type Outcome, createHost } from '../lab/host.ts';

const execute = promisify(execFile);
const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
const script = new URL('../../deploy/image/build.ts', import.meta.url).pathname;

let scratch: string;
let image: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'manx-image-test-'));
  image = join(scratch, 'image');
  await build('a');
  await mkdir(image);
  await execute('tar', ['-C', image, '-xf', join(scratch, 'a', 'rootfs.tar')]);
}, 300_000);
afterAll(() => rm(scratch, { recursive: true }));

async function build(name: string): Promise<string> {
  const { stdout } = await execute(process.execPath, [script, '--no-gzip', '--out', join(scratch, name)]);
  return stdout;
}

/** Runs a program with a folder as its root, and nothing from here in its environment. */
async function within(root: string, command: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const running = execute('chroot', [root, command, ...args], {
    env: { PATH: `${process.env['PATH']}:/usr/sbin`, ...env },
  });
  running.child.stdin!.end('{"cniVersion":"1.0.0"}');
  return (await running).stdout;
}

describe('the image', () => {
  test('is the same to the last byte when it is built again', { timeout: 300_000 }, async () => {
    await build('b');
    const [a, b] = await Promise.all(['a', 'b'].map((name) => readFile(join(scratch, name, 'manx.oci.tar'))));
    expect(sha256(b!)).toBe(sha256(a!));
  });

  test('is an OCI archive whose digests hold, with the reference where containerd looks for it', async () => {
    const layout = join(scratch, 'layout');
    await mkdir(layout);
    await execute('tar', ['-C', layout, '-xf', join(scratch, 'a', 'manx.oci.tar')]);
    const blob = async (digest: string): Promise<Buffer> => {
      const content = await readFile(join(layout, 'blobs', digest.replace(':', '/')));
      expect(`sha256:${sha256(content)}`).toBe(digest);
      return content;
    };
    const parse = (content: Buffer): Json => JSON.parse(content.toString()) as Json;
    interface Json {
      readonly [name: string]: Json & Json[] & string;
    }
    const [entry] = parse(await readFile(join(layout, 'index.json')))['manifests']!;
    expect(entry!['annotations']!['io.containerd.image.name']).toMatch(/^localhost\/manx:\d/);
    const manifest = parse(await blob(entry!['digest']!));
    const config = parse(await blob(manifest['config']!['digest']!));
    const layer = await blob(manifest['layers']![0]!['digest']!);
    expect(config['rootfs']!['diff_ids']).toEqual([`sha256:${sha256(layer)}`]);
    expect(layer.equals(await readFile(join(scratch, 'a', 'rootfs.tar')))).toBe(true);
  });

  test('runs its programs in a root of its own', async () => {
    expect(await within(image, '/usr/bin/manxd', ['--version'])).toMatch(/^manxd \d/);
    expect(await within(image, '/usr/bin/manxctl', ['--version'])).toMatch(/^manxctl \d/);
    expect(await within(image, '/usr/sbin/nft', ['--version'])).toMatch(/^nftables v/);
    expect(await within(image, '/usr/sbin/ip', ['-j', 'link', 'show', 'lo'])).toContain('"ifname":"lo"');
  });

  test('has no shell', async () => {
    const names = await readdir(image, { recursive: true });
    expect(names).toContain('usr/bin/manxd');
    expect(names.filter((name) => /\/(sh|bash|dash|busybox|nsenter)$/.test(name))).toEqual([]);
  });
});

describe('what the init container installs', () => {
  const install = async (host: string): Promise<string> => {
    // As volumes would be: folders of the host, seen from inside the image.
    await mkdir(join(image, 'host', host), { recursive: true });
    return within(image, '/usr/bin/manx-install', [
      ...['--opt', `/host/${host}/opt/manx`],
      ...['--cni-bin', `/host/${host}/opt/cni/bin`],
    ]);
  };
  const on = (host: string, path: string): string => join(image, 'host', host, path);

  test('runs on a host that has nothing else', async () => {
    await install('bare');
    const answer = await within(on('bare', ''), '/opt/cni/bin/manx', [], { CNI_COMMAND: 'VERSION' });
    expect(JSON.parse(answer)).toMatchObject({ supportedVersions: expect.arrayContaining(['1.0.0']) });
    expect(await readdir(on('bare', ''))).toEqual(['opt']);
  });

  test('is left alone where it is there, and made whole where it is not', async () => {
    await install('again');
    expect(await install('again')).toMatch(/^manx-install: 0 of/);
    const plugin = await readFile(on('again', 'opt/cni/bin/manx'));
    await writeFile(on('again', 'opt/cni/bin/manx'), plugin.subarray(0, 100));
    expect(await install('again')).toMatch(/^manx-install: 1 of/);
    expect((await readFile(on('again', 'opt/cni/bin/manx'))).equals(plugin)).toBe(true);
  });

  test('replaces runtimes of before, but for the one that the plugin of before still runs by', async () => {
    for (const name of ['rt-1', 'rt-2']) await mkdir(on('old', `opt/manx/${name}`), { recursive: true });
    await mkdir(on('old', 'opt/cni/bin'), { recursive: true });
    await writeFile(on('old', 'opt/cni/bin/manx'), '#!/opt/manx/rt-2/node\n');
    await install('old');
    const left = await readdir(on('old', 'opt/manx'));
    expect(left).toEqual(['rt-2', expect.stringMatching(/^rt-\d+\.\d+\.\d+-[0-9a-f]{8}$/)]);
    await install('old');
    expect(await readdir(on('old', 'opt/manx'))).toHaveLength(1);
  });
});

describe('manx-uninstall', () => {
  const files = {
    ours: [
      ...['etc/cni/net.d/10-manx.conflist', 'opt/cni/bin/manx', 'opt/manx/rt-1/node', 'run/manx/cni.sock'],
      'var/lib/manx/attachments/a.json',
    ],
    others: ['etc/cni/net.d/99-loopback.conf', 'opt/cni/bin/ptp', 'run/other', 'var/lib/other'],
  };
  const left = async (root: string): Promise<string[]> => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => relative(root, join(entry.parentPath, entry.name)));
  };

  test("takes all that is Manx's off a host, leaves the rest, and may be repeated", { timeout: 60_000 }, async () => {
    await using host = await createHost('uninstall');
    // Children without input or output need it; a container has it.
    const devNull = join(image, 'dev/null');
    await writeFile(devNull, '');
    await execute('mount', ['--bind', '/dev/null', devNull]);
    await using _mount = { [Symbol.asyncDispose]: async () => void (await execute('umount', [devNull])) };
    const root = join(image, 'host', 'gone');
    for (const file of [...files.ours, ...files.others]) {
      await mkdir(join(root, dirname(file)), { recursive: true });
      await writeFile(join(root, file), '{"hostInterface": "cali0123456789a"}');
    }
    const inImage = (...words: string[]): Promise<Outcome> => host.run('chroot', [image, ...words]);
    for (const name of ['cali0123456789a', 'califfffffffff1']) {
      await host.ip(`link add ${name} type veth peer name p${name.slice(-4)}`);
      await host.ip(`link set ${name} up`);
    }
    await host.ip('route add 10.82.0.5/32 dev cali0123456789a proto 201');
    await host.ip('route add blackhole 10.82.0.0/26 proto 201');
    await host.ip('route add 192.0.2.0/24 dev lo');
    for (const table of ['manx', 'other']) await inImage('/usr/sbin/nft', 'add', 'table', 'inet', table);

    const env = { PATH: '/usr/bin:/usr/sbin:/bin:/sbin' };
    for (let times = 0; times < 2; times++) {
      await host.run('chroot', [image, '/usr/bin/manx-uninstall', '--host', '/host/gone'], { env });
      expect(new Set(await left(root))).toEqual(new Set(files.others));
      expect(await host.ip('route show')).toMatch(/^192\.0\.2\.0\/24 dev lo scope link *\n$/);
      expect((await inImage('/usr/sbin/nft', 'list', 'tables')).stdout).toBe('table inet other\n');
      const links = await host.ip('-br link show type veth');
      expect([links.includes('cali0123456789a'), links.includes('califfffffffff1')]).toEqual([false, true]);
    }
    // Of a cluster that cannot be told: what is on the node goes all the same, and it is to be tried again.
    await writeFile(join(root, files.ours[1]!), '');
    const node = ['--host', '/host/gone', '--node', 'worker-1'];
    const outcome = await host.run('chroot', [image, '/usr/bin/manx-uninstall', ...node], { env, mayFail: true });
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('Node worker-1: could not be told') });
    expect(new Set(await left(root))).toEqual(new Set(files.others));
  });
});

test('a compressed layer says nothing of when it was compressed', () => {
  const layer = tar([{ path: 'a/b', kind: 'file', mode: 0o644, content: Buffer.from('b') }]);
  const config = { reference: 'x:1', entrypoint: ['/a'], environment: {}, labels: {} };
  const { archive } = ociArchive(config, layer);
  expect(Buffer.concat(archive).indexOf(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]))).toBeGreaterThan(0);
  expect(ociArchive(config, layer).digest).toBe(ociArchive(config, layer).digest);
});
