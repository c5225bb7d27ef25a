// The state machine of RFC 4271 §8 for one connection to a neighbour: (state, event) → state and effects.
//
// Pure and total: no clock, no I/O, every state answers every event. What must happen is returned as effects, which
// session.ts carries out in order. A state carries only what it has earned: terms exist from OpenConfirm on.
//
// A neighbour's second connection (§6.8) is a second machine, which starts in Active with an 'accepted' event; the
// effects `take`, `twin` and `refuse` are the answers to a connection that came in.
import type { Terms } from '../message.ts';
import { type Words, cease, ceaseCodes, errorCodes, holdTimerExpired, sendHoldTimerExpired } from './cease.ts';
import { retains } from './retention.ts';

export type StateName = 'idle' | 'connect' | 'active' | 'openSent' | 'openConfirm' | 'established';

export type State = {
  /** How often in a row this neighbour and we could not agree: what the back-off grows with. */
  readonly failures: number;
} & (
  | { readonly name: 'idle' | 'connect' | 'active' | 'openSent' }
  | { readonly name: 'openConfirm'; readonly terms: Terms }
  | { readonly name: 'established'; readonly terms: Terms }
);

export type TimerName = 'connectRetry' | 'hold' | 'keepalive' | 'sendHold';

/** What can happen; the numbers are the events of RFC 4271 §8.1. */
export type Event =
  /** 1, 3. */
  | { readonly on: 'start' }
  /** 2, 8. Without `say` the connection closes silently, as for our own graceful restart. */
  | { readonly on: 'stop'; readonly say?: Words }
  /** The session is to begin anew, by an operator or because its terms changed: 8 and 3 in one. */
  | { readonly on: 'reset'; readonly say: Words }
  /** 13, IdleHoldTimer_Expires. */
  | { readonly on: 'rested' }
  /** 9, 10, 11, and RFC 9687's SendHoldTimer_Expires. */
  | { readonly on: 'timer'; readonly name: TimerName }
  /** 16: the connection that we dialled stands. */
  | { readonly on: 'connected' }
  /** 17: the neighbour has connected to us. */
  | { readonly on: 'accepted' }
  /** 18: dialling failed, or the connection closed. */
  | { readonly on: 'failed' }
  /** 19, with what both OPENs agree on. */
  | { readonly on: 'open'; readonly terms: Terms }
  /** 22, 21, 28: a message that cannot stand, with the NOTIFICATION that it asks for. */
  | { readonly on: 'openFault' | 'headerFault' | 'updateFault'; readonly say: Words }
  /** 24, 25. */
  | { readonly on: 'notification'; readonly heard: Words }
  /** 26, 27, and RFC 2918's message. */
  | { readonly on: 'keepalive' | 'update' | 'routeRefresh' }
  /** 23: lost a collision (§6.8). */
  | { readonly on: 'dump' }
  /** The neighbour has restarted and come back on a new connection (RFC 4724 §5). */
  | { readonly on: 'replaced' };

export type Effect =
  /** Open a TCP connection. */
  | { readonly do: 'dial' }
  /** Make the connection that came in this machine's own. */
  | { readonly do: 'take' }
  /** Give the connection that came in a machine of its own, until its OPEN tells which one stays (§6.8). */
  | { readonly do: 'twin' }
  /** Turn the connection that came in away. */
  | { readonly do: 'refuse' }
  /** Give back everything: connection or dialling, and every timer. Before that, send these last words. */
  | { readonly do: 'close'; readonly say?: Words }
  | { readonly do: 'send'; readonly message: 'open' | 'keepalive' }
  /** Start a timer anew, or stop it with 0 seconds. Seconds are before jitter. */
  | { readonly do: 'timer'; readonly name: TimerName; readonly seconds: number }
  /** Stay Idle so long (IdleHoldTimer), then comes 'rested'; with 0 it comes at once. */
  | { readonly do: 'rest'; readonly seconds: number }
  | { readonly do: 'up'; readonly terms: Terms }
  | { readonly do: 'down'; readonly retain: boolean }
  /** Hand the message just received to the owner. */
  | { readonly do: 'deliver' };

export interface FsmConfig {
  /** Never dial. */
  readonly passive: boolean;
  readonly connectRetrySeconds: number;
  /** How long to stay down after too many prefixes; 0: as after any other refusal. */
  readonly prefixLimitIdleSeconds: number;
}

export type Step = readonly [State, ...Effect[]];

/** §8.2.2 suggests four minutes to wait for the OPEN. */
export const openHoldSeconds = 240;
/** Dialling a neighbour that keeps refusing us slows down to this. */
export const backOffMaxSeconds = 120;
/** RFC 9687 §3.1: eight minutes, or twice the hold time if that is longer. */
export const sendHoldSeconds = (terms: Terms): number => Math.max(480, 2 * terms.holdSeconds);

