// Two real sessions against each other: whatever happens between them, in the end there is one session on one wire.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAddress } from '#ip';
import { Session } from '../../../bgp/session/index.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { MemoryNetwork } from '../../support/memory-transport.ts';
import { Owner, aWish } from './harness.ts';

interface Side {
  readonly session: Session;
  readonly owner: Owner;
}

function pair(network: MemoryNetwork, clock: FakeClock, wishes: readonly [object, object] = [{}, {}]): [Side, Side] {
  const [a, b] = ['10.0.0.1', '10.0.0.2'];
  const side = (mine: string, asn: number, theirs: string, theirAsn: number, wish: object): Side => {
    const owner = new Owner();
    const wished = aWish({ address: parseAddress(theirs), asn: theirAsn, ...wish });
    const speaker = { asn, routerId: parseAddress(mine) };
    const session = new Session(wished, speaker, owner, { clock, dialer: network.dialer(mine) });
    network.listen(mine, (connection) => session.accept(connection));
    return { session, owner };
  };
  return [side(a, 64_512, b, 65_001, wishes[0]), side(b, 65_001, a, 64_512, wishes[1])];
}

function standing(network: MemoryNetwork): number {
  return network.wires.filter(({ dialled, accepted }) => !dialled.stream.destroyed || !accepted.stream.destroyed)
    .length;
}

function agree(sides: readonly Side[]): void {
  const [a, b] = sides.map(({ session }) => session.status());
  expect([a!.state, b!.state]).toEqual(['Established', 'Established']);
  expect([a!.local, b!.local]).toEqual([
    { address: b!.remote!.address, port: b!.remote!.port },
    { address: a!.remote!.address, port: a!.remote!.port },
  ]);
}

type Act = { readonly do: 'advance'; readonly ms: number } | { readonly do: 'start' | 'reset' | 'break' | 'turn' };

const acts = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 500, 4000, 6000, 31_000) }),
    fc.record({ do: fc.constantFrom('start' as const, 'reset' as const, 'break' as const, 'turn' as const) }),
  ),
  { maxLength: 12 },
);

test('in the end both are Established on one and the same connection', async () => {
  await fc.assert(
    fc.asyncProperty(
      acts,
      acts,
      fc.constantFrom(1, 19, 50, 65_536),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      async (a, b, chunkBytes, luck) => {
        const clock = new FakeClock();
        clock.luck = luck;
        const network = new MemoryNetwork({ chunkBytes });
        const sides = pair(network, clock);
        for (let n = 0; n < Math.max(a.length, b.length); n++) {
          for (const [act, { session }] of [
            [a[n], sides[0]],
            [b[n], sides[1]],
          ] as const) {
            if (act) await carryOut(act, session, network, clock);
          }
        }
        for (const { session } of sides) session.start();
        // With one luck for both they would stay in step for ever; real jitter is each one's own.
        for (let n = 0; n < 10; n++) {
          clock.luck = (luck + n * 0.37) % 1;
          await clock.advance(30_000);
          await settle(300);
        }
        agree(sides);
        expect(standing(network)).toBe(1);
        for (const { owner, session } of sides) {
          const ups = owner.told.map((word) => (word === 'established' ? 1 : -1)) as number[];
          expect(ups.every((up, i) => up === (i % 2 === 0 ? 1 : -1))).toBe(true);
          expect(session.status().flaps).toBe((owner.told.length - 1) / 2);
        }
      },
    ),
    { numRuns: 60 },
  );
});

async function carryOut(act: Act, session: Session, network: MemoryNetwork, clock: FakeClock): Promise<void> {
  if (act.do === 'advance') await clock.advance(act.ms);
  if (act.do === 'start') session.start();
  if (act.do === 'reset') session.reset(4);
  if (act.do === 'break') network.wires.at(-1)?.dialled.stream.reset();
  await settle(1);
}

test('one that is killed without a trace is taken back by the other with its paths (4724 5)', async () => {
  const clock = new FakeClock();
  const network = new MemoryNetwork();
  const [a, b] = pair(network, clock);
  a.session.start();
  b.session.start();
  await clock.advance(20_000);
  agree([a, b]);
  // Its host loses power: nobody tells A. Its next life comes up with the R bit.
  const wire = network.wires.find(({ dialled }) => !dialled.stream.destroyed)!;
  for (const { stream } of [wire.dialled, wire.accepted]) stream.other.pause();
  const [, reborn] = pair(network, clock);
  reborn.owner.restart = { restarting: true, forwarding: ['ipv4-unicast'] };
  network.listen('10.0.0.1', (connection) => a.session.accept(connection));
  reborn.session.start();
  await settle(60);
  expect(a.owner.told).toEqual(['established', 'down, retain', 'established']);
  expect(a.owner.terms!.gracefulRestart).toMatchObject({ restarting: true });
  expect(a.session.status().state).toBe('Established');
});

test('two that restart gracefully and start at once do not take each other for restarted', async () => {
  const clock = new FakeClock();
  const network = new MemoryNetwork();
  const [a, b] = pair(network, clock);
  a.session.start();
  b.session.start();
  await settle(60);
  agree([a, b]);
  expect([a.owner.told, b.owner.told]).toEqual([['established'], ['established']]);
  expect(network.wires.length).toBe(2);
});
