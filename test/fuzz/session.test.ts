// The fuzzer over whole sessions: neighbours that come up in order and then say mutated messages, in random pieces, to a
// speaker with tables, timers and other neighbours. Whatever they say, nothing is thrown, nothing hangs, what the
// speaker says about itself stays true, and no session ends but by a NOTIFICATION that fits.
//
// MANX_FUZZ_MESSAGES and MANX_FUZZ_SEED as in codec.test.ts; a message takes longer here, so there is one here for every
// eight there. A failure names the seed of its world.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AddressFamily, PathStatus } from '../../bgp/index.ts';
import { settle } from '../bgp/stage.ts';
import type { RawPeer } from '../support/raw-peer.ts';
import { mayEndIn } from './allowed.ts';
import { type Attribute, attributes, block, bodies, nlri4, update } from './corpus.ts';
import { heldAfterCollection } from './heap.ts';
import { mutate } from './mutate.ts';
import { type Random, seeded } from './random.ts';
import { type Kind, World, kinds } from './world.ts';

const messages = Math.ceil(Number(process.env['MANX_FUZZ_MESSAGES'] ?? 1_000_000) / 8);
const firstSeed = Number(process.env['MANX_FUZZ_SEED'] ?? 1);
const sessionsOfAWorld = 40;
const families: readonly AddressFamily[] = ['ipv4-unicast', 'ipv6-unicast'];

/** How many messages were read, and what became of the sessions. */
interface Tally {
  read: number;
  sessions: number;
  survived: number;
  /** By code: "3/1" → 17. */
  readonly resets: Map<string, number>;
  /** Routes that the outer witness knew, summed over all looks. */
  passedOn: number;
}

const thrown: unknown[] = [];
const onThrown = (error: unknown): void => void thrown.push(error);
beforeAll(() => void process.on('uncaughtExceptionMonitor', onThrown));
afterAll(() => void process.off('uncaughtExceptionMonitor', onThrown));

test(
  `sessions of ${messages} mutated messages: nothing is thrown, nothing hangs, what status says is true`,
  { timeout: 1e9 },
  async () => {
    const tally: Tally = { read: 0, sessions: 0, survived: 0, resets: new Map(), passedOn: 0 };
    // What is made once and stays is made in the first world.
    await inWorld(firstSeed, tally);
    const before = heldAfterCollection();
    for (let seed = firstSeed + 1; tally.read < messages; seed++) await inWorld(seed, tally);
    const after = heldAfterCollection();
    expect(after.heap - before.heap).toBeLessThan(20 << 20);
    expect(after.buffers - before.buffers).toBeLessThan(20 << 20);
    if (messages < 10_000) return;
    // A fuzzer whose sessions all end at once, or never, tests too little; so does one whose routes are all refused.
    expect(tally.survived / tally.sessions).toBeGreaterThan(0.1);
    expect(tally.survived / tally.sessions).toBeLessThan(0.9);
    expect(tally.read / tally.sessions).toBeGreaterThan(8);
    expect(tally.passedOn).toBeGreaterThan(tally.sessions);
    expect([...tally.resets.keys()]).toEqual(
      expect.arrayContaining(['1/1', '1/2', '3/1', '3/2', '3/9', '3/10', '5/3', '7/1']),
    );
  },
);

test(
  'a speaker that has lived through many sessions holds no more than one that has seen a few',
  { timeout: 1e9 },
  async () => {
    const world = await World.create();
    const tally: Tally = { read: 0, sessions: 0, survived: 0, resets: new Map(), passedOn: 0 };
    const held: ReturnType<typeof heldAfterCollection>[] = [];
    const rounds = Math.max(20, Math.ceil(messages / 10_000));
    for (let round = 0; round < rounds; round++) {
      const random = seeded(firstSeed * 1000 + round);
      for (let n = 0; n < 30; n++) await session(world, random, tally);
      await world.leave();
      await world.meetWitnesses();
      held.push(heldAfterCollection());
    }
    await world.stage.speaker.close('shutdown');
    const [first, last] = [held[1]!, held.at(-1)!];
    expect(last.heap - first.heap).toBeLessThan(4 << 20);
    // The cache of attribute bytes fills up to its bound.
    expect(last.buffers - first.buffers).toBeLessThan(12 << 20);
  },
);

