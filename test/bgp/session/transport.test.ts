// Real TCP in the test's own network namespace: addresses of 127/8 and a veth pair stand for neighbours.
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Address, parseAddress, parsePrefix } from '#ip';
import {
  type Listener,
  Session,
  TransportError,
  createDialer,
  listen,
  systemClock,
} from '../../../bgp/session/index.ts';
import type { Connection, DialTarget } from '../../../bgp/session/port.ts';
import { run } from '../../lab/host.ts';
import { until } from '../../lab/until.ts';
import { Owner, aWish } from './harness.ts';

vi.setConfig({ testTimeout: 20_000 });

const here = parseAddress('127.0.0.1');
const peer = parseAddress('127.0.0.2');
const here6 = parseAddress('fd00:5e55::1');
const peer6 = parseAddress('fd00:5e55::2');

beforeAll(async () => {
  for (const address of [here6, peer6]) await run('ip', ['addr', 'add', `${address}/128`, 'dev', 'lo', 'nodad']);
  await run('ip', ['link', 'add', 'sess0', 'type', 'veth', 'peer', 'name', 'sess1']);
  for (const link of ['sess0', 'sess1']) {
    await run('ip', ['link', 'set', link, 'addrgenmode', 'none']);
    await run('ip', ['link', 'set', link, 'up']);
  }
  await run('ip', ['addr', 'add', 'fe80::5e55/64', 'dev', 'sess0', 'nodad']);
});

afterAll(async () => {
  for (const address of [here6, peer6]) await run('ip', ['addr', 'del', `${address}/128`, 'dev', 'lo']);
  await run('ip', ['link', 'del', 'sess0']);
});

/** A listener that keeps what comes in. */
async function host(
  address: Address,
  options: Parameters<typeof listen>[2] = {},
): Promise<{ listener: Listener; came: Connection[] } & AsyncDisposable> {
  const came: Connection[] = [];
  const listener = await listen({ address, port: 0 }, (connection) => came.push(connection), options);
  const dispose = async (): Promise<void> => {
    for (const connection of came) connection.destroy();
    await listener.close();
  };
  return { listener, came, [Symbol.asyncDispose]: dispose };
}

/** Dials for as long as it takes; "no answer" after `ms`. */
async function dial(to: DialTarget, ms = 15_000): Promise<Connection> {
  return createDialer().dial(to, AbortSignal.timeout(ms));
}

/** Whether the target answers within a time in which an unsigned or far connection would have been answered twice. */
async function answers(to: DialTarget): Promise<boolean> {
  try {
    (await dial(to, 400)).destroy();
    return true;
  } catch (error) {
    if (error instanceof TransportError && error.code === 'aborted') return false;
    throw error;
  }
}

/** Sends a line from one end to the other; resolves once it has arrived. */
async function passes(from: Connection, to: Connection, line: string): Promise<void> {
  const arrived = once(to.stream, 'data') as Promise<[Buffer]>;
  from.stream.write(line);
  expect((await arrived)[0].toString()).toBe(line);
}

describe('dialling and listening', () => {
  test.each([
    ['IPv4', here, peer],
    ['IPv6', here6, peer6],
  ])('both ends know both addresses (%s)', async (_, to, from) => {
    await using target = await host(to);
    const mine = await dial({ address: to, port: target.listener.port, localAddress: from });
    const theirs = await until('it came in', () => target.came[0]);
    expect(mine).toMatchObject({
      openedBy: 'us',
      remote: { address: to, port: target.listener.port },
      local: { address: from },
    });
    expect(theirs).toMatchObject({ openedBy: 'peer', remote: mine.local, local: mine.remote });
    await passes(mine, theirs, 'hello');
    mine.destroy();
  });

  test('a link-local neighbour is known with its interface', async () => {
    const address = parseAddress('fe80::5e55');
    await using target = await host(address, { interface: 'sess0' });
    const mine = await dial({ address, port: target.listener.port, interface: 'sess0', localAddress: address });
    const theirs = await until('it came in', () => target.came[0]);
    expect([mine.remote.address, mine.interface, theirs.interface]).toEqual([address, 'sess0', 'sess0']);
    mine.destroy();
  });

  test('IPv4 and IPv6 listeners share a port number', async () => {
    await using four = await host(parseAddress('0.0.0.0'));
    const six = await listen({ address: parseAddress('::'), port: four.listener.port }, () => undefined);
    expect(six.port).toBe(four.listener.port);
    await six.close();
  });

  test('a closed listener frees its port at once, also with connections that stand', async () => {
    const first = await host(here);
    const mine = await dial({ address: here, port: first.listener.port });
    await first.listener.close();
    const second = await listen({ address: here, port: first.listener.port }, () => undefined);
    await second.close();
    mine.destroy();
    await first[Symbol.asyncDispose]();
  });

  test('packets are marked as network control', async () => {
    await using target = await host(here);
    const mine = await dial({ address: here, port: target.listener.port });
    expect((mine.stream as { getTypeOfService?(): number }).getTypeOfService?.()).toBe(0xc0);
    mine.destroy();
  });
});

