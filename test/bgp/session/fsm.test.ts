import { describe, expect, test } from 'vitest';
import { cease, ceaseCodes, hardReset } from '../../../bgp/session/cease.ts';
import {
  type Effect,
  type Event,
  type FsmConfig,
  type State,
  type StateName,
  type Step,
  backOffMaxSeconds,
  step,
} from '../../../bgp/session/fsm.ts';
import { restartable, someTerms } from './terms.ts';

const config: FsmConfig = { passive: false, connectRetrySeconds: 5, prefixLimitIdleSeconds: 0 };
const passive: FsmConfig = { ...config, passive: true };
const terms = someTerms();
const say = { code: 2, subcode: 2, data: new Uint8Array() };
const shutdown = cease(ceaseCodes.shutdown, 'bye');

const states = {
  idle: { name: 'idle', failures: 0 },
  connect: { name: 'connect', failures: 0 },
  active: { name: 'active', failures: 0 },
  openSent: { name: 'openSent', failures: 0 },
  openConfirm: { name: 'openConfirm', failures: 0, terms },
  established: { name: 'established', failures: 0, terms },
} satisfies Record<StateName, State>;

const events = {
  start: { on: 'start' },
  stop: { on: 'stop', say: shutdown },
  'stop, silently': { on: 'stop' },
  reset: { on: 'reset', say: cease(ceaseCodes.reset) },
  rested: { on: 'rested' },
  'connectRetry expires': { on: 'timer', name: 'connectRetry' },
  'hold expires': { on: 'timer', name: 'hold' },
  'keepalive expires': { on: 'timer', name: 'keepalive' },
  'sendHold expires': { on: 'timer', name: 'sendHold' },
  connected: { on: 'connected' },
  accepted: { on: 'accepted' },
  failed: { on: 'failed' },
  OPEN: { on: 'open', terms },
  'bad OPEN': { on: 'openFault', say },
  'bad header': { on: 'headerFault', say: { ...say, code: 1 } },
  'bad UPDATE': { on: 'updateFault', say: { ...say, code: 3 } },
  NOTIFICATION: { on: 'notification', heard: { code: 6, subcode: 4, data: new Uint8Array() } },
  KEEPALIVE: { on: 'keepalive' },
  UPDATE: { on: 'update' },
  'ROUTE-REFRESH': { on: 'routeRefresh' },
  'collision lost': { on: 'dump' },
  'peer restarted': { on: 'replaced' },
} satisfies Record<string, Event>;