/** A world of its own from one seed, to its end. */
async function inWorld(seed: number, tally: Tally): Promise<void> {
  const random = seeded(seed);
  const world = await World.create();
  try {
    for (let n = 0; n < sessionsOfAWorld; n++) await session(world, random, tally);
    await world.leave();
    expect(world.stage.speaker.status().tables).toEqual({
      'ipv4-unicast': { prefixes: 0, paths: 0 },
      'ipv6-unicast': { prefixes: 0, paths: 0 },
    });
    for (const kind of kinds) await soundSession(world, kind);
    await Promise.all([world.stage.speaker.close('shutdown'), world.stage.clock.advance(5000)]);
    expect(world.stage.clock.pending).toBe(0);
    expect(thrown).toEqual([]);
  } catch (error) {
    throw new Error(`MANX_FUZZ_SEED=${seed}, session ${tally.sessions % sessionsOfAWorld}`, { cause: error });
  }
}

/** One neighbour's session, and a look at everything when it has been read. */
async function session(world: World, random: Random, tally: Tally): Promise<void> {
  const kind = random.pick(kinds);
  const raw = await world.up(kind);
  const { name } = kind.wish;
  const received = (): number => total(world.stage.session(name).messages.received);
  const begun = received();
  const notified = world.stage.session(name).messages.received.notification;
  // Now and then more at once than is read in one go.
  const all = Array.from({ length: random.int(100) === 0 ? 3000 : 1 + random.int(60) }, () => message(kind, random));
  writeInPieces(raw, Buffer.concat(all), random);
  await quiet(world, received);
  tally.read += received() - begun;
  tally.sessions++;
  const ended = checkEnd(world, kind, raw, world.stage.session(name).messages.received.notification > notified);
  if (ended === undefined) {
    tally.survived++;
    // Who is still being listened to has been heard, but for a message whose length lied and whose rest is to come.
    if (all.every(isHonest)) expect(received() - begun).toBe(all.length);
  }
  if (ended !== undefined) tally.resets.set(ended, (tally.resets.get(ended) ?? 0) + 1);
  checkStatus(world);
  tally.passedOn += world.outside.known.size;
}

/** A message of any type, mutated or sound; its header is honest but for one in three hundred. */
function message(kind: Kind, random: Random): Buffer {
  const [type, body] = content(kind, random);
  const length = 19 + body.length;
  const bytes = Buffer.concat([Buffer.alloc(16, 0xff), Buffer.from([length >> 8, length & 255, type]), body]);
  if (random.int(300) === 0) bytes[random.int(19)] = random.int(256);
  return bytes;
}

function isHonest(bytes: Buffer): boolean {
  return bytes.readUInt16BE(16) === bytes.length;
}

function content(kind: Kind, random: Random): readonly [type: number, body: Uint8Array] {
  const roll = random.int(200);
  // Most mutations of a whole UPDATE end the session, as they have to; those of a value do not.
  if (roll < 165) return [2, withOddValue(kind, random)];
  if (roll < 180) return [2, random.pick(bodies[2]!)];
  if (roll < 184) return [2, mutate(random.pick(bodies[2]!), random)];
  if (roll < 193) return [4, bodies[4]![0]!];
  if (roll < 196) return [5, random.pick(bodies[5]!)];
  if (roll < 197) return [5, mutate(random.pick(bodies[5]!), random)];
  if (roll < 198) return [4, mutate(bodies[4]![0]!, random)];
  const type = random.pick([1, 3]);
  return [type, mutate(random.pick(bodies[type]!), random)];
}

/** An UPDATE, mostly one that announces, one of its attributes with a mutated value, some of them missing. */
function withOddValue({ wish }: Kind, random: Random): Uint8Array {
  const changed = random.int(attributes.length * 2);
  const all = attributes
    .filter(({ code }) => code <= 3 || random.int(3) === 0)
    .map((each): Attribute => {
      if (each !== attributes[changed]) return each;
      return { ...each, value: mutate(each.value, random).slice(0, (each.flags & 0x10) === 0 ? 255 : 3000) };
    });
  const id = wish.name === 'add-path' ? [0, 0, 0, random.int(3)] : [];
  const prefix = Uint8Array.of(...id, 24, 10, random.int(4), random.int(40));
  // RFC 7606 §5.2 is about those that announce nothing.
  if (random.int(60) === 0) return update(prefix, block(all), new Uint8Array(0));
  const withdrawn = random.int(3) === 0 ? prefix : new Uint8Array(0);
  return update(withdrawn, block(all), random.int(4) === 0 && id.length === 0 ? nlri4 : prefix);
}

function writeInPieces(raw: RawPeer, stream: Buffer, random: Random): void {
  for (let at = 0; at < stream.length;) {
    const end = Math.min(stream.length, at + 1 + random.int(random.int(3) === 0 ? 20 : 2000));
    raw.write(stream.subarray(at, end));
    at = end;
  }
}