describe('errors say who must act', () => {
  const failing = async (to: Partial<DialTarget>): Promise<TransportError> =>
    dial({ address: here, port: 1, ...to }).then(
      () => Promise.reject(new Error('it connected')),
      (error: TransportError) => error,
    );

  test('nothing listens', async () => {
    expect(await failing({})).toMatchObject({
      code: 'refused',
      message: 'connection refused (nothing listens on 127.0.0.1:1)',
    });
  });

  test('no route', async () => {
    expect(await failing({ address: parseAddress('203.0.113.9') })).toMatchObject({
      code: 'unreachable',
      message: 'network unreachable (this host has no route to 203.0.113.9:1)',
    });
  });

  test('a local address that is none', async () => {
    expect(await failing({ localAddress: parseAddress('192.0.2.1') })).toMatchObject({
      code: 'localAddress',
      message: '192.0.2.1 is no address of this host',
    });
  });

  test('an interface that is not there', async () => {
    expect((await failing({ interface: 'nowhere0' })).message).toContain('cannot bind to interface nowhere0');
  });

  test('a port that is taken', async () => {
    await using target = await host(here);
    const { port } = target.listener;
    await expect(listen({ address: here, port }, () => undefined)).rejects.toMatchObject({
      code: 'addressInUse',
      message: `127.0.0.1:${port} is in use: another BGP daemon listens on this host`,
    });
  });
});

describe('TCP MD5 (RFC 2385)', () => {
  describe.each([
    ['IPv4', here, peer, '127.0.0.0/8'],
    ['IPv6', here6, peer6, 'fd00:5e55::/64'],
  ])('%s', (_, to, from, network) => {
    test('the right password gets through, a wrong one and none do not', async () => {
      await using target = await host(to);
      target.listener.setPassword(from, 'right');
      const place = { address: to, port: target.listener.port, localAddress: from };
      const results = await Promise.all([
        answers({ ...place, password: 'right' }),
        answers({ ...place, password: 'wrong' }),
        answers(place),
      ]);
      expect(results).toEqual([true, false, false]);
    });

    test('who has a password gets no session with a listener without one', async () => {
      await using target = await host(to);
      expect(await answers({ address: to, port: target.listener.port, localAddress: from, password: 'secret' })).toBe(
        false,
      );
    });

    test('a key for a prefix holds for all of it', async () => {
      await using target = await host(to);
      target.listener.setPassword(parsePrefix(network), 'fabric');
      const place = { address: to, port: target.listener.port, localAddress: from };
      expect([await answers({ ...place, password: 'fabric' }), await answers(place)]).toEqual([true, false]);
      expect(target.came.every(({ protection }) => protection?.password === 'fabric')).toBe(true);
    });
  });

  test('keys of other neighbours do not matter', async () => {
    await using target = await host(here);
    target.listener.setPassword(parseAddress('127.0.0.3'), 'theirs');
    expect(await answers({ address: here, port: target.listener.port, localAddress: peer })).toBe(true);
    expect(target.came[0]!.protection).toEqual({});
  });

  test('keys change and go on a live listener', async () => {
    await using target = await host(here);
    const place = { address: here, port: target.listener.port, localAddress: peer };
    target.listener.setPassword(peer, 'one');
    target.listener.setPassword(peer, 'two');
    expect([await answers({ ...place, password: 'one' }), await answers({ ...place, password: 'two' })]).toEqual([
      false,
      true,
    ]);
    target.listener.setPassword(peer, undefined);
    target.listener.setPassword(peer, undefined);
    expect(await answers(place)).toBe(true);
  });

  test('a password changes under a connection that stands', async () => {
    await using target = await host(here);
    target.listener.setPassword(peer, 'one');
    const mine = await dial({ address: here, port: target.listener.port, localAddress: peer, password: 'one' });
    const theirs = await until('it came in', () => target.came[0]);
    await passes(mine, theirs, 'before');
    mine.protect!({ password: 'two' });
    // One side has the new key alone: nothing passes, until the other one follows and TCP sends again.
    const late = passes(mine, theirs, 'after');
    theirs.protect!({ password: 'two' });
    await late;
    await passes(theirs, mine, 'and back');
    expect(mine.protection).toEqual({ password: 'two' });
    mine.destroy();
  });
});

