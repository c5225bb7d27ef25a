// bgp/ as a library: the example in its README runs as it stands.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { createSpeaker, parseAddress, parsePrefix, peerDefaults } from '../../bgp/index.ts';
import { run } from '../lab/host.ts';

const readme = readFileSync(new URL('../../bgp/README.md', import.meta.url), 'utf8');

test('the example runs as it stands, and prints a route that a neighbour announces', async () => {
  for (const address of ['10.0.0.1', '10.0.0.2']) await run('ip', ['addr', 'add', `${address}/32`, 'dev', 'lo']);
  const example = readme.match(/```ts\n([\s\S]+?)```/)![1]!;
  const file = join(mkdtempSync(join(tmpdir(), 'manx-readme-')), 'example.ts');
  writeFileSync(file, example.replace(`'bgp'`, `'${new URL('../../bgp/index.ts', import.meta.url).pathname}'`));
  const program = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const neighbour = createSpeaker();
  neighbour.apply({
    ...{ asn: 65_001, routerId: parseAddress('10.0.0.2'), multipath: 1 },
    listen: [{ address: parseAddress('10.0.0.2'), port: 1790 }],
    originated: [{ prefix: parsePrefix('0.0.0.0/0') }],
    peers: [
      {
        ...{ ...peerDefaults, name: 'node', kind: 'test', address: parseAddress('10.0.0.1'), port: 1790, asn: 64_512 },
        ...{ families: ['ipv4-unicast'], localAddress: parseAddress('10.0.0.2') },
      },
    ],
  });
  const [printed] = (await once(program.stdout, 'data')) as [Buffer];
  expect(printed.toString()).toBe("0.0.0.0/0 via [ '10.0.0.2' ]\n");
  program.kill();
  await Promise.all([once(program, 'exit'), neighbour.close('shutdown')]);
  rmSync(dirname(file), { recursive: true });
});