/** Every state × event, as the state after it and the effects in short. This is the machine, to be read as a table. */
const table: Record<StateName, Record<keyof typeof events, string>> = {
  idle: {
    start: 'connect: dial, connectRetry 5',
    stop: 'idle: close',
    'stop, silently': 'idle: close',
    reset: 'connect: close, dial, connectRetry 5',
    rested: 'active: connectRetry 5',
    'connectRetry expires': 'idle',
    'hold expires': 'idle',
    'keepalive expires': 'idle',
    'sendHold expires': 'idle',
    connected: 'idle',
    accepted: 'idle: refuse',
    failed: 'idle',
    OPEN: 'idle',
    'bad OPEN': 'idle',
    'bad header': 'idle',
    'bad UPDATE': 'idle',
    NOTIFICATION: 'idle',
    KEEPALIVE: 'idle',
    UPDATE: 'idle',
    'ROUTE-REFRESH': 'idle',
    'collision lost': 'idle',
    'peer restarted': 'idle',
  },
  connect: {
    start: 'connect',
    stop: 'idle: close',
    'stop, silently': 'idle: close',
    reset: 'connect: close, dial, connectRetry 5',
    rested: 'connect',
    'connectRetry expires': 'connect: close, dial, connectRetry 5',
    'hold expires': 'connect',
    'keepalive expires': 'connect',
    'sendHold expires': 'connect',
    connected: 'openSent: connectRetry 0, send open, hold 240',
    accepted: 'connect: twin',
    failed: 'active: close, connectRetry 5',
    OPEN: 'idle: close, rest 0',
    'bad OPEN': 'idle: close, rest 0',
    'bad header': 'idle: close, rest 0',
    'bad UPDATE': 'idle: close, rest 0',
    NOTIFICATION: 'idle: close, rest 0',
    KEEPALIVE: 'idle: close, rest 0',
    UPDATE: 'idle: close, rest 0',
    'ROUTE-REFRESH': 'idle: close, rest 0',
    'collision lost': 'idle: close, rest 0',
    'peer restarted': 'idle: close, rest 0',
  },
  active: {
    start: 'active',
    stop: 'idle: close',
    'stop, silently': 'idle: close',
    reset: 'connect: close, dial, connectRetry 5',
    rested: 'active',
    'connectRetry expires': 'connect: dial, connectRetry 5',
    'hold expires': 'active',
    'keepalive expires': 'active',
    'sendHold expires': 'active',
    connected: 'openSent: connectRetry 0, send open, hold 240',
    accepted: 'openSent: take, connectRetry 0, send open, hold 240',
    failed: 'idle: close, rest 0',
    OPEN: 'idle: close, rest 0',
    'bad OPEN': 'idle: close, rest 0',
    'bad header': 'idle: close, rest 0',
    'bad UPDATE': 'idle: close, rest 0',
    NOTIFICATION: 'idle: close, rest 0',
    KEEPALIVE: 'idle: close, rest 0',
    UPDATE: 'idle: close, rest 0',
    'ROUTE-REFRESH': 'idle: close, rest 0',
    'collision lost': 'idle: close, rest 0',
    'peer restarted': 'idle: close, rest 0',
  },
  openSent: {
    start: 'openSent',
    stop: 'idle: close 6/2',
    'stop, silently': 'idle: close',
    reset: 'connect: close 6/4, dial, connectRetry 5',
    rested: 'openSent',
    'connectRetry expires': 'openSent',
    'hold expires': 'idle: close 4/0, rest 0',
    'keepalive expires': 'openSent',
    'sendHold expires': 'openSent',
    connected: 'openSent',
    accepted: 'openSent: twin',
    failed: 'active: close, connectRetry 5',
    OPEN: 'openConfirm: send keepalive, hold 90, keepalive 30',
    'bad OPEN': 'idle: close 2/2, rest 5',
    'bad header': 'idle: close 1/2, rest 5',
    'bad UPDATE': 'idle: close 5/1, rest 5',
    NOTIFICATION: 'idle: close, rest 0',
    KEEPALIVE: 'idle: close 5/1, rest 5',
    UPDATE: 'idle: close 5/1, rest 5',
    'ROUTE-REFRESH': 'idle: close 5/1, rest 5',
    'collision lost': 'idle: close 6/7, rest 0',
    'peer restarted': 'idle: close, rest 0',
  },
  openConfirm: {
    start: 'openConfirm',
    stop: 'idle: close 6/2',
    'stop, silently': 'idle: close',
    reset: 'connect: close 6/4, dial, connectRetry 5',
    rested: 'openConfirm',
    'connectRetry expires': 'openConfirm',
    'hold expires': 'idle: close 4/0, rest 0',
    'keepalive expires': 'openConfirm: send keepalive, keepalive 30',
    'sendHold expires': 'openConfirm',
    connected: 'openConfirm',
    accepted: 'openConfirm: twin',
    failed: 'idle: close, rest 0',
    OPEN: 'idle: close 5/2, rest 5',
    'bad OPEN': 'idle: close 5/2, rest 5',
    'bad header': 'idle: close 1/2, rest 5',
    'bad UPDATE': 'idle: close 5/2, rest 5',
    NOTIFICATION: 'idle: close, rest 0',
    KEEPALIVE: 'established: hold 90, sendHold 480, up',
    UPDATE: 'idle: close 5/2, rest 5',
    'ROUTE-REFRESH': 'idle: close 5/2, rest 5',
    'collision lost': 'idle: close 6/7, rest 0',
    'peer restarted': 'idle: close, rest 0',
  },
  established: {
    start: 'established',
    stop: 'idle: close 6/2, down',
    'stop, silently': 'idle: close, down',
    reset: 'connect: close 6/4, down, dial, connectRetry 5',
    rested: 'established',
    'connectRetry expires': 'established',
    'hold expires': 'idle: close 4/0, down, rest 0',
    'keepalive expires': 'established: send keepalive, keepalive 30',
    'sendHold expires': 'idle: close 8/0, down, rest 0',
    connected: 'established',
    accepted: 'established: twin',
    failed: 'idle: close, down, rest 0',
    OPEN: 'idle: close 5/3, down, rest 5',
    'bad OPEN': 'idle: close 5/3, down, rest 5',
    'bad header': 'idle: close 1/2, down, rest 5',
    'bad UPDATE': 'idle: close 3/2, down, rest 5',
    NOTIFICATION: 'idle: close, down, rest 0',
    KEEPALIVE: 'established: hold 90',
    UPDATE: 'established: hold 90, deliver',
    'ROUTE-REFRESH': 'established: deliver',
    'collision lost': 'idle: close 6/7, down, rest 0',
    'peer restarted': 'idle: close, down, rest 0',
  },
};

