// The reconciler over a model kernel and a clock that tests turn.
import type { Address, Prefix } from '#ip';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KernelRoute, Note } from '../../fib/port.ts';
import { type Reconciler, type RouteChange, createReconciler } from '../../fib/reconciler.ts';
import { BGP_METRIC, type NextHop, PROTOCOL, type Route } from '../../fib/route.ts';
import { parseMonitorLine } from '../../fib/text.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { ModelKernel } from './model-kernel.ts';

const a: NextHop = { via: '10.250.1.2' as Address, dev: 'eth0' };
const b: NextHop = { via: '10.250.1.3' as Address, dev: 'eth0' };
const route = (prefix: string, ...nextHops: NextHop[]): Route => ({
  prefix: prefix as Prefix,
  kind: nextHops.length === 0 ? 'blackhole' : 'unicast',
  metric: BGP_METRIC,
  nextHops,
});
const one = route('10.82.1.0/24', a);
const two = route('10.82.2.0/24', a);
const six = route('fd82::/64', { via: 'fd01::2' as Address, dev: 'eth0' });

interface Bench {
  readonly kernel: ModelKernel;
  readonly clock: FakeClock;
  readonly reconciler: Reconciler;
  readonly notes: Note[];
  /** The prefixes of ours in the kernel. */
  readonly ours: () => string[];
  /** Says it through the monitor as well as doing it. */
  readonly byHand: (line: string, announced: string) => void;
}

function start(...lines: string[]): Bench {
  const kernel = new ModelKernel();
  for (const line of lines) expect(kernel.apply(line)).toBe(undefined);
  const clock = new FakeClock();
  const notes: Note[] = [];
  const reconciler = createReconciler({ batch: kernel, dump: kernel, clock, note: (note) => void notes.push(note) });
  const ours = (): string[] => {
    const routes = kernel.show().filter(({ protocol }) => protocol === PROTOCOL);
    return routes.map(({ prefix }) => prefix).sort();
  };
  const byHand = (line: string, announced: string): void => {
    expect(kernel.apply(line)).toBe(undefined);
    reconciler.look(parseMonitorLine(announced));
  };
  return { kernel, clock, reconciler, notes, ours, byHand };
}

async function started(wishes: readonly Route[], ...lines: string[]): Promise<Bench> {
  const bench = start(...lines);
  bench.reconciler.wish(wishes);
  await bench.reconciler.settled();
  return bench;
}

const mark = `proto ${PROTOCOL} metric ${BGP_METRIC}`;
const theirs = 'route add 10.82.1.0/24 proto 4 metric 1024 via 10.250.1.9';

test('what is wished is put into the kernel', async () => {
  const { ours, reconciler } = await started([one, six]);
  expect(ours()).toEqual(['10.82.1.0/24', 'fd82::/64']);
  expect(reconciler.status()).toMatchObject({
    desired: 2,
    installed: 2,
    missing: 0,
    stale: 0,
    troubles: [],
    repairs: 0,
  });
});

test('what is not wished any more is taken out, before release() as well', async () => {
  const { ours, reconciler } = await started([one, two]);
  reconciler.wish([two]);
  await reconciler.settled();
  expect(ours()).toEqual(['10.82.2.0/24']);
});

test('a change says something about its own routes only', async () => {
  const { ours, reconciler } = await started([one, two]);
  reconciler.change([
    { prefix: one.prefix, metric: one.metric },
    { prefix: six.prefix, metric: six.metric, route: six },
  ]);
  await reconciler.settled();
  expect(ours()).toEqual(['10.82.2.0/24', 'fd82::/64']);
});

test('what is told in one turn is one write, and the last word counts', async () => {
  const { kernel, reconciler } = await started([]);
  reconciler.wish([one]);
  reconciler.change([{ prefix: one.prefix, metric: one.metric, route: route(one.prefix, b) }]);
  reconciler.change([{ prefix: two.prefix, metric: two.metric }]);
  await reconciler.settled();
  expect(kernel.lines).toEqual([`route add 10.82.1.0/24 ${mark} via 10.250.1.3 dev eth0`]);
});

test('another next hop is one line that replaces in place', async () => {
  const { kernel, reconciler } = await started([one]);
  kernel.lines.length = 0;
  reconciler.wish([route(one.prefix, a, b)]);
  await reconciler.settled();
  expect(kernel.lines).toEqual([
    `route replace 10.82.1.0/24 ${mark} nexthop via 10.250.1.2 dev eth0 nexthop via 10.250.1.3 dev eth0`,
  ]);
});

