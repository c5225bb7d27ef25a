// manxctl as an operator runs it: against a real agent, against none, and on a folder.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../lab/host.ts';
import { until } from '../../lab/until.ts';
import { type Pair, established, programs, startPair } from '../api/pair.ts';

let pair: Pair;
let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'manx-cli-'));
  pair = await startPair();
});
afterAll(async () => {
  await pair[Symbol.asyncDispose]();
  await rm(scratch, { recursive: true });
});

const manxctl = (words: string, input?: string) => pair.one.manxctl(words, input);
const alone = (...args: readonly string[]) =>
  run(process.execPath, [programs.manxctl, ...args], { mayFail: true, env: { MANX_RUN: scratch } });

const filter = `apiVersion: projectcalico.org/v3
kind: BGPFilter
metadata:
  name: only-pods
spec:
  exportV4:
  - action: Accept
    cidr: 10.82.0.0/16
    matchOperator: In
  - action: Reject
`;

describe('manxctl beside an agent', () => {
  test('node status answers in its first two lines', async () => {
    const { code, stdout } = await manxctl('node status');
    const [who, how] = stdout.split('\n');
    expect(who).toMatch(/^one {2}AS 64512 {2}router ID 192\.0\.2\.1 {2}manx \d+\.\d+\.\d+, up \d+ s$/);
    expect(how).toBe('good: 1 of 1 session up');
    expect(code).toBe(0);
  });

  test('node status ends with 1 where the node is degraded', async () => {
    await manxctl('apply -f -', unreachablePeer);
    const { code, stdout } = await until('the new peer is there', async () => {
      const outcome = await manxctl('node status');
      return outcome.stdout.includes('nobody') ? outcome : undefined;
    });
    expect(code).toBe(1);
    expect(stdout.split('\n')[1]).toMatch(/^degraded: 1 of 2 sessions down \(nobody, \d+ s\)$/);
    await manxctl('delete bgppeer nobody');
    await until('it is gone', async () => (await manxctl('node status')).code === 0);
  });

  test('-o json is the same facts under stable names, -o yaml too', async () => {
    const json = JSON.parse((await manxctl('node status -o json')).stdout) as { node: string; health: object };
    const { stdout: yaml } = await manxctl('-o yaml node status');
    expect([json.node, json.health]).toEqual(['one', { state: 'good', reasons: [] }]);
    expect(yaml).toMatch(/^node: one$/m);
  });

  test('no colour goes into a pipe', async () => {
    expect((await manxctl('node status')).stdout).not.toContain('\u001b');
  });

  test('bgp peer shows what both sides offered and agreed on', async () => {
    const { code, stdout } = await manxctl('bgp peer two');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^two {2}global {2}Established since \d+ s/);
    expect(stdout).toMatch(/IPv4 unicast +✓ +✓ +✓/);
    expect(stdout).toMatch(/4-octet AS numbers +AS 64512 +AS 65001 +✓/);
    expect(stdout).toMatch(
      /Routes by rule of export\n {2}filter default\n.*\n +\d+ {2}accept +\d {2}originated by this node\n/,
    );
  });

  test('bgp routes PREFIX says why, and who hears of it', async () => {
    const { stdout } = await manxctl('bgp routes 203.0.113.0/24');
    expect(stdout.split('\n')[0]).toBe('203.0.113.0/24  1 path, best from two');
    expect(stdout).toContain('announced to:  nobody\nnot to:        two (it is the source)\n');
  });

  test('bgp routes has one line a path', async () => {
    const { stdout } = await manxctl('bgp routes');
    expect(stdout).toMatch(/^\*> 198\.51\.100\.0\/24 +this node/m);
    expect(stdout).toMatch(/^\*> 203\.0\.113\.0\/24 +two +192\.0\.2\.2/m);
  });

  test('what is applied can be read back, and that applied again', async () => {
    const applied = await manxctl('apply -f -', filter);
    const { stdout: yaml } = await manxctl('get bgpfilter only-pods -o yaml');
    const again = await manxctl('apply -f -', yaml);
    const created = await manxctl('create -f -', filter);
    const deleted = await manxctl('delete -f -', filter);
    expect(applied.stdout).toBe('BGPFilter only-pods created\n');
    expect(yaml).toContain('matchOperator: In');
    expect(again.stdout).toBe('BGPFilter only-pods configured\n');
    expect([created.code, created.stderr]).toEqual([1, expect.stringMatching(/^manxctl: .*only-pods/)]);
    expect(deleted.stdout).toBe('BGPFilter only-pods deleted\n');
  });

  test('with a problem anywhere nothing is applied, and every problem is said', async () => {
    const wrong = `${filter}---\n${filter.replace('only-pods', 'other').replace('Accept', 'Acept').replace('cidr', 'cdir')}`;
    const { code, stderr } = await manxctl('apply -f -', wrong);
    expect(code).toBe(2);
    expect(stderr.split('\n')[0]).toMatch(/^manxctl: nothing was changed: \d problems in standard input$/);
    expect(stderr).toMatch(
      /standard input:\d+ {2}BGPFilter other {2}spec\.exportV4\[0\]\.cdir: unknown field \(did you mean cidr\?\)/,
    );
    expect((await manxctl('get bgpfilters')).stdout).toBe('NAME   EXPORTV4   IMPORTV4   EXPORTV6   IMPORTV6\n');
  });

  test('get knows kinds by their short names and prints their tables', async () => {
    expect((await manxctl('get no -o wide')).stdout).toBe(
      'NAME   ASN     IPV4           IPV6\none    64512   192.0.2.1/24\n',
    );
  });

  test('get of a name that is not there ends with 1', async () => {
    const { code, stderr } = await manxctl('get bgppeer nope');
    expect([code, stderr]).toEqual([1, 'manxctl: there is no BGPPeer nope\n']);
  });

  test('version is both programs', async () => {
    expect((await manxctl('version')).stdout).toMatch(/^manxctl {2}\d+\.\d+\.\d+\nmanxd {4}\d+\.\d+\.\d+ on one\n$/);
  });

  test('node cleanup is refused while the agent runs', async () => {
    const { code, stderr } = await manxctl('node cleanup --yes');
    expect([code, stderr.split('\n')[0]]).toEqual([
      1,
      'manxctl: the agent runs, and would put its routes back: stop it first (systemctl stop manxd)',
    ]);
  });

  test('bgp peer --reset ends the session, which comes back', async () => {
    expect((await manxctl('bgp peer two --reset')).stdout).toBe('two: session reset, it will come back by itself\n');
    await established(pair.one, pair.two);
  });
});