describe.each(Object.keys(states) as StateName[])('in %s', (name) => {
  test.each(Object.keys(events) as (keyof typeof events)[])('%s', (event) => {
    expect(inShort(step(states[name], events[event], config))).toBe(table[name][event]);
  });
});

const everywhere = (Object.keys(states) as StateName[]).flatMap((name) =>
  Object.values(events).flatMap((event) =>
    [config, passive].map((config) => ({ before: states[name], event, step: step(states[name], event, config) })),
  ),
);

test('every fall to Idle closes', () => {
  const falls = everywhere.filter(({ before, step: [after] }) => before.name !== 'idle' && after.name === 'idle');
  expect(falls.length).toBeGreaterThan(100);
  expect(falls.filter(({ step }) => step[1]?.do !== 'close')).toEqual([]);
});

test('whatever leaves Established says so exactly once, and nothing else does', () => {
  const downs = everywhere.map(({ before, step: [after, ...effects] }) => ({
    left: before.name === 'established' && after.name !== 'established',
    said: effects.filter((effect) => effect.do === 'down').length,
  }));
  expect(downs.filter(({ left, said }) => said !== (left ? 1 : 0))).toEqual([]);
});

test('a NOTIFICATION is never answered with one (4271 6.4)', () => {
  const answers = everywhere.filter(
    ({ event, step: [, ...effects] }) => event.on === 'notification' && speaks(effects),
  );
  expect(answers).toEqual([]);
});

test('where there is no connection, nobody is spoken to', () => {
  const spoken = everywhere.filter(
    ({ before, step: [, ...effects] }) => ['idle', 'connect', 'active'].includes(before.name) && speaks(effects),
  );
  expect(spoken).toEqual([]);
});

test('a passive peer is never dialled (statement 29)', () => {
  const dialled = everywhere.filter(({ step: [after, ...effects] }, index) => {
    const isPassive = index % 2 === 1;
    return isPassive && (after.name === 'connect' || effects.some((effect) => effect.do === 'dial'));
  });
  // A machine that is in Connect already is the only one that may go on dialling.
  expect(dialled.filter(({ before }) => before.name !== 'connect')).toEqual([]);
});

test.each([
  ['openSent', '5/1'],
  ['openConfirm', '5/2'],
  ['established', '5/3'],
] as const)('an unexpected message in %s is answered with %s (statement 23, 6608 3)', (name, words) => {
  const event = name === 'established' ? events.OPEN : events.UPDATE;
  expect(inShort(step(states[name], event, config))).toContain(`close ${words}`);
});

test('the wait for an OPEN is 240 s (statement 30, 4271 8.2.2)', () => {
  expect(inShort(step(states.connect, events.connected, config))).toContain('hold 240');
});

test('every UPDATE restarts the hold timer before anybody looks at it (statement 31)', () => {
  const [, ...effects] = step(states.established, events.UPDATE, config);
  expect(effects.map((effect) => effect.do)).toEqual(['timer', 'deliver']);
});

test('a hold time of zero stops hold timer and keepalives (statement 15, 4271 4.2)', () => {
  const none = someTerms({ holdSeconds: 0, keepaliveSeconds: 0 });
  expect(inShort(step(states.openSent, { on: 'open', terms: none }, config))).toBe(
    'openConfirm: send keepalive, hold 0, keepalive 0',
  );
});

test('hold expiry says 4/0 (statement 33)', () => {
  expect(inShort(step(states.established, events['hold expires'], config))).toContain('close 4/0');
});

test.each([
  [90, 480],
  [240, 480],
  [300, 600],
])('with a hold time of %d s the send hold timer takes %d s and ends in 8/0 (statement 34, 9687 3)', (hold, send) => {
  const state: State = { name: 'openConfirm', failures: 0, terms: someTerms({ holdSeconds: hold }) };
  expect(inShort(step(state, events.KEEPALIVE, config))).toContain(`sendHold ${send}`);
  expect(inShort(step(states.established, events['sendHold expires'], config))).toContain('close 8/0');
});

test('a connection that was reset gets no NOTIFICATION (statement 35)', () => {
  expect(inShort(step(states.established, events.failed, config))).toBe('idle: close, down, rest 0');
});