test('the same wish again writes nothing', async () => {
  const { kernel, reconciler } = await started([one, six]);
  kernel.lines.length = 0;
  reconciler.wish([{ ...one }, { ...six, nextHops: [...six.nextHops] }]);
  await reconciler.settled();
  expect(kernel.lines).toEqual([]);
});

test('a next hop that is named twice is used once', async () => {
  const { kernel } = await started([route(one.prefix, a, { ...a })]);
  expect(kernel.lines).toEqual([`route add 10.82.1.0/24 ${mark} via 10.250.1.2 dev eth0`]);
});

test('routes of before our start stay until release(), and then go if nobody wished them', async () => {
  const before = [
    `route add 10.82.1.0/24 ${mark} via 10.250.1.2 dev eth0`,
    `route add 10.82.9.0/24 ${mark} via 10.250.1.2`,
  ];
  const { kernel, ours, reconciler } = await started([one], ...before);
  expect(kernel.lines).toEqual([]);
  expect(reconciler.status()).toMatchObject({ installed: 1, stale: 1 });
  expect(reconciler.routes().find(({ state }) => state === 'stale')?.route.prefix).toBe('10.82.9.0/24');
  reconciler.release();
  await reconciler.settled();
  expect(ours()).toEqual(['10.82.1.0/24']);
});

test('a stale route that is wished otherwise is replaced in place', async () => {
  const { kernel } = await started([one], `route add 10.82.1.0/24 ${mark} via 10.250.1.77`);
  expect(kernel.lines).toEqual([`route replace 10.82.1.0/24 ${mark} via 10.250.1.2 dev eth0`]);
});

test('a route deleted by hand is put back at once, before any look', async () => {
  const { kernel, ours, reconciler, byHand } = await started([one, two]);
  const { dumps } = kernel;
  byHand(`route del 10.82.1.0/24 ${mark}`, 'Deleted 1 10.82.1.0/24 via 10.250.1.2 dev eth0 proto 201 metric 1024');
  await settle();
  expect([ours(), kernel.dumps - dumps]).toEqual([['10.82.1.0/24', '10.82.2.0/24'], 0]);
  expect(reconciler.status().repairs).toBe(1);
});

test('a route deleted by hand while it is being written is put back', async () => {
  const { kernel, ours, reconciler, byHand } = await started([]);
  kernel.watch = () => {
    kernel.watch = () => undefined;
    byHand(`route del 10.82.1.0/24 ${mark}`, 'Deleted 1 10.82.1.0/24 via 10.250.1.2 dev eth0 proto 201 metric 1024');
  };
  reconciler.wish([one]);
  await settle();
  expect(ours()).toEqual(['10.82.1.0/24']);
});

test('a repair is counted once', async () => {
  const { reconciler, byHand } = await started([one]);
  byHand(`route del 10.82.1.0/24 ${mark}`, 'Deleted 1 10.82.1.0/24 via 10.250.1.2 dev eth0 proto 201 metric 1024');
  await settle();
  reconciler.wish([route(one.prefix, b)]);
  await settle();
  expect(reconciler.status().repairs).toBe(1);
});

test('a route changed by hand is put right within a tenth of a second', async () => {
  const { kernel, clock, byHand } = await started([one]);
  byHand(
    `route replace 10.82.1.0/24 ${mark} via 10.250.1.66`,
    '1 10.82.1.0/24 via 10.250.1.66 dev eth0 proto 201 metric 1024',
  );
  await clock.advance(100);
  expect(kernel.show()).toMatchObject([{ nextHops: [a] }]);
});

test('a change that no hint told of is found by the comparison every ten seconds', async () => {
  const { kernel, clock, ours, reconciler } = await started([one]);
  kernel.apply(`route del 10.82.1.0/24 ${mark}`);
  await clock.advance(10_100);
  expect([ours(), reconciler.status().repairs]).toEqual([['10.82.1.0/24'], 1]);
});

test('our own writes, announced by the kernel, cost no look', async () => {
  const { kernel, clock, reconciler } = await started([one]);
  const { dumps } = kernel;
  for (const line of [
    '1 10.82.1.0/24 via 10.250.1.2 dev eth0 table 254 proto 201 scope 0 metric 1024',
    'Deleted 1 10.82.3.0/24 via 10.250.1.2 dev eth0 proto 201 metric 1024',
  ]) {
    reconciler.look(parseMonitorLine(line));
  }
  await clock.advance(5000);
  expect(kernel.dumps).toBe(dumps);
});