describe('hop limits (RFC 5082)', () => {
  describe.each([
    ['IPv4', here, peer],
    ['IPv6', here6, peer6],
  ])('%s', (_, to, from) => {
    test('neighbours that both ask for it reach each other', async () => {
      await using target = await host(to);
      target.listener.setTtlSecurity(from, 1);
      const mine = await dial({ address: to, port: target.listener.port, localAddress: from, ttlSecurityHops: 1 });
      const theirs = await until('it came in', () => target.came[0]);
      expect(theirs.protection).toEqual({ ttlSecurityHops: 1 });
      await passes(mine, theirs, 'near');
      await passes(theirs, mine, 'near too');
      mine.destroy();
    });

    test('who seems far away is not heard: here by the dialling side', async () => {
      await using target = await host(to);
      const place = { address: to, port: target.listener.port, localAddress: from };
      expect([await answers(place), await answers({ ...place, ttlSecurityHops: 1 })]).toEqual([true, false]);
    });

    test('and here by the accepting side', async () => {
      await using target = await host(to);
      target.listener.setTtlSecurity(from, 1);
      const mine = await dial({ address: to, port: target.listener.port, localAddress: from });
      const theirs = await until('it came in', () => target.came[0]);
      let heard = '';
      theirs.stream.on('data', (bytes: Buffer) => (heard += bytes.toString()));
      mine.stream.write('from afar');
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(heard).toBe('');
      // The same bytes arrive as soon as nobody counts hops any more: it was the limit that held them back.
      theirs.protect!({});
      await until('TCP has sent it again', () => heard === 'from afar');
      mine.destroy();
    });
  });
});

describe('without socket options', () => {
  const none = { sockOpts: () => undefined };
  const place = { address: here, port: 179 };

  test.each<[string, Partial<DialTarget>, RegExp]>([
    ['a password', { password: 'secret' }, /^the password cannot be had: .*node:ffi/],
    ['TTL security', { ttlSecurityHops: 1 }, /^TTL security cannot be had: .*node:ffi/],
  ])('%s is said to be lacking, and no connection is opened without it', async (_, wish, words) => {
    const dialer = createDialer(none);
    expect(dialer.lacks!({ ...place, ...wish })).toMatch(words);
    await using target = await host(here);
    await expect(
      dialer.dial({ ...place, ...wish, port: target.listener.port }, AbortSignal.timeout(5000)),
    ).rejects.toMatchObject({ code: 'unsupported' });
    expect(target.came).toEqual([]);
  });

  test('everything else works', async () => {
    await using target = await host(here, none);
    expect(createDialer(none).lacks!(place)).toBeUndefined();
    (await createDialer(none).dial({ ...place, port: target.listener.port }, AbortSignal.timeout(5000))).destroy();
  });

  test('a listener takes no key', async () => {
    await using target = await host(here, none);
    expect(() => target.listener.setPassword(peer, 'secret')).toThrow(TransportError);
    expect(() => target.listener.setTtlSecurity(peer, 1)).toThrow(TransportError);
  });

  test('passwords that no kernel takes are refused with the reason', () => {
    expect(createDialer().lacks!({ ...place, password: '' })).toBe('the password is empty');
    expect(createDialer().lacks!({ ...place, password: 'ü'.repeat(41) })).toBe(
      'the password has 82 octets, TCP MD5 takes 80',
    );
    expect(createDialer().lacks!({ ...place, password: 'x'.repeat(80) })).toBeUndefined();
  });
});

