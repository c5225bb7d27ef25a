// bgp/README.md: its table of statements quotes tests that exist, and its example runs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { createSpeaker, parseAddress, parsePrefix, peerDefaults } from '../../bgp/index.ts';
import { run } from '../lab/host.ts';

const readme = readFileSync(new URL('../../bgp/README.md', import.meta.url), 'utf8');

interface Row {
  readonly number: number;
  readonly proofs: readonly { readonly file: string; readonly name: string }[];
}

const rows: Row[] = [...readme.matchAll(/^\| (\d+) \| [^|]+ \| (.+) \|$/gm)].map(([, number, cell]) => ({
  number: Number(number),
  proofs: [...cell!.matchAll(/(\S+\.test\.ts): “([^”]+)”/g)].map(([, file, name]) => ({ file: file!, name: name! })),
}));

test('the table has a row for each of the 80 statements, and each row a proof', () => {
  expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
  expect(rows.filter(({ proofs }) => proofs.length === 0)).toEqual([]);
});

test.each(rows)('the tests that prove statement $number are there', ({ proofs }) => {
  for (const { file, name } of proofs) {
    expect(readFileSync(new URL(file, import.meta.url), 'utf8'), file).toContain(name);
  }
});

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