test('a burst of hints costs one look', async () => {
  const { kernel, clock, reconciler } = await started([one]);
  const { dumps } = kernel;
  for (let i = 0; i < 100; i++) reconciler.look({ about: 'link' });
  await clock.advance(1000);
  expect(kernel.dumps - dumps).toBe(1);
});

test('a route of somebody else is left alone and reported, and ours goes in once it is gone', async () => {
  const { kernel, clock, ours, reconciler, byHand } = await started([one], theirs);
  expect(kernel.lines).toEqual([]);
  expect(reconciler.status()).toMatchObject({
    missing: 1,
    troubles: [
      {
        ...{ prefix: '10.82.1.0/24', metric: 1024, trouble: 'foreign' },
        reason: 'a route of proto static, metric 1024, is there, with the same metric',
      },
    ],
  });
  byHand(
    'route del 10.82.1.0/24 proto 4 metric 1024',
    'Deleted 1 10.82.1.0/24 via 10.250.1.9 dev eth0 proto 4 metric 1024',
  );
  await clock.advance(100);
  expect([ours(), reconciler.status().troubles]).toEqual([['10.82.1.0/24'], []]);
});

test('since when a trouble stands does not move with every look', async () => {
  const { clock, reconciler } = await started([one], theirs);
  const [before] = reconciler.status().troubles;
  await clock.advance(60_000);
  expect(reconciler.status().troubles).toEqual([before]);
});

test('a prefix that the kernel has just told news of is not written before a look', async () => {
  const { kernel, clock, reconciler, byHand } = await started([two]);
  kernel.lines.length = 0;
  byHand(theirs, '1 10.82.1.0/24 via 10.250.1.9 dev eth0 proto 4 metric 1024');
  reconciler.change([{ prefix: one.prefix, metric: one.metric, route: one }]);
  await clock.advance(1000);
  expect(kernel.lines).toEqual([]);
});

test('a route of somebody else that no hint told of makes the add fail, and is reported as what it is', async () => {
  const { kernel, clock, reconciler } = await started([two]);
  kernel.apply(theirs);
  reconciler.change([{ prefix: one.prefix, metric: one.metric, route: one }]);
  await clock.advance(100);
  expect(reconciler.status().troubles).toMatchObject([{ trouble: 'foreign' }]);
  expect(kernel.show().find(({ prefix }) => prefix === one.prefix)?.protocol).toBe(4);
});

test('a refused route shows the kernel’s words, and is tried again after 1, 2 and 4 seconds', async () => {
  const { kernel, clock, reconciler } = start();
  kernel.refusing.set(one.prefix, 'Error: Nexthop has invalid gateway.');
  reconciler.wish([one, two]);
  await reconciler.settled();
  const refusal = {
    trouble: 'refused',
    reason: 'Error: Nexthop has invalid gateway.',
    since: clock.now(),
    retryAt: clock.now() + 1000,
  };
  expect(reconciler.status()).toMatchObject({ installed: 1, missing: 1, troubles: [refusal] });
  const tries: number[] = [];
  const begun = clock.now();
  kernel.watch = () => void tries.push(clock.now() - begun);
  await clock.advance(7500);
  expect(tries).toEqual([1000, 3000, 7000]);
});

test('a refused route is tried again at once when a link or an address changes', async () => {
  const { kernel, clock, ours, reconciler } = start();
  kernel.refusing.set(one.prefix, 'Error: Nexthop has invalid gateway.');
  reconciler.wish([one]);
  await reconciler.settled();
  kernel.refusing.clear();
  reconciler.look({ about: 'address' });
  await clock.advance(60);
  expect([ours(), reconciler.status().troubles]).toEqual([['10.82.1.0/24'], []]);
});

test('where a new next hop is refused, the old one stays, and that is said', async () => {
  const { kernel, clock, reconciler } = await started([one]);
  kernel.refusing.set(one.prefix, 'Error: Nexthop has invalid gateway.');
  reconciler.wish([route(one.prefix, b)]);
  await clock.advance(100);
  expect(kernel.show()).toMatchObject([{ nextHops: [a] }]);
  expect(reconciler.routes()).toMatchObject([
    { state: 'outdated', trouble: { reason: 'Error: Nexthop has invalid gateway. (the previous route stays)' } },
  ]);
});