export const initial: State = { name: 'idle', failures: 0 };

export function step(state: State, event: Event, config: FsmConfig): Step {
  if (state.name === 'established') return established(state, event, config);
  if (state.name === 'openConfirm') return openConfirm(state, event, config);
  if (state.name === 'openSent') return openSent(state, event, config);
  if (state.name === 'active') return active(state, event, config);
  if (state.name === 'connect') return connect(state, event, config);
  return idle(state, event, config);
}

type Agreed<Name extends 'openConfirm' | 'established'> = Extract<State, { readonly name: Name }>;

/** No connection is held and every one is refused; only a start or the end of the rest leads out. */
function idle(state: State, event: Event, config: FsmConfig): Step {
  if (event.on === 'start') return begin(0, config);
  if (event.on === 'reset' || event.on === 'stop') return fall(state, event, config);
  if (event.on === 'rested') return listen(state.failures, config);
  if (event.on === 'accepted') return [state, { do: 'refuse' }];
  return [state];
}

/** Dialling. §8.2.2 falls to Idle when it fails; we listen and dial again later, which is Idle with automatic start. */
function connect(state: State, event: Event, config: FsmConfig): Step {
  if (isTimer(event, 'connectRetry')) return [state, { do: 'close' }, ...dial(state.failures, config)];
  if (event.on === 'connected') return greet(state.failures);
  if (event.on === 'accepted') return [state, { do: 'twin' }];
  if (event.on === 'failed') return listen(state.failures, config, { do: 'close' });
  if (event.on === 'timer' || isStarted(event)) return [state];
  return fall(state, event, config);
}

/** Listening, until the neighbour comes or ConnectRetryTimer asks for another try. */
function active(state: State, event: Event, config: FsmConfig): Step {
  if (isTimer(event, 'connectRetry') && !config.passive) return begin(state.failures, config);
  if (event.on === 'connected') return greet(state.failures);
  if (event.on === 'accepted') return greet(state.failures, { do: 'take' });
  if (event.on === 'timer' || isStarted(event)) return [state];
  return fall(state, event, config);
}

/** Our OPEN is out. */
function openSent(state: State, event: Event, config: FsmConfig): Step {
  if (event.on === 'open') return agree(event.terms, state.failures);
  if (event.on === 'failed') return listen(state.failures, config, { do: 'close' });
  if (event.on === 'accepted') return [state, { do: 'twin' }];
  if (event.on === 'timer' && event.name !== 'hold') return [state];
  if (event.on === 'connected' || isStarted(event)) return [state];
  return fall(state, event, config);
}

/** Both OPENs agree; the neighbour's KEEPALIVE confirms it. */
function openConfirm(state: Agreed<'openConfirm'>, event: Event, config: FsmConfig): Step {
  if (event.on === 'keepalive') return establish(state);
  if (isTimer(event, 'keepalive')) return [state, ...keepalive(state.terms)];
  if (event.on === 'accepted') return [state, { do: 'twin' }];
  if (event.on === 'timer' && event.name !== 'hold') return [state];
  if (event.on === 'connected' || isStarted(event)) return [state];
  return fall(state, event, config);
}

function established(state: Agreed<'established'>, event: Event, config: FsmConfig): Step {
  if (event.on === 'update') return [state, heard(state.terms), { do: 'deliver' }];
  if (event.on === 'keepalive') return [state, heard(state.terms)];
  if (event.on === 'routeRefresh') return [state, { do: 'deliver' }];
  // A session that has lived for a keepalive interval is no quarrel any more.
  if (isTimer(event, 'keepalive')) return [{ ...state, failures: 0 }, ...keepalive(state.terms)];
  if (event.on === 'accepted') return [state, { do: 'twin' }];
  // A ConnectRetryTimer that fires here would be our own mistake, not the neighbour's: nobody is blamed for it.
  if (isTimer(event, 'connectRetry')) return [state];
  if (event.on === 'connected' || isStarted(event)) return [state];
  return fall(state, event, config);
}

function isTimer(event: Event, name: TimerName): boolean {
  return event.on === 'timer' && event.name === name;
}

/** A start of what has started changes nothing (§8.2.2, events 1 and 3 to 7 outside Idle). */
function isStarted(event: Event): boolean {
  return event.on === 'start' || event.on === 'rested';
}

function begin(failures: number, config: FsmConfig): Step {
  if (config.passive) return listen(failures, config);
  return [{ name: 'connect', failures }, ...dial(failures, config)];
}

function dial(failures: number, config: FsmConfig): Effect[] {
  return [{ do: 'dial' }, { do: 'timer', name: 'connectRetry', seconds: retrySeconds(failures, config) }];
}

