// When we say on a link that we are a router, and what is said about the link.
import type { Address } from '#ip';
import { beforeEach, expect, test } from 'vitest';
import { FibError } from '../../../fib/error.ts';
import { FollowedLink } from '../../../fib/neighbours/followed-link.ts';
import type { SendIcmp6 } from '../../../fib/neighbours/socket.ts';
import type { KernelNeighbour } from '../../../fib/neighbours/table.ts';

const [ours, theirs, others] = ['fe80::1', 'fe80::2', 'fe80::3'] as Address[] as [Address, Address, Address];
const up = { index: 7, addresses: [ours], linkLayer: '02:00:5e:10:00:01' };
const router = (address: Address, confirmedSeconds = 1): KernelNeighbour => ({
  ...{ address, router: true, state: 'reachable', confirmedSeconds },
});
const names: Readonly<Record<number, string>> = { 133: 'asks', 134: 'says', 135: 'seeks' };

let link: FollowedLink;
/** "says ff02::1": message and destination. */
let sent: string[];
let broken: FibError | undefined;
const send: SendIcmp6 = (from, to, message) => {
  if (broken) throw broken;
  expect(from).toEqual({ index: 7, address: ours });
  sent.push(`${names[message[0]!]} ${to}`);
};
beforeEach(() => {
  link = new FollowedLink('eth1');
  sent = [];
  broken = undefined;
});

/** One look at this time, in ms. @returns what was sent */
function look(now: number, table: readonly KernelNeighbour[] = [], at: typeof up | 'down' = up): string[] {
  sent = [];
  link.moveTo(at === 'down' ? undefined : at);
  if (link.isUp) link.see(table, now);
  link.advertise(send, now);
  return sent;
}

test('a link that is up is advertised on at once, and asked for routers before that', () => {
  expect(look(0)).toEqual(['asks ff02::2', 'says ff02::1']);
});

test('who knows its neighbour does not ask', () => {
  expect(look(0, [router(theirs)])).toEqual(['says ff02::1']);
});

test('the second and third advertisement follow after 3 s, the rest after 7.5 to 10 s (RFC 4861 §6.2.4)', () => {
  const table = [router(theirs)];
  const times: number[] = [];
  for (let now = 0; now < 60_000; now += 100) if (look(now, table).length > 0) times.push(now);
  const pauses = times.slice(1).map((time, i) => time - times[i]!);
  expect(pauses.slice(0, 2)).toEqual([3000, 3000]);
  for (const pause of pauses.slice(2)) {
    expect(pause).toBeGreaterThanOrEqual(7500);
    expect(pause).toBeLessThanOrEqual(10_100);
  }
  expect(pauses.length).toBeGreaterThanOrEqual(6);
});

test('for a newcomer the next advertisement is brought forward, but never below 3 s (MIN_DELAY_BETWEEN_RAS)', () => {
  for (const now of [0, 3000, 6000]) look(now);
  expect(look(8000, [router(theirs)])).toEqual([]);
  expect(link.dueAt).toBe(9000);
  expect(look(9000, [router(theirs)])).toEqual(['says ff02::1']);
});

test('of several routers each is asked every 3 s whether it is still there', () => {
  look(0, [router(theirs)]);
  const two = [router(theirs), router(others)];
  expect(look(100, two)).toEqual(['seeks ff02::1:ff00:2', 'seeks ff02::1:ff00:3']);
  expect(look(3000, two)).toEqual(['says ff02::1']);
  expect(look(3100, two)).toEqual(['seeks ff02::1:ff00:2', 'seeks ff02::1:ff00:3']);
  expect(link.dueAt).toBe(6000);
  expect(look(6200, [router(theirs)])).toEqual(['says ff02::1']);
});

test('of several routers that answer the one that was found stays the neighbour, and the others are a trouble', () => {
  look(0, [router(theirs)]);
  for (const now of [3000, 20_000, 60_000]) look(now, [router(theirs, 9), router(others)]);
  expect(link.sighting(60_000)).toEqual({
    found: { neighbour: theirs, local: ours },
    trouble: 'there is more than one router on eth1: the session is with fe80::2, not with fe80::3',
  });
});

test('a neighbour that answers nothing for 10 s while another router is there is the neighbour no more', () => {
  look(0, [router(theirs)]);
  // Long silence before anybody asked means nothing.
  for (const now of [1000, 4000, 7000, 10_000]) look(now, [router(theirs, 100), router(others)]);
  expect(link.sighting(10_000).found?.neighbour).toBe(theirs);
  look(11_000, [router(theirs, 110), router(others)]);
  expect(link.sighting(11_000)).toEqual({ found: { neighbour: others, local: ours } });
  // It is back, and the other one has gone.
  look(20_000, [router(theirs), router(others, 10)]);
  expect(link.sighting(20_000)).toEqual({ found: { neighbour: theirs, local: ours } });
});

test('a neighbour that answers nothing stays the neighbour when nobody else does', () => {
  look(0, [router(theirs)]);
  for (const now of [1000, 20_000]) look(now, [router(theirs, 100), router(others, 100)]);
  expect(link.sighting(20_000)).toEqual({ found: { neighbour: theirs, local: ours } });
});

test('what was known is forgotten when the link goes down', () => {
  look(0, [router(theirs)]);
  look(100, [], 'down');
  expect(link.sighting(100)).toEqual({ reason: 'eth1 is not there, not up, or has no IPv6 link-local address' });
  expect(link.dueAt).toBe(Infinity);
  expect(look(200)).toEqual(['asks ff02::2', 'says ff02::1']);
  expect(link.sighting(200).reason).toMatch(/^no router has been heard on eth1 yet/);
});

test('another interface by the same name is told apart', () => {
  expect([up, up, { ...up, index: 8 }].map((each) => link.moveTo(each))).toEqual([true, false, true]);
});

test('our address towards a neighbour stays the same while the link has it', () => {
  look(0, [router(theirs)]);
  link.moveTo({ ...up, addresses: [others, ours] });
  expect(link.sighting(100).found?.local).toBe(ours);
});

test('an address that cannot be spoken from yet is no trouble, and no session is tried from it (RFC 4862 §5.4)', () => {
  broken = new FibError('icmp6', 'cannot send');
  look(0, [router(theirs)]);
  expect(link.sighting(100)).toEqual({ reason: 'fe80::1 on eth1 is not ready to be used yet' });
  broken = undefined;
  expect(look(1000, [router(theirs)])).toEqual(['says ff02::1']);
  expect(link.sighting(1000)).toEqual({ found: { neighbour: theirs, local: ours } });
});

test('advertisements that cannot be sent at all are a trouble; the neighbour is there all the same', () => {
  broken = new FibError('icmp6', 'not allowed to open an ICMPv6 socket: give manxd CAP_NET_RAW');
  look(0, [router(theirs)]);
  look(3000, [router(theirs)]);
  expect(link.sighting(3000)).toEqual({
    found: { neighbour: theirs, local: ours },
    trouble:
      'router advertisements cannot be sent on eth1, without which a peer like FRR does not find us: ' +
      'not allowed to open an ICMPv6 socket: give manxd CAP_NET_RAW',
  });
});

test('a table that cannot be read is a trouble, and what was known stays', () => {
  look(0, [router(theirs)]);
  link.see(new FibError('ip-missing', 'ip cannot be started'), 100);
  expect(link.sighting(100)).toEqual({
    found: { neighbour: theirs, local: ours },
    trouble: 'the neighbours on eth1 cannot be read: ip cannot be started',
  });
});
