import type { Address, Prefix } from '#ip';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Situation, diff, isAs, plan } from '../../fib/diff.ts';
import type { KernelRoute } from '../../fib/port.ts';
import { PROTOCOL, type Route, kernelMetric } from '../../fib/route.ts';
import { lineOf } from '../../fib/text.ts';
import { ModelKernel } from './model-kernel.ts';

const prefix = '10.82.0.0/24' as Prefix;
const a = { via: '10.250.1.2' as Address, dev: 'eth0' };
const b = { via: '10.250.1.3' as Address, dev: 'eth0' };
const c = { via: '10.250.2.2' as Address, dev: 'eth1' };
const wish: Route = { prefix, kind: 'unicast', metric: 1024, nextHops: [a] };
const own: KernelRoute = { ...wish, protocol: PROTOCOL };
const foreign = (metric: number, extra: object = {}): KernelRoute => ({ ...own, metric, protocol: 4, ...extra });

const cases: [string, Partial<Situation>, string[], string?][] = [
  ['nothing there is added', { wish }, ['add']],
  ['what is as wished stays', { wish, own }, []],
  ['another next hop is replaced in place', { wish, own: { ...own, nextHops: [b] } }, ['replace']],
  ['one next hop more is replaced in place', { wish: { ...wish, nextHops: [a, c] }, own }, ['replace']],
  ['one next hop less is replaced in place', { wish, own: { ...own, nextHops: [c, a] } }, ['replace']],
  ['a blackhole becomes a route in place', { wish, own: { ...own, kind: 'blackhole', nextHops: [] } }, ['replace']],
  ['something odd about ours is replaced', { wish, own: { ...own, odd: true } }, ['replace']],
  ['what is not wished goes', { own }, ['delete']],
  ['what is not wished stays where it may not go yet', { own, sweep: false }, []],
  ['ours waits for somebody else of the same metric', { wish, foreign: [foreign(1024)] }, [], 'foreign'],
  ['ours stays beside somebody else of the same metric', { wish, own, foreign: [foreign(1024)] }, [], 'foreign'],
  [
    'ours goes rather than being replaced beside somebody else of the same metric',
    { wish, own: { ...own, nextHops: [b] }, foreign: [foreign(1024)] },
    ['delete'],
    'foreign',
  ],
  ['ours takes no traffic from a worse metric', { wish, foreign: [foreign(20100)] }, [], 'foreign'],
  ['a worse metric put behind ours changes nothing', { wish, own, foreign: [foreign(20100)] }, []],
  ['a worse unreachable route has no traffic to take', { wish, foreign: [foreign(20100, { kind: 'other' })] }, ['add']],
  ['ours goes in behind a better metric', { wish, foreign: [foreign(100)] }, ['add'], 'shadowed'],
  ['ours stays behind a better metric', { wish, own, foreign: [foreign(100)] }, [], 'shadowed'],
  ['a route for one type of service is in nobody’s way', { wish, foreign: [foreign(1024, { tos: '0x10' })] }, ['add']],
  ['further ones of ours go', { wish, own, surplus: [{ ...own, nextHops: [b] }] }, ['delete']],
  ['appended next hops are asked whose they are', { wish, own, joined: { nextHops: [c], theirs: false } }, ['delete']],
  ['appended next hops of somebody else stay', { wish, own, joined: { nextHops: [c], theirs: true } }, [], 'foreign'],
];
test.each(cases)('%s', (_, situation, verbs, trouble) => {
  const { operations, ...rest } = plan({ foreign: [], sweep: true, ...situation });
  expect([operations.map((operation) => operation.do), rest.trouble?.trouble]).toEqual([verbs, trouble]);
});

test('the reason says whose route it is', () => {
  const { trouble } = plan({ wish, foreign: [foreign(1024)], sweep: true });
  expect(trouble?.reason).toBe('a route of proto static, metric 1024, is there, with the same metric');
});

describe('the next hops that are wished', () => {
  const hops = (...nextHops: Route['nextHops']): Route => ({ ...wish, nextHops });
  test.each([
    ['in another order are the same', hops(a, c), [c, a], true],
    ['without an interface may be on any', hops({ via: a.via }), [a], true],
    [
      'without an interface leave the others to those that name one',
      hops({ via: a.via }, a),
      [a, { ...a, dev: 'eth1' }],
      true,
    ],
    ['are counted', hops(a, a), [a, c], false],
    ['are not fewer', hops(a), [a, c], false],
    ['are not more', hops(a, c), [a], false],
    ['are on the interface that they name', hops(a), [{ ...a, dev: 'eth1' }], false],
  ])('%s', (_, wished, nextHops, same) => {
    expect(isAs(wished, { ...own, nextHops })).toBe(same);
  });
});

