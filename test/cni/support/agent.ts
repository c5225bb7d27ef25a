// A small agent for tests: cni/'s operations over a real warm `ip`, behind the real socket, with a fake IPAM whose
// leases are in a file, so that a test sees what is leased also after this process was killed.
//
//   node agent.ts RUN_FOLDER STATE_FOLDER [agent|plugin]     who does the pod's half
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { parseAddress } from '#ip';
import {
  type AddressSource,
  CniError,
  createOperations,
  fileRecords,
  replayTombstones,
  serve,
} from '../../../cni/index.ts';
import { startBatch } from '../../../fib/ip.ts';

/** Handle → ordinals, one for both families. */
export type Leases = Record<string, number>;

const [run, state, podHalf = 'agent'] = process.argv.slice(2) as [string, string, ('agent' | 'plugin')?];
await mkdir(state, { recursive: true });
const operations = createOperations({
  addresses: fileLeases(`${state}/leases.json`),
  batch: startBatch(),
  removals: startBatch(),
  records: fileRecords(`${state}/attachments`),
  listener: { changed: () => undefined },
  node: 'worker-1',
  mtu: () => 1450,
  podHalf,
  note: (fact) => console.error(JSON.stringify(fact)),
});
await operations.reconcile();
await replayTombstones(`${state}/tombstones`, operations);
const server = await serve(`${run}/cni.sock`, operations);
await replayTombstones(`${state}/tombstones`, operations);
console.log('ready');
process.once('SIGTERM', () => void stop());

async function stop(): Promise<void> {
  await server[Symbol.asyncDispose]();
  process.exit();
}

function fileLeases(file: string): AddressSource {
  let turn: Promise<unknown> = Promise.resolve();
  const change = <T>(work: (leases: Leases) => T): Promise<T> => {
    const result = turn.then(async () => {
      const leases = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Leases;
      const value = work(leases);
      await writeFile(`${file}.new`, JSON.stringify(leases));
      await rename(`${file}.new`, file);
      return value;
    });
    turn = result.catch(() => undefined);
    return result;
  };
  return {
    assign: ({ handle, families, addresses }) =>
      change((leases) => {
        if (addresses) return { addresses };
        const taken = new Set(Object.values(leases));
        leases[handle] ??= Array.from({ length: 254 }, (_, index) => index + 1).find((ordinal) => !taken.has(ordinal))!;
        const ordinal = leases[handle];
        if (ordinal === undefined) throw new CniError(11, 'no free address');
        const texts = families.map((family) => (family === 4 ? `10.82.0.${ordinal}` : `fd82::${ordinal.toString(16)}`));
        return { addresses: texts.map(parseAddress) };
      }),
    release: (handle) => change((leases) => void delete leases[handle]),
  };
}
