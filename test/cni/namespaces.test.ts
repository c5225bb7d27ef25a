// Waiting shells, and working inside namespaces through them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { shellNamespaces } from '../../cni/namespaces.ts';
import { type Shells, createShells, quote } from '../../cni/shell.ts';
import { fileSysctls } from '../../cni/sysctl.ts';
import { type Host, createHost } from '../lab/host.ts';

let shells: Shells;
beforeEach(() => void (shells = createShells()));
afterEach(() => shells[Symbol.asyncDispose]());

describe('shells', () => {
  test('give output and exit code', async () => {
    expect(await shells.run('echo a; echo b; sh -c "exit 7"')).toEqual({ output: 'a\nb\n', code: 7 });
  });

  test('keep the outputs of many scripts apart', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => shells.run(`echo ${index}`)));
    expect(outcomes.map(({ output }) => output)).toEqual(Array.from({ length: 20 }, (_, index) => `${index}\n`));
  });

  test('run no more at once than there are', async () => {
    await using one = createShells({ size: 1 });
    const [first] = await Promise.all([one.run('echo $$'), one.run('echo $$')]);
    expect(await one.run('echo $$')).toEqual(first);
  });

  test('take any word when it is quoted', async () => {
    const word = `a'b "c" $d \`e\` \\ f\n#g;h`;
    expect((await shells.run(`printf %s ${quote(word)}`)).output).toBe(word);
  });

  test('take output of any length and without an end of line', async () => {
    const { output } = await shells.run('head -c 300000 /dev/zero | tr "\\0" x');
    expect(output).toBe('x'.repeat(300_000));
  });

  test('that die fail what they ran with code 11, and are replaced', async () => {
    await using one = createShells({ size: 1 });
    await expect(one.run('kill -9 $$')).rejects.toMatchObject({ code: 11 });
    expect((await one.run('echo alive')).output).toBe('alive\n');
  });

  test('do not keep their process alive', async () => {
    const shell = new URL('../../cni/shell.ts', import.meta.url).href;
    const script = `import { createShells } from '${shell}'; console.log((await createShells().run('echo x')).output)`;
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], { stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });
});

describe('a namespace', () => {
  let host: Host;
  beforeEach(async () => void (host = await createHost('cni-ns')));
  afterEach(() => host[Symbol.asyncDispose]());
  const namespaces = (): ReturnType<typeof shellNamespaces> => shellNamespaces(shells);

  test('takes settings first, then lines', async () => {
    const sysctls = [{ key: 'ipv4/conf/all/forwarding', value: '1' }];
    const answers = await namespaces().apply(host.netns, sysctls, [
      'link add x0 type veth peer name x1',
      'link set dev x0 up',
    ]);
    expect(answers).toEqual([{ ok: true }, { ok: true }]);
    expect(await host.ip('link show up dev x0')).toContain('x0@x1');
    expect((await host.run('sysctl', ['-n', 'net.ipv4.conf.all.forwarding'])).stdout).toBe('1\n');
  });

  test('answers for each line, also after one that failed', async () => {
    const lines = ['link set dev nobody up', 'addr add 10.0.0.1/32 dev lo', 'addr add 10.0.0.1/32 dev lo'];
    expect(await namespaces().apply(host.netns, [], lines)).toEqual([
      { ok: false, error: 'Cannot find device "nobody"' },
      { ok: true },
      { ok: false, error: expect.stringMatching(/already assigned|File exists/) },
    ]);
  });

  test('that takes a line which ends ip says so instead of claiming success', async () => {
    const lines = ['addr add nonsense dev lo', 'link set lo up'];
    await expect(namespaces().apply(host.netns, [], lines)).rejects.toMatchObject({
      code: 102,
      message: expect.stringContaining('nonsense'),
    });
  });

  test('without a setting is an error, unless that may be absent', async () => {
    const sysctl = { key: 'ipv4/conf/nobody/forwarding', value: '1' };
    await expect(namespaces().apply(host.netns, [sysctl], [])).rejects.toMatchObject({ code: 102 });
    expect(await namespaces().apply(host.netns, [{ ...sysctl, mayBeAbsent: true }], [])).toEqual([]);
  });

  test('that is gone is an error to work in, and shows nothing', async () => {
    await expect(namespaces().apply('/run/netns/never', [], ['link set lo up'])).rejects.toMatchObject({
      code: 102,
      message: expect.stringContaining('/run/netns/never'),
    });
    expect(await namespaces().show('/run/netns/never', ['link show'])).toEqual([[]]);
  });

  test('shows what is there, line by line', async () => {
    const shown = await namespaces().show(host.netns, ['link show dev lo', 'link show dev nobody', 'addr show dev lo']);
    expect(shown.map((items) => items.map((item) => (item as { ifname: string }).ifname))).toEqual([
      ['lo'],
      [],
      ['lo'],
    ]);
  });

  test('shows of the host what this process sees', async () => {
    const [links] = await namespaces().show(undefined, ['link show dev lo']);
    expect(links).toHaveLength(1);
  });

  test('is told from its own, from a plain file and from nothing', async () => {
    await writeFile('/run/netns/cni-plain', '');
    const paths = [
      host.netns,
      '/proc/self/ns/net',
      '/run/netns/cni-plain',
      '/run/netns/never',
      '/run/netns/cni-plain/x',
    ];
    const found = await Promise.all(paths.map((path) => namespaces().identify(path)));
    expect(found).toEqual(['pod', 'own', 'none', 'none', 'none']);
  });
});

test('a setting of the host that this kernel lacks is an error that names it, unless it may be absent', async () => {
  const sysctl = { key: 'ipv4/conf/nobody/forwarding', value: '1' };
  await expect(fileSysctls().write([sysctl])).rejects.toMatchObject({
    code: 5,
    message: expect.stringContaining('/proc/sys/net/ipv4/conf/nobody/forwarding'),
  });
  await fileSysctls().write([{ ...sysctl, mayBeAbsent: true }]);
});
