// The other daemons among themselves: if these fail, a failure against us means nothing.
import { expect, test } from 'vitest';
import { connect, createHost } from '../lab/host.ts';
import { lacking } from '../lab/needs.ts';
import { until } from '../lab/until.ts';
import { bird } from './daemons/bird.ts';
import type { Daemon, SessionSetting } from './daemons/daemon.ts';
import { exabgp } from './daemons/exabgp.ts';
import { frr } from './daemons/frr.ts';
import { gobgp } from './daemons/gobgp.ts';
import { openbgpd } from './daemons/openbgpd.ts';

const addresses = { 4: ['10.9.0.1', '10.9.0.2'], 6: ['fd09::1', 'fd09::2'] } as const;
const announced = { 4: ['192.0.2.0/24', '198.51.100.0/24'], 6: ['2001:db8:1::/48', '2001:db8:2::/48'] } as const;

for (const daemon of [bird, frr, gobgp, openbgpd, exabgp]) {
  for (const family of [4, 6] as const) {
    test(`${daemon.name} and BIRD exchange a route over IPv${family}`, async (context) => {
      context.skip(lacking('bird', ...daemon.tools) !== undefined, lacking('bird', ...daemon.tools));
      await exchange(daemon, family);
    });
  }
}

async function exchange(daemon: Daemon, family: 4 | 6): Promise<void> {
  const prefix = `x${daemon.name.toLowerCase()}${family}`;
  await using left = await createHost(`${prefix}l`);
  await using right = await createHost(`${prefix}r`);
  await connect(left, 'eth0', right, 'eth0');
  const [a, b] = addresses[family];
  await left.ip(`addr add ${a}/${family === 4 ? 24 : 64} dev eth0${family === 6 ? ' nodad' : ''}`);
  await right.ip(`addr add ${b}/${family === 4 ? 24 : 64} dev eth0${family === 6 ? ' nodad' : ''}`);
  const setting: SessionSetting = {
    family,
    localAddress: a,
    peerAddress: b,
    localAsn: 65001,
    peerAsn: 65002,
    routerId: '10.0.0.1',
    passive: false,
    holdSeconds: 9,
    announce: [announced[family][0]],
  };
  const mirrored = { ...setting, localAddress: b, peerAddress: a, localAsn: 65002, peerAsn: 65001 };
  const one = await daemon.start(left, `/run/lab/${prefix}l`, setting);
  const other = await bird.start(right, `/run/lab/${prefix}r`, {
    ...mirrored,
    routerId: '10.0.0.2',
    announce: [announced[family][1]],
  });
  try {
    await until(
      'both are Established',
      async () => (await one.established()) && (await other.established()),
      20_000,
      200,
    );
    await until('the left one learned', async () => (await one.learned()).has(announced[family][1]), 10_000, 200);
    await until('the right one learned', async () => (await other.learned()).has(announced[family][0]), 10_000, 200);
  } catch (error) {
    throw new Error(`${one.log()}\n---- BIRD:\n${other.log()}`, { cause: error });
  }
  expect([...(await other.learned()).keys()]).toEqual([announced[family][0]]);
  await one.stop();
  await other.stop();
}