/** Waits until nothing moves any more. @throws when it never comes to rest. */
async function quiet(world: World, received: () => number): Promise<void> {
  const state = (): string => `${received()} ${world.outside.heard.length} ${world.inside.heard.length}`;
  let before = '';
  for (let turns = 0; before !== state(); turns++) {
    if (turns > 5000) throw new Error(`no rest: ${state()}`);
    before = state();
    // A speaker that gets little time does little in a turn, and not all that it does is heard.
    await settle(100);
  }
}

/** @returns the words that the session ended with, "none" without any; undefined when it goes on. */
function checkEnd({ stage }: World, { wish }: Kind, raw: RawPeer, notified: boolean): string | undefined {
  const { state, errors } = stage.session(wish.name);
  const notifications = raw.heard.filter(({ type }) => type === 'notification');
  expect(notifications.length).toBeLessThanOrEqual(1);
  const [last] = notifications;
  expect(state === 'Established').toBe(!raw.ended);
  if (!raw.ended) {
    expect(last).toBeUndefined();
    return undefined;
  }
  if (last === undefined) {
    expect(notified).toBe(true);
    return 'none';
  }
  expect(raw.heard.at(-1)).toBe(last);
  const words = `${last.body[0]}/${last.body[1]}`;
  const [error] = errors.filter(
    ({ direction, code, subcode }) => direction === 'sent' && `${code}/${subcode}` === words,
  );
  expect(error, `${words} is told to the operator`).toBeDefined();
  // The framer has found no message, or a message that has no place here.
  if (words.startsWith('1/') || words === '5/3') return words;
  const offending = Buffer.from(error!.message!, 'hex');
  const type = (['open', 'update', 'notification', 'keepalive', 'routeRefresh'] as const)[offending[18]! - 1]!;
  expect(mayEndIn(words, type, offending.subarray(19)), `${words} for ${error!.message}`).toBe(true);
  return words;
}

/** What status() counts is what routes() lists, and what the witnesses were told is what is counted as advertised. */
function checkStatus({ stage, outside, inside }: World): void {
  const { peers, tables } = stage.speaker.status();
  for (const family of families) {
    const routes = [...stage.speaker.routes({ family })];
    const paths = routes.flatMap((route) => route.paths);
    expect(tables[family].paths).toBe(paths.length);
    expect(tables[family].prefixes).toBe(routes.filter((route) => route.paths[0]!.state === 'best').length);
    for (const { name, families: counted } of peers) {
      const counters = counted.find((each) => each.family === family);
      const own = paths.filter(({ peer }) => peer === name);
      const count = (test: (path: PathStatus) => boolean): number => own.filter(test).length;
      expect([name, counters?.received ?? 0, counters?.accepted ?? 0, counters?.stale ?? 0]).toEqual([
        ...[name, own.length, count(({ state }) => state !== 'rejected'), count(({ stale }) => stale)],
      ]);
    }
  }
  for (const [name, player] of Object.entries({ outside, witness: inside })) {
    const { families: counted } = peers.find((peer) => peer.name === name)!;
    expect([name, player.known.size]).toEqual([name, counted.reduce((sum, { advertised }) => sum + advertised, 0)]);
    expect([name, player.redundant]).toEqual([name, []]);
  }
}

/** A session without any fault, with a route that comes and goes. */
async function soundSession(world: World, kind: Kind): Promise<void> {
  const raw = await world.up(kind);
  const asn = kind.wish.asn;
  const bytes = Buffer.from(soundUpdate(asn, kind.wish.name), 'hex');
  raw.write(bytes);
  await settle(40);
  const [route] = [...world.stage.speaker.best()];
  expect([kind.wish.name, route?.prefix, route?.paths[0]?.peer]).toEqual([
    kind.wish.name,
    '192.0.2.0/24',
    kind.wish.name,
  ]);
  await world.leave();
  expect([...world.stage.speaker.best()]).toEqual([]);
}

/** 192.0.2.0/24 as this neighbour announces it. */
function soundUpdate(asn: number, name: string): string {
  const octets = name === 'two-octet' ? 4 : 8;
  const asPath =
    name === 'inside' ? '400200' : `4002${octets === 4 ? '04' : '06'}0201${asn.toString(16).padStart(octets, '0')}`;
  const set = `40010100${asPath}4003040a0000fe`;
  const nlri = `${name === 'add-path' ? '00000001' : ''}18c00002`;
  const body = `0000${(set.length / 2).toString(16).padStart(4, '0')}${set}${nlri}`;
  return `${'ff'.repeat(16)}${(19 + body.length / 2).toString(16).padStart(4, '0')}02${body}`;
}

function total(counters: Readonly<Record<string, number>>): number {
  return Object.values(counters).reduce((sum, each) => sum + each, 0);
}