test('routes to links come first, and go last, and nothing goes before everything is in', () => {
  const toLink = (text: string): Route => ({ ...wish, prefix: text as Prefix, nextHops: [{ dev: 'cali1' }] });
  const byGateway = (text: string): Route => ({ ...wish, prefix: text as Prefix });
  const kernel = [toLink('10.0.0.1/32'), byGateway('10.0.0.2/32')].map((route) => ({ ...route, protocol: PROTOCOL }));
  const { operations } = diff([byGateway('10.0.0.3/32'), toLink('10.0.0.4/32')], kernel);
  expect(operations.map(({ route }) => route.prefix)).toEqual([
    '10.0.0.4/32',
    '10.0.0.3/32',
    '10.0.0.2/32',
    '10.0.0.1/32',
  ]);
});

// Any table, any wishes: few prefixes and metrics, so that they meet.
const prefixes = ['10.82.0.0/24', '10.82.1.0/24', 'fd82::/64', 'fd82:0:0:1::/64'] as Prefix[];
const hop = fc.constantFrom(a, b, c);
const anyRoute = fc
  .record({
    prefix: fc.constantFrom(...prefixes),
    kind: fc.constantFrom('unicast' as const, 'unicast' as const, 'blackhole' as const),
    metric: fc.constantFrom(0, 100, 1024, 2048),
    nextHops: fc.uniqueArray(hop, { minLength: 1, maxLength: 3 }),
  })
  .map((route): Route => (route.kind === 'blackhole' ? { ...route, nextHops: [] } : route));
const byKey = (route: Pick<Route, 'prefix' | 'metric'>): string =>
  `${route.prefix} ${kernelMetric(route.prefix, route.metric)}`;
const anyTable = fc.uniqueArray(fc.tuple(anyRoute, fc.constantFrom(PROTOCOL, PROTOCOL, 4)), {
  selector: ([route]) => byKey(route),
  maxLength: 10,
});
const anyWishes = fc.uniqueArray(anyRoute, { selector: byKey, maxLength: 10 });

function kernelWith(table: readonly (readonly [Route, number])[]): ModelKernel {
  const kernel = new ModelKernel();
  for (const [route, protocol] of table) {
    kernel.apply(lineOf({ do: 'add', route }).replace(`proto ${PROTOCOL}`, `proto ${protocol}`));
  }
  return kernel;
}

/** Carries out the difference, as often as the kernel's tables change by it. */
function reach(kernel: ModelKernel, wishes: readonly Route[], watch = (): void => undefined): void {
  for (let round = 0; round < 3; round++) {
    for (const operation of diff(wishes, kernel.show()).operations) {
      expect(kernel.apply(lineOf(operation))).toBe(undefined);
      watch();
    }
  }
}

test('any table becomes what is wished, but for what somebody else holds', () => {
  fc.assert(
    fc.property(anyTable, anyWishes, (table, wishes) => {
      const kernel = kernelWith(table);
      const before = kernel.show();
      reach(kernel, wishes);
      const ours = kernel.show().filter(({ protocol }) => protocol === PROTOCOL);
      const allowed = wishes.filter((wish) => {
        const metric = kernelMetric(wish.prefix, wish.metric);
        const others = before.filter((route) => route.prefix === wish.prefix && route.protocol !== PROTOCOL);
        const had = before.some(
          (one) => one.prefix === wish.prefix && one.metric === metric && one.protocol === PROTOCOL,
        );
        const shadows = others.some((route) => route.metric > metric && route.kind === 'unicast');
        return !others.some((route) => route.metric === metric) && (had || !shadows);
      });
      expect(ours.map(byKey).sort()).toEqual(allowed.map(byKey).sort());
      for (const wish of allowed)
        expect(ours.some((route) => byKey(route) === byKey(wish) && isAs(wish, route))).toBe(true);
    }),
  );
});

test('no route of somebody else is ever touched', () => {
  fc.assert(
    fc.property(anyTable, anyWishes, (table, wishes) => {
      const kernel = kernelWith(table);
      const theirs = (): KernelRoute[] => kernel.show().filter(({ protocol }) => protocol !== PROTOCOL);
      const before = theirs();
      reach(kernel, wishes, () => expect(theirs()).toEqual(before));
    }),
  );
});

test('a prefix that has a route before and after has one all the time', () => {
  fc.assert(
    fc.property(anyTable, anyWishes, (table, wishes) => {
      const kernel = kernelWith(table);
      const present = (): Set<Prefix> => new Set(kernel.show().map((route) => route.prefix));
      const before = present();
      const seen: Set<Prefix>[] = [];
      reach(kernel, wishes, () => seen.push(present()));
      const after = present();
      const lasting = [...before].filter((one) => after.has(one));
      for (const moment of seen) expect([...moment]).toEqual(expect.arrayContaining(lasting));
    }),
  );
});

test('cleaning up leaves exactly what is not ours', () => {
  fc.assert(
    fc.property(anyTable, (table) => {
      const kernel = kernelWith(table);
      const theirs = kernel.show().filter(({ protocol }) => protocol !== PROTOCOL);
      reach(kernel, []);
      expect(kernel.show()).toEqual(theirs);
    }),
  );
});