describe('back-off', () => {
  test('each refusal doubles the wait for the next try, up to two minutes, and never makes a hot loop (statement 28)', () => {
    const waits: number[] = [];
    let state: State = states.openSent;
    for (let n = 0; n < 8; n++) {
      const [idle] = step(state, events['bad OPEN'], config);
      const [next, ...effects] = step(idle, { on: 'rested' }, config);
      waits.push(seconds(effects, 'connectRetry'));
      state = { name: 'openSent', failures: next.failures };
    }
    expect(waits).toEqual([10, 20, 40, 80, 120, 120, 120, 120]);
    expect(Math.max(...waits)).toBe(backOffMaxSeconds);
  });

  test('a peer that refuses us is left alone in the same way', () => {
    const heard = { code: 2, subcode: 2, data: new Uint8Array() };
    expect(inShort(step(states.openSent, { on: 'notification', heard }, config))).toBe('idle: close, rest 5');
  });

  test.each([
    [6, 1],
    [6, 5],
    [6, 8],
    [9, 9],
  ])('%d/%d is a refusal', (code, subcode) => {
    const heard = { code, subcode, data: new Uint8Array() };
    expect(step(states.established, { on: 'notification', heard }, config)[0].failures).toBe(1);
  });

  test.each([
    [4, 0],
    [6, 2],
    [6, 3],
    [6, 4],
    [6, 6],
    [6, 7],
    [6, 9],
    [6, 10],
    [8, 0],
  ])('%d/%d is none', (code, subcode) => {
    const heard = { code, subcode, data: new Uint8Array() };
    expect(step(states.established, { on: 'notification', heard }, config)[0].failures).toBe(0);
  });

  test('a session that has lived for a keepalive interval is forgiven', () => {
    const state: State = { name: 'established', failures: 4, terms };
    expect(step(state, events['keepalive expires'], config)[0].failures).toBe(0);
  });

  test('dialling in vain does not forgive', () => {
    expect(step({ name: 'connect', failures: 3 }, events.failed, config)[0].failures).toBe(3);
  });

  test('an operator who resets the session does not have to wait', () => {
    expect(inShort(step({ name: 'idle', failures: 6 }, events.reset, config))).toBe(
      'connect: close, dial, connectRetry 5',
    );
  });

  test('after too many prefixes the session stays down for as long as the limit says', () => {
    const fault: Event = { on: 'updateFault', say: cease(ceaseCodes.maxPrefixes) };
    const limited = { ...config, prefixLimitIdleSeconds: 600 };
    expect(inShort(step(states.established, fault, limited))).toBe('idle: close 6/1, down, rest 600');
  });
});

describe('retention (RFC 4724 4.2, 8538 4)', () => {
  const plain = { name: 'established', failures: 0, terms: restartable({ notificationRestart: false }) } as const;
  const withN = { name: 'established', failures: 0, terms: restartable({ notificationRestart: true }) } as const;
  const helperOnly = {
    name: 'established',
    failures: 0,
    terms: restartable({ gracefulRestart: { restarting: false, restartSeconds: 120, families: new Map() } }),
  } as const;
  const hard: Event = { on: 'notification', heard: hardReset(shutdown) };

  test.each<[string, State, Event, boolean]>([
    ['TCP loss without the capability', states.established, events.failed, false],
    ['TCP loss with the capability', plain, events.failed, true],
    ['TCP loss with a capability without families', helperOnly, events.failed, false],
    ['a NOTIFICATION without the N bit', plain, events.NOTIFICATION, false],
    ['a NOTIFICATION with the N bit', withN, events.NOTIFICATION, true],
    ['a hard reset with the N bit', withN, hard, false],
    ['hold expiry without the N bit', plain, events['hold expires'], false],
    ['hold expiry with the N bit', withN, events['hold expires'], true],
    ['send hold expiry with the N bit', withN, events['sendHold expires'], true],
    ['a malformed UPDATE with the N bit', withN, events['bad UPDATE'], true],
    ['our hard reset with the N bit', withN, { on: 'stop', say: hardReset(shutdown) }, false],
    ['our silent close', plain, events['stop, silently'], true],
    ['a peer that comes back on a new connection', plain, events['peer restarted'], true],
  ])('%s (statement 72)', (_, state, event, retain) => {
    const [, ...effects] = step(state, event, config);
    expect(effects.find((effect) => effect.do === 'down')).toEqual({ do: 'down', retain });
  });
});

function inShort([state, ...effects]: Step): string {
  const words = effects.map((effect) => {
    if (effect.do === 'timer') return `${effect.name} ${effect.seconds}`;
    if (effect.do === 'rest') return `rest ${effect.seconds}`;
    if (effect.do === 'send') return `send ${effect.message}`;
    if (effect.do === 'close' && effect.say) return `close ${effect.say.code}/${effect.say.subcode}`;
    return effect.do;
  });
  return words.length === 0 ? state.name : `${state.name}: ${words.join(', ')}`;
}

function seconds(effects: readonly Effect[], name: string): number {
  return effects.flatMap((effect) => (effect.do === 'timer' && effect.name === name ? [effect.seconds] : []))[0]!;
}

function speaks(effects: readonly Effect[]): boolean {
  return effects.some((effect) => effect.do === 'close' && effect.say !== undefined);
}