test('a route that cannot be said to ip is refused like one that the kernel refuses', async () => {
  const { reconciler, ours } = await started([route(one.prefix, { dev: 'eth0 table 7' }), two]);
  expect(reconciler.status().troubles).toMatchObject([
    { trouble: 'refused', reason: '"eth0 table 7" cannot be said to ip' },
  ]);
  expect(ours()).toEqual(['10.82.2.0/24']);
});

test('an interrupted dump takes nothing away, and is asked for again', async () => {
  const { kernel, clock, reconciler } = await started([one, two]);
  kernel.lines.length = 0;
  kernel.missing = [one.prefix];
  const { dumps } = kernel;
  reconciler.look();
  await clock.advance(1000);
  expect([kernel.lines, kernel.dumps - dumps, reconciler.status().repairs]).toEqual([[], 2, 0]);
});

test('while ip does not work, status says so, and everything is made good afterwards', async () => {
  const { kernel, clock, ours, reconciler } = await started([one]);
  kernel.broken = 'ip was killed by SIGKILL';
  reconciler.wish([two]);
  await clock.advance(3000);
  expect(reconciler.status()).toMatchObject({ error: 'ip was killed by SIGKILL', missing: 1 });
  kernel.broken = undefined;
  await clock.advance(10_000);
  expect(ours()).toEqual(['10.82.2.0/24']);
  expect(reconciler.status()).not.toHaveProperty('error');
});

test('what was carried out without an answer is found in the kernel, not tried again', async () => {
  const { kernel, clock, notes, reconciler } = await started([]);
  kernel.unheard = true;
  reconciler.wish([one, two]);
  await clock.advance(1000);
  expect(reconciler.status()).toMatchObject({ installed: 2, troubles: [] });
  expect(notes.map(({ message }) => message)).toEqual(['the kernel cannot be asked or told']);
  expect(kernel.lines.length).toBe(2);
});

test('where every dump is interrupted, what is wished is written all the same', async () => {
  const { kernel, clock, ours, reconciler } = await started([one]);
  kernel.alwaysMissing = ['192.0.2.0/24'];
  reconciler.look();
  await clock.advance(1000);
  reconciler.wish([one, two]);
  await clock.advance(1000);
  expect([ours(), reconciler.status().troubles]).toEqual([['10.82.1.0/24', '10.82.2.0/24'], []]);
});

test('settled() does not resolve while the kernel cannot be asked', async () => {
  const { kernel, clock, reconciler } = start();
  kernel.broken = 'no ip';
  let settled = false;
  void reconciler.settled().then(() => (settled = true));
  await clock.advance(5000);
  expect(settled).toBe(false);
  kernel.broken = undefined;
  await clock.advance(10_000);
  expect(settled).toBe(true);
});

test('closing leaves the kernel as it is, and rejects who waits', async () => {
  const { kernel, clock, ours, reconciler } = await started([one]);
  reconciler.wish([]);
  const waiting = expect(reconciler.settled()).rejects.toMatchObject({ code: 'closed' });
  await reconciler.close();
  await waiting;
  await clock.advance(60_000);
  expect([ours(), kernel.dumps, clock.pending]).toEqual([['10.82.1.0/24'], 1, 0]);
});

test('next hops that somebody appended to our IPv6 route are left alone and reported', async () => {
  const { kernel, clock, reconciler, byHand } = await started([six]);
  const appended = 'route append fd82::/64 proto 4 metric 1024 via fd01::9 dev eth0';
  byHand(
    appended,
    '1 fd82::/64 table 254 proto 4 scope 0 metric 1024 pref medium\\\tnexthop via fd01::9 dev eth0 weight 1',
  );
  await clock.advance(200);
  expect(kernel.show()).toMatchObject([{ nextHops: [six.nextHops[0], { via: 'fd01::9' }] }]);
  expect(reconciler.status().troubles).toMatchObject([
    {
      trouble: 'foreign',
      reason: 'somebody appended the next hop fd01::9 dev eth0 to our route; ours does not change',
    },
  ]);
  reconciler.wish([]);
  await reconciler.settled();
  expect(kernel.show()).toMatchObject([{ protocol: 4, nextHops: [{ via: 'fd01::9' }] }]);
});