describe('two sessions over real TCP', () => {
  const ends = async (wish: Parameters<typeof aWish>[0], theirWish = wish) => {
    const ports = { clock: systemClock(), dialer: createDialer() };
    const [ours, theirs] = [new Owner(), new Owner()];
    const incoming = await listen({ address: here, port: 0 }, (connection) => a.accept(connection));
    const accepting = await listen({ address: peer, port: 0 }, (connection) => b.accept(connection));
    const toB = { address: peer, localAddress: here, port: accepting.port, connectRetrySeconds: 1, ...wish };
    const toA = { address: here, localAddress: peer, port: incoming.port, connectRetrySeconds: 1, ...theirWish };
    const routerId = parseAddress;
    const a = new Session(aWish({ asn: 65_001, ...toB }), { asn: 64_512, routerId: routerId('1.1.1.1') }, ours, ports);
    const b = new Session(
      aWish({ asn: 64_512, ...toA }),
      { asn: 65_001, routerId: routerId('2.2.2.2') },
      theirs,
      ports,
    );
    const dispose = async (): Promise<void> => {
      await Promise.all([a.close('deconfigured'), b.close('deconfigured'), incoming.close(), accepting.close()]);
    };
    return { a, b, ours, theirs, incoming, accepting, [Symbol.asyncDispose]: dispose };
  };
  const up = (...sessions: Session[]): Promise<unknown> =>
    until('Established', () => sessions.every((session) => session.status().state === 'Established'));

  test('both dial at once, and one connection stays', async () => {
    await using both = await ends({});
    both.a.start();
    both.b.start();
    await up(both.a, both.b);
    const [a, b] = [both.a.status(), both.b.status()];
    expect([a.local, a.flaps, b.flaps]).toEqual([expect.objectContaining({ port: b.remote!.port }), 0, 0]);
  });

  test('passwords on both sides', async () => {
    await using both = await ends({ password: 'secret' });
    both.incoming.setPassword(peer, 'secret');
    both.accepting.setPassword(here, 'secret');
    both.a.start();
    both.b.start();
    await up(both.a, both.b);
    // And a new one, first on one side, then on the other, under the running session.
    const { asn, localAddress, port } = { asn: 65_001, localAddress: here, port: both.accepting.port };
    both.incoming.setPassword(peer, 'rotated');
    both.accepting.setPassword(here, 'rotated');
    const next = { connectRetrySeconds: 1, password: 'rotated' };
    both.a.apply(aWish({ ...next, address: peer, asn, localAddress, port }), {
      asn: 64_512,
      routerId: parseAddress('1.1.1.1'),
    });
    both.b.apply(aWish({ ...next, address: here, asn: 64_512, localAddress: peer, port: both.incoming.port }), {
      asn: 65_001,
      routerId: parseAddress('2.2.2.2'),
    });
    const update = new Uint8Array(23).fill(255, 0, 16);
    update.set([0, 23, 2], 16);
    both.a.send(update);
    await until('an UPDATE passes under the new password', () => both.theirs.updates.length === 1);
    expect([both.ours.told, both.theirs.told]).toEqual([['established'], ['established']]);
  });

  test('different passwords make no session, and the reason names them', async () => {
    await using both = await ends({ password: 'one' }, { password: 'two' });
    both.incoming.setPassword(peer, 'one');
    both.accepting.setPassword(here, 'two');
    both.a.start();
    both.b.start();
    await until('a time-out', () => both.a.status().errors.length > 0);
    expect(both.a.status().errors[0]!.text).toContain('a wrong or missing password on either side looks the same');
    expect([both.ours.told, both.theirs.told]).toEqual([[], []]);
  });

  test('hop limits on both sides', async () => {
    await using both = await ends({ ttlSecurityHops: 1 });
    both.incoming.setTtlSecurity(peer, 1);
    both.accepting.setTtlSecurity(here, 1);
    both.a.start();
    both.b.start();
    await up(both.a, both.b);
  });

  test('last words arrive, whatever lies unread', async () => {
    await using both = await ends({ passive: false }, { passive: true });
    both.b.start();
    both.a.start();
    await up(both.a, both.b);
    both.a.reset(4, 'for a test');
    await until('it is heard', () => both.b.status().errors.length > 0);
    expect(both.b.status().errors[0]!.text).toBe('administrative reset (6/4): "for a test", received');
    await up(both.a, both.b);
  });

  test('forty thousand UPDATEs, a slow reader, and the hold timer of 3 s runs through it all', async () => {
    await using both = await ends({ holdSeconds: 3 });
    both.a.start();
    both.b.start();
    await up(both.a, both.b);
    const body = new Uint8Array(81).fill(255, 0, 16);
    body.set([0, 81, 2], 16);
    const bunch = Buffer.concat(Array.from({ length: 100 }, () => body));
    let sent = 0;
    const drain = { more: (): void => {} };
    both.ours.drained = () => drain.more();
    drain.more = () => {
      while (sent < 40_000) {
        sent += 100;
        if (!both.a.send(bunch)) return;
      }
    };
    // About four seconds of work at the reader, spread over its UPDATEs.
    both.theirs.onUpdate = () => {
      both.theirs.updates.length = 0;
      const end = performance.now() + 0.1;
      while (performance.now() < end);
    };
    drain.more();
    await until('all is read', () => both.b.status().messages.received.update === 40_000, 30_000);
    expect([both.ours.told, both.theirs.told]).toEqual([['established'], ['established']]);
  }, 40_000);
});

test('what was accepted and never taken does not end the process', async () => {
  await using target = await host(here);
  const mine = await dial({ address: here, port: target.listener.port });
  await until('it came in', () => target.came.length > 0);
  const theirs = target.came[0]!;
  (mine.stream as unknown as { resetAndDestroy(): void }).resetAndDestroy();
  theirs.stream.resume();
  await expect(text(theirs.stream)).rejects.toThrow();
});