function listen(failures: number, config: FsmConfig, ...before: Effect[]): Step {
  const seconds = config.passive ? 0 : retrySeconds(failures, config);
  return [{ name: 'active', failures }, ...before, { do: 'timer', name: 'connectRetry', seconds }];
}

function greet(failures: number, ...before: Effect[]): Step {
  return [
    { name: 'openSent', failures },
    ...before,
    { do: 'timer', name: 'connectRetry', seconds: 0 },
    { do: 'send', message: 'open' },
    { do: 'timer', name: 'hold', seconds: openHoldSeconds },
  ];
}

function agree(terms: Terms, failures: number): Step {
  return [
    { name: 'openConfirm', terms, failures },
    { do: 'send', message: 'keepalive' },
    heard(terms),
    { do: 'timer', name: 'keepalive', seconds: terms.keepaliveSeconds },
  ];
}

function establish({ terms, failures }: Agreed<'openConfirm'>): Step {
  return [
    { name: 'established', terms, failures },
    heard(terms),
    { do: 'timer', name: 'sendHold', seconds: sendHoldSeconds(terms) },
    { do: 'up', terms },
  ];
}

function heard(terms: Terms): Effect {
  return { do: 'timer', name: 'hold', seconds: terms.holdSeconds };
}

function keepalive(terms: Terms): Effect[] {
  return [
    { do: 'send', message: 'keepalive' },
    { do: 'timer', name: 'keepalive', seconds: terms.keepaliveSeconds },
  ];
}

function retrySeconds(failures: number, { connectRetrySeconds: base }: FsmConfig): number {
  return failures === 0 ? base : Math.max(base, Math.min(base * 2 ** failures, backOffMaxSeconds));
}

/** The one way to Idle: close with the words that fit, tell the owner, and rest as long as the reason asks for. */
function fall(state: State, event: Event, config: FsmConfig): Step {
  const say = lastWords(state.name, event);
  const reason = event.on === 'notification' ? event.heard : say;
  const effects: Effect[] = [say ? { do: 'close', say } : { do: 'close' }];
  if (state.name === 'established') effects.push({ do: 'down', retain: retains(state.terms, reason) });
  if (event.on === 'stop') return [initial, ...effects];
  if (event.on === 'reset') return join(effects, begin(0, config));
  const failures = reason && quarrel(reason) ? state.failures + 1 : 0;
  return [{ name: 'idle', failures }, ...effects, { do: 'rest', seconds: restSeconds(failures, say, config) }];
}

function join(before: readonly Effect[], [state, ...effects]: Step): Step {
  return [state, ...before, ...effects];
}

/** The NOTIFICATION that an end sends; none where there is nobody to send it to, and never one for one (§6.4). */
function lastWords(name: StateName, event: Event): Words | undefined {
  const subcode = { idle: 0, connect: 0, active: 0, openSent: 1, openConfirm: 2, established: 3 }[name];
  if (subcode === 0) return undefined;
  if (event.on === 'stop' || event.on === 'reset' || event.on === 'headerFault') return event.say;
  if (event.on === 'openFault' && name === 'openSent') return event.say;
  if (event.on === 'updateFault' && name === 'established') return event.say;
  if (event.on === 'dump') return cease(ceaseCodes.collision);
  if (event.on === 'timer') return event.name === 'sendHold' ? sendHoldTimerExpired : holdTimerExpired;
  if (event.on === 'notification' || event.on === 'failed' || event.on === 'replaced') return undefined;
  // A message that this state does not expect (RFC 6608 §3).
  return { code: errorCodes.fsm, subcode, data: new Uint8Array() };
}

/**
 * Whether a NOTIFICATION, said or heard, means that the two sides do not agree and dialling again at once would only
 * repeat it. Expired timers, collisions and an operator's doing are no quarrel.
 */
function quarrel({ code, subcode }: Words): boolean {
  if (code === errorCodes.cease) return quarrelsomeCeases.has(subcode);
  return code !== errorCodes.holdTimer && code !== errorCodes.sendHoldTimer;
}

const quarrelsomeCeases: ReadonlySet<number> = new Set([
  ceaseCodes.maxPrefixes,
  ceaseCodes.rejected,
  ceaseCodes.outOfResources,
]);

function restSeconds(failures: number, say: Words | undefined, config: FsmConfig): number {
  const tooMany = say?.code === errorCodes.cease && say.subcode === ceaseCodes.maxPrefixes;
  if (tooMany && config.prefixLimitIdleSeconds > 0) return config.prefixLimitIdleSeconds;
  return failures === 0 ? 0 : config.connectRetrySeconds;
}