const unreachablePeer = `apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: nobody}
spec: {peerIP: 192.0.2.77, asNumber: 65077}
`;

describe('manxctl without an agent', () => {
  test('ends with 3 and says where to look', async () => {
    const { code, stderr } = await alone('node', 'status');
    expect(code).toBe(3);
    expect(stderr.split('\n')[0]).toBe(`manxctl: no agent answers on ${scratch}/agent.sock (no such file)`);
    expect(stderr).toContain('systemctl status manxd');
  });

  test('version still says its own', async () => {
    const { code, stdout } = await alone('version');
    expect(code).toBe(3);
    expect(stdout).toMatch(/^manxctl {2}\d/);
  });

  test.for([['frobnicate'], ['bgp', 'routes', '--nope'], ['get'], ['bgp', 'routes', '300.1.2.3'], ['get', 'widgets']])(
    '%s is wrong usage: 2',
    async (words) => {
      expect((await alone(...words)).code).toBe(2);
    },
  );

  test('--help is no error', async () => {
    const { code, stdout } = await alone('--help');
    expect(code).toBe(0);
    for (const command of ['node', 'get', 'apply', 'create', 'delete', 'ipam', 'bgp', 'fib', 'version']) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    }
  });

  test('works on a folder that --config names', async () => {
    const config = await mkdtemp(join(scratch, 'config-'));
    await writeFile(join(scratch, 'filter.yaml'), filter);
    const applied = await alone('--config', config, 'apply', '-f', join(scratch, 'filter.yaml'));
    const listed = await alone('--config', config, 'get', 'bgpfilters');
    const deleted = await alone('--config', config, 'delete', 'bgpfilter', 'only-pods');
    expect(applied.stdout).toBe('BGPFilter only-pods created\n');
    expect(listed.stdout).toMatch(/^only-pods +2 +0/m);
    expect(deleted.stdout).toBe('BGPFilter only-pods deleted\n');
  });

  test('node cleanup wants to be meant', async () => {
    const { code, stderr } = await alone('node', 'cleanup');
    expect([code, stderr.split('\n')[0]]).toEqual([
      2,
      'manxctl: pods of this node will not be reachable any more; to go on, add --yes',
    ]);
  });
});
