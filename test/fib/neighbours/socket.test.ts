// Sending ICMPv6 for real, in processes that may and that may not.
import { beforeAll, expect, test } from 'vitest';
import type { Host } from '../../lab/host.ts';
import { type Outcome, connect, createHost } from '../../lab/host.ts';

const here = (path: string): string => new URL(path, import.meta.url).pathname;
/** Says what came of sending one advertisement from eth0. */
const script = `
  import { icmp6Sender } from '${here('../../../fib/neighbours/socket.ts')}';
  import { readLinks } from '${here('../../../fib/neighbours/links.ts')}';
  const [from, to] = process.argv.slice(1);
  const { index, addresses } = readLinks().get('eth0');
  try {
    icmp6Sender()({ index, address: from || addresses[0] }, to, new Uint8Array(16).fill(134, 0, 1));
    console.log('sent');
  } catch (error) {
    console.log(error.code, error.message);
  }`;
const node = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];

let host: Host;
beforeAll(async () => {
  const stack = new AsyncDisposableStack();
  host = stack.use(await createHost());
  await connect(host, 'eth0', stack.use(await createHost()), 'eth0');
  return () => stack.disposeAsync();
});

const send = (from: string, to = 'ff02::1'): Promise<Outcome> =>
  host.run(process.execPath, [...node, from, to], { mayFail: true });

test('an advertisement goes out', async () => {
  expect((await send('')).stdout).toBe('sent\n');
});

test('not from an address that is not ours', async () => {
  expect((await send('fe80::77')).stdout).toBe('icmp6 cannot send from fe80::77: address not available\n');
});

test('without CAP_NET_RAW it says what is missing', async () => {
  const bound = ['--bounding-set=-net_raw', '--inh-caps=-net_raw', process.execPath, ...node, '', 'ff02::1'];
  expect((await host.run('setpriv', bound)).stdout).toBe(
    'icmp6 not allowed to open an ICMPv6 socket: give manxd CAP_NET_RAW\n',
  );
});

test('without node:ffi it says what is missing', async () => {
  const without = ['--no-experimental-ffi', ...node, '', 'ff02::1'];
  expect((await host.run(process.execPath, without)).stdout).toMatch(
    /^icmp6 this Node cannot open ICMPv6 sockets \(node:ffi is missing or disabled\)/,
  );
});