test('next hops that were appended to our IPv6 route under our own protocol go', async () => {
  const { kernel, clock, byHand } = await started([six]);
  const appended = `route append fd82::/64 ${mark} via fd01::9 dev eth0`;
  byHand(
    appended,
    '1 fd82::/64 table 254 proto 201 scope 0 metric 1024 pref medium\\\tnexthop via fd01::9 dev eth0 weight 1',
  );
  await clock.advance(200);
  expect(kernel.show()).toMatchObject([{ nextHops: six.nextHops }]);
});

test('the log has one line for what happened to many routes', async () => {
  const { kernel, clock, notes, reconciler } = start();
  const many = Array.from({ length: 50 }, (_, i) => route(`10.83.${i}.0/24`, a));
  for (const { prefix } of many) kernel.refusing.set(prefix, 'RTNETLINK answers: No route to host');
  reconciler.wish(many);
  await clock.advance(20_000);
  expect(notes).toEqual([
    {
      message: 'the kernel refused routes',
      count: 50,
      prefix: '10.83.0.0/24',
      reason: 'RTNETLINK answers: No route to host',
    },
  ]);
});

// Whatever is told and whatever others do, in any order: when it is quiet again, the kernel is as wished.
type Step = { wish: Route[] } | { change: RouteChange } | { byHand: string; hint: boolean } | { wait: number };
const prefixes = ['10.82.0.0/24', '10.82.1.0/24', 'fd82::/64'];
const hops = { 4: [a, b], 6: [{ via: 'fd01::2' as Address }, { via: 'fd01::3' as Address }] };
const anyRoute = fc.tuple(fc.constantFrom(...prefixes), fc.integer({ min: 0, max: 2 })).map(([prefix, count]) => {
  return route(prefix, ...hops[prefix.includes(':') ? 6 : 4].slice(0, count));
});
const anyLine = fc.tuple(
  fc.constantFrom('add', 'del', 'replace'),
  fc.constantFrom(...prefixes),
  fc.constantFrom(4, PROTOCOL),
);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.uniqueArray(anyRoute, { selector: ({ prefix }) => prefix, maxLength: 3 }).map((wish) => ({ wish })),
  fc.tuple(anyRoute, fc.boolean()).map(([wished, there]) => ({
    change: { prefix: wished.prefix, metric: wished.metric, ...(there && { route: wished }) },
  })),
  // Others replace and delete their own only: what they do to ours must be repaired, and is not theirs.
  fc.tuple(anyLine, fc.boolean()).map(([[verb, prefix, protocol], hint]) => ({
    byHand: `route ${verb} blackhole ${prefix} proto ${protocol} metric 1024`,
    hint,
  })),
  fc.constantFrom(0, 30, 60, 400).map((wait) => ({ wait })),
);

test('whatever is told and whatever others do, the kernel ends as wished', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 25 }), async (steps) => {
      const { kernel, clock, reconciler } = start();
      reconciler.release();
      const wishes = new Map<string, Route>();
      for (const step of steps) {
        if ('wish' in step) {
          wishes.clear();
          for (const wish of step.wish) wishes.set(wish.prefix, wish);
          reconciler.wish(step.wish);
        } else if ('change' in step) {
          if (step.change.route) wishes.set(step.change.prefix, step.change.route);
          else wishes.delete(step.change.prefix);
          reconciler.change([step.change]);
        } else if ('byHand' in step) {
          kernel.apply(step.byHand);
          if (step.hint) reconciler.look();
        } else await clock.advance(step.wait);
      }
      await clock.advance(60_000);
      const theirs = new Set(kernel.show().flatMap(({ prefix, protocol }) => (protocol === PROTOCOL ? [] : [prefix])));
      const ours = kernel.show().filter(({ protocol }) => protocol === PROTOCOL);
      const expected = [...wishes.values()].filter(({ prefix }) => !theirs.has(prefix));
      const shape = ({ prefix, kind, nextHops }: Pick<KernelRoute, 'prefix' | 'kind' | 'nextHops'>): string =>
        `${prefix} ${kind} ${nextHops
          .map(({ via }) => String(via))
          .sort((x, y) => (x < y ? -1 : 1))
          .join()}`;
      expect(ours.map(shape).sort()).toEqual(expected.map(shape).sort());
      const status = reconciler.status();
      expect(status).toMatchObject({ desired: wishes.size, installed: expected.length, stale: 0 });
      expect(status.troubles.map(({ trouble }) => trouble)).toEqual(
        Array(wishes.size - expected.length).fill('foreign'),
      );
      await reconciler.close();
    }),
    { numRuns: 150 },
  );
});
