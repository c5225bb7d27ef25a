// A mutating fuzzer over every decoder: whatever arrives, a decoder returns or says which NOTIFICATION is due; and no
// session ends over what RFC 7606 wants treated more mildly.
//
// MANX_FUZZ_MESSAGES and MANX_FUZZ_SEED set how many and which; a failure names the seed that shows it again.
import { expect, test } from 'vitest';
import {
  type Frame,
  Framer,
  NotificationError,
  decodeAttributes,
  decodeNotification,
  decodeOpen,
  decodeRouteRefresh,
  decodeUpdate,
  encodeAttributes,
} from '../../bgp/codec/index.ts';
import type { AddressFamily, Terms } from '../../bgp/message.ts';
import { mayEndIn } from './allowed.ts';
import { type Attribute, attributes, block, bodies, nlri4, update } from './corpus.ts';
import { heldAfterCollection } from './heap.ts';
import { mutate } from './mutate.ts';
import { type Random, seeded } from './random.ts';

const messages = Number(process.env['MANX_FUZZ_MESSAGES'] ?? 1_000_000);
const firstSeed = Number(process.env['MANX_FUZZ_SEED'] ?? 1);
const batch = 10_000;

const both: readonly AddressFamily[] = ['ipv4-unicast', 'ipv6-unicast'];
const terms: readonly Terms[] = [true, false].flatMap((internal) =>
  [true, false].flatMap((fourOctetAs) =>
    [both, []].map((addPathReceive): Terms => ({
      localAsn: 65_001,
      peerAsn: internal ? 65_001 : 65_002,
      internal,
      localRouterId: 1,
      peerRouterId: 2,
      holdSeconds: 90,
      keepaliveSeconds: 30,
      families: both,
      fourOctetAs,
      receiveLimit: 4096,
      sendLimit: 4096,
      addPathReceive,
      addPathSend: [],
      extendedNextHop: internal ? ['ipv4-unicast'] : [],
      routeRefresh: true,
      enhancedRouteRefresh: true,
      notificationRestart: true,
      longLived: new Map(),
    })),
  ),
);

test(
  `${messages} mutated messages: no decoder fails but by a NOTIFICATION that fits (RFC 4271 §6, RFC 7606)`,
  { timeout: 1e9 },
  () => {
    const before = heldAfterCollection();
    let slowest = { ms: 0, seed: 0 };
    let good = 0;
    for (let seed = firstSeed, done = 0; done < messages; seed++, done += batch) {
      const begin = performance.now();
      good += fuzzBatch(seed, Math.min(batch, messages - done));
      const ms = performance.now() - begin;
      if (ms > slowest.ms) slowest = { ms, seed };
    }
    // Nothing hangs: a batch takes about a tenth of a second; the bound only tells a hang from a busy machine.
    expect(slowest.ms, `seed ${slowest.seed}`).toBeLessThan(60_000);
    expect(heldAfterCollection().heap - before.heap).toBeLessThan(20 << 20);
    // A fuzzer whose messages are all thrown away at the door tests the door alone.
    expect(good).toBeGreaterThan(messages / 20);
  },
);

/** How many of the messages were taken. */
function fuzzBatch(seed: number, count: number): number {
  const random = seeded(seed);
  let good = 0;
  for (let i = 0; i < count; i++) {
    const type = random.pick([1, 2, 2, 2, 2, 2, 2, 3, 4, 5]);
    const body = mutate(random.pick(bodies[type]!), random);
    const setting = random.pick(terms);
    try {
      for (const frame of framesOf(type, body, random)) if (take(frame, setting)) good++;
    } catch (error) {
      throw new Error(`seed ${seed}, message ${i}, type ${type}: ${Buffer.from(body).toString('hex')}`, {
        cause: error,
      });
    }
  }
  return good;
}

/** The message through the framer in random chunks; its header is honest but for one in sixty-four. */
function framesOf(type: number, body: Uint8Array, random: Random): Frame[] {
  const length = 19 + body.length;
  const message = Buffer.concat([Buffer.alloc(16, 0xff), Buffer.from([length >> 8, length & 255, type]), body]);
  if (random.int(64) === 0) message[random.int(19)] = random.int(256);
  const framer = new Framer();
  const frames: Frame[] = [];
  for (let at = 0; at < message.length;) {
    const end = random.int(4) === 0 ? Math.min(message.length, at + 1 + random.int(30)) : message.length;
    try {
      framer.push(message.subarray(at, end));
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) frames.push(frame);
    } catch (error) {
      if (!(error instanceof NotificationError) || error.code !== 1) throw error;
      return frames;
    }
    at = end;
  }
  return frames;
}

/** Decodes as a session would; true when the message was taken. */
function take(frame: Frame, setting: Terms): boolean {
  try {
    decode(frame, setting);
    return true;
  } catch (error) {
    if (!(error instanceof NotificationError)) throw error;
    if (!mayEndIn(`${error.code}/${error.subcode}`, frame.type, frame.body)) throw error;
    return false;
  }
}

function decode({ type, body }: Frame, setting: Terms): void {
  switch (type) {
    case 'open':
      decodeOpen(body);
      return;
    case 'update':
      decodeWhole(body, setting);
      return;
    case 'notification':
      decodeNotification(body);
      return;
    case 'routeRefresh':
      decodeRouteRefresh(body);
      return;
    case 'keepalive':
      return;
  }
}

/** What is taken can be sent on: encoding never fails on what decoding let through. */
function decodeWhole(body: Uint8Array, setting: Terms): void {
  const decoded = decodeUpdate(body, setting);
  for (const field of decoded.announced) {
    const { attributes: found } = decodeAttributes(decoded.attributes, field.nextHop, setting);
    if (found) encodeAttributes(found, { fourOctetAs: true, internal: true });
    if (found) encodeAttributes(found, { fourOctetAs: false, internal: false });
  }
}

test('no value of an attribute that carries no routes ends a session (RFC 7606 §3)', { timeout: 1e9 }, () => {
  for (let seed = firstSeed; seed < firstSeed + Math.max(20, messages / batch / 2); seed++) {
    const random = seeded(seed);
    for (let i = 0; i < 1000; i++) {
      const changed = random.int(attributes.length);
      const all = attributes.map((each, index): Attribute => {
        if (index !== changed) return each;
        const value = mutate(each.value, random).slice(0, (each.flags & 0x10) === 0 ? 255 : 3000);
        return { ...each, value };
      });
      const body = update(new Uint8Array(0), block(all), nlri4);
      const setting = { ...random.pick(terms), addPathReceive: [] };
      try {
        decodeWhole(body, setting);
      } catch (error) {
        throw new Error(`seed ${seed}, message ${i}: ${Buffer.from(body).toString('hex')}`, { cause: error });
      }
    }
  }
});
