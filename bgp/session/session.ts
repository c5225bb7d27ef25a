// One neighbour: feeds what happens to the state machine and carries out what it asks for.
//
// Up to two tries run at once (RFC 4271 §6.8): `home`, which dials and listens, and a twin for a connection that came
// in meanwhile. Events are handled one after the other from a queue, so that an owner may call anything from within
// its callbacks. Holds no route: UPDATEs go to the owner as they came.
import {
  type Frame,
  NotificationError,
  afiSafi,
  decodeNotification,
  decodeOpen,
  decodeRouteRefresh,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
  encodeRouteRefresh,
  refreshSubtypes,
} from '../codec/index.ts';
import type { AddressFamily, Terms } from '../message.ts';
import type { SessionError } from '../status.ts';
import type { PeerWish } from '../wish.ts';
import { Attempt } from './attempt.ts';
import { type Words, cease, ceaseCodes, errorCodes, hardReset } from './cease.ts';
import { type Disturbance, disturbance } from './changes.ts';
import { collide } from './collision.ts';
import { type Effect, type Event, type FsmConfig, step } from './fsm.ts';
import { Journal, errorOf } from './journal.ts';
import { Link } from './link.ts';
import { negotiate } from './negotiate.ts';
import { offer } from './offer.ts';
import { placeOf } from './place.ts';
import type { Clock, Connection, DialTarget, Dialer, SessionOutput, SessionOwner, Speaker } from './port.ts';
import { type SessionStatus, aheadOf, statusOf } from './status.ts';
import { TransportError } from './transport-error.ts';

interface Happening {
  readonly attempt: Attempt;
  readonly event: Event;
  /** The connection that came in, with 'accepted'. */
  readonly connection?: Connection;
}

/** Events that are a message of the neighbour, or what is wrong with one. */
const ofMessages: ReadonlySet<Event['on']> = new Set([
  'open',
  'openFault',
  'headerFault',
  'updateFault',
  'keepalive',
  'update',
  'routeRefresh',
]);

/** How far a try has come, to tell which of two is the session in the operator's eyes. */
const progress = { idle: 0, active: 1, connect: 2, openSent: 3, openConfirm: 4, established: 5 } as const;

export class Session implements SessionOutput {
  #wish: PeerWish;
  #speaker: Speaker;
  readonly #owner: SessionOwner;
  readonly #clock: Clock;
  readonly #dialer: Dialer;
  readonly #journal = new Journal();
  #home: Attempt;
  #twin: Attempt | undefined;
  #running = false;
  #closed = false;
  readonly #queue: Happening[] = [];
  #busy = false;
  #changed = false;
  readonly #closings = new Set<Promise<void>>();

  constructor(
    wish: PeerWish,
    speaker: Speaker,
    owner: SessionOwner,
    ports: { readonly clock: Clock; readonly dialer: Dialer },
  ) {
    this.#wish = wish;
    this.#speaker = speaker;
    this.#owner = owner;
    this.#clock = ports.clock;
    this.#dialer = ports.dialer;
    this.#home = this.#newAttempt();
  }

  /** Begins to dial and to accept, unless the wish bars it (shutdown, or a protection that cannot be had). */
  start(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    if (this.#barred() === undefined) this.#happen(this.#home, { on: 'start' });
  }

  /** Takes a connection from the neighbour's address, or turns it away with a NOTIFICATION that says why. */
  accept(connection: Connection): void {
    if (this.#closed || !this.#running) {
      connection.destroy();
      return;
    }
    const { shutdown } = this.#wish;
    const unguarded = this.#unguarded(connection);
    if (unguarded !== undefined) this.#record({ at: this.#wall(), text: `refused a connection: ${unguarded}` });
    if (shutdown !== undefined) this.#turnAway(connection, cease(ceaseCodes.shutdown, shutdown));
    else if (unguarded !== undefined || this.#barred() !== undefined) this.#turnAway(connection);
    else this.#happen(this.#home, { on: 'accepted' }, connection);
  }

  /** Makes a new wish true, disturbing the session no more than changes.ts says it must be. */
  apply(wish: PeerWish, speaker: Speaker): void {
    const wasBarred = this.#barred() !== undefined;
    const reach = disturbance({ wish: this.#wish, speaker: this.#speaker }, { wish, speaker });
    this.#wish = wish;
    this.#speaker = speaker;
    if (!this.#running) return;
    if (this.#barred() !== undefined) {
      if (!wasBarred) this.#stop((attempt) => this.#finalWords(attempt, this.#barringWords()));
    } else if (wasBarred) this.#happen(this.#home, { on: 'start' });
    else this.#disturb(reach);
  }

  /** Whether the caller may go on sending; false also when there is no session to send on. */
  send(messages: Uint8Array): boolean {
    const { state, link } = this.#home;
    if (state.name !== 'established' || link === undefined) return false;
    this.#journal.countSent(messages);
    return link.send(messages);
  }

  /** Asks the neighbour to send all of a family again (RFC 2918). False when it cannot. */
  requestRefresh(family: AddressFamily): boolean {
    const { state } = this.#home;
    if (state.name !== 'established' || !state.terms.routeRefresh || !state.terms.families.includes(family)) {
      return false;
    }
    this.send(encodeRouteRefresh({ ...afiSafi(family), subtype: refreshSubtypes.request }));
    return true;
  }

  /** Ends the session with a Cease of this subcode and begins anew at once. */
  reset(subcode: number, text?: string): void {
    if (this.#running && this.#barred() === undefined) this.#restart(() => cease(subcode, text));
  }

  /**
   * Ends the session for good. `restart` closes TCP without a NOTIFICATION, so that a neighbour that helps keeps our
   * paths; the others say so, and as a hard reset where the neighbour would else keep them (RFC 8538). Resolves when
   * the connections are gone, which a neighbour can delay by two seconds at most.
   */
  async close(how: 'restart' | 'deconfigured' | 'shutdown', text?: string): Promise<void> {
    this.#running = false;
    this.#closed = true;
    const subcode = how === 'deconfigured' ? ceaseCodes.deconfigured : ceaseCodes.shutdown;
    this.#stop((attempt) => (how === 'restart' ? undefined : this.#finalWords(attempt, cease(subcode, text))));
    await Promise.all(this.#closings);
  }

  status(): SessionStatus {
    return statusOf({
      wish: this.#wish,
      speaker: this.#speaker,
      clock: this.#clock,
      journal: this.#journal,
      attempt: this.#front(),
      barred: this.#closed ? 'closed' : this.#barred(),
    });
  }

  /** Adds to the errors in status(): what the owner found wrong with a message that the session survived. */
  record(error: Omit<SessionError, 'at'>): void {
    this.#record({ ...error, at: this.#wall() });
    this.#tell();
  }

  // The queue.

  #happen(attempt: Attempt, event: Event, connection?: Connection): void {
    this.#queue.push({ attempt, event, ...(connection && { connection }) });
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#handle(next);
      this.#settle();
    } finally {
      this.#busy = false;
    }
    this.#tell();
  }

  #handle(happening: Happening): void {
    const { attempt, event } = happening;
    if (attempt.discarded) return;
    const before = attempt.state.name;
    const [state, ...effects] = step(attempt.state, event, this.#config());
    attempt.enter(state);
    for (const effect of effects) this.#carryOut(effect, happening);
    if (state.name !== before) this.#changed = true;
  }

  #config(): FsmConfig {
    const { passive, connectRetrySeconds, prefixLimit } = this.#wish;
    return { passive, connectRetrySeconds, prefixLimitIdleSeconds: prefixLimit?.idleSeconds ?? 0 };
  }

  #carryOut(effect: Effect, { attempt, event, connection }: Happening): void {
    switch (effect.do) {
      case 'dial':
        void attempt.dial(this.#dialer, this.#target());
        break;
      case 'take':
        attempt.attach(connection!);
        break;
      case 'twin':
        this.#addTwin(connection!);
        break;
      case 'refuse':
        this.#turnAway(connection!);
        break;
      case 'close':
        this.#closeAttempt(attempt, event, effect.say);
        break;
      case 'send':
        this.#sendOwn(attempt, effect.message);
        break;
      case 'timer':
        attempt.timers.set(effect.name, this.#jittered(effect));
        break;
      case 'rest':
        if (effect.seconds === 0) this.#queue.push({ attempt, event: { on: 'rested' } });
        else attempt.timers.set('rest', effect.seconds);
        break;
      case 'up':
        this.#up(attempt, effect.terms);
        break;
      case 'down':
        this.#journal.flaps++;
        this.#owner.down(effect.retain);
        break;
      case 'deliver':
        this.#deliver(attempt, attempt.frame!);
        break;
    }
  }

  /** RFC 4271 §10: so that neighbours that came up together do not go on in step. */
  #jittered({ name, seconds }: Extract<Effect, { do: 'timer' }>): number {
    const jitters = name === 'connectRetry' || name === 'keepalive';
    return jitters ? seconds * (0.75 + 0.25 * this.#clock.random()) : seconds;
  }

  // Messages.

  #received(attempt: Attempt, { type, body }: Frame): void {
    this.#journal.count('received', type);
    if (type === 'open') this.#opened(attempt, body);
    else if (type === 'notification') this.#notified(attempt, decodeNotification(body));
    else this.#happen(attempt, { on: type });
  }

  #opened(attempt: Attempt, body: Uint8Array): void {
    try {
      const theirs = decodeOpen(body);
      attempt.theirs = theirs;
      const agreement = negotiate(attempt.ours!, theirs, this.#wish);
      if ('refusal' in agreement) this.#happen(attempt, { on: 'openFault', say: agreement.refusal });
      else this.#agreed(attempt, agreement.terms);
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      this.#happen(attempt, { on: 'openFault', say: error });
    }
  }

  /** An OPEN that suits us is in; if there is another try, now it can be told which one stays (RFC 4271 §6.8). */
  #agreed(attempt: Attempt, terms: Terms): void {
    const other = attempt === this.#home ? this.#twin : this.#home;
    if (attempt.state.name === 'openSent' && other?.connection) {
      const seconds = (this.#clock.now() - other.since) / 1000;
      const rival = { state: other.state, openedBy: other.connection.openedBy, seconds };
      const verdict = collide(attempt.connection!, rival, terms);
      if (verdict === 'other') {
        this.#happen(attempt, { on: 'dump' });
        return;
      }
      if (verdict === 'newcomer') this.#happen(other, { on: 'dump' });
      if (verdict === 'restarted') this.#replaced(other);
    }
    this.#happen(attempt, { on: 'open', terms });
  }

  #replaced(old: Attempt): void {
    this.#record({ at: this.#wall(), text: 'the peer has restarted: it came back on a new connection (RFC 4724 §5)' });
    this.#happen(old, { on: 'replaced' });
  }

  #notified(attempt: Attempt, heard: Words): void {
    if (!isCollision(heard) || attempt.state.name === 'established') {
      this.#record(errorOf(heard, 'received', this.#wall()));
    }
    this.#happen(attempt, { on: 'notification', heard });
  }

  #deliver(attempt: Attempt, { type, body }: Frame): void {
    try {
      if (type === 'update') this.#owner.update(body);
      else this.#owner.routeRefresh(decodeRouteRefresh(body));
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      this.#queue.unshift({ attempt, event: { on: 'updateFault', say: error } });
    }
  }

  #sendOwn(attempt: Attempt, message: 'open' | 'keepalive'): void {
    if (message === 'open') attempt.ours = offer(this.#wish, this.#speaker, this.#owner.restartState());
    this.#journal.count('sent', message);
    attempt.link!.send(message === 'open' ? encodeOpen(attempt.ours!) : encodeKeepalive());
  }

  // Tries.

  #newAttempt(): Attempt {
    return new Attempt(this.#clock, {
      happened: (attempt, event) => {
        if (event.on === 'timer') this.#noteTimeout(attempt, event);
        this.#happen(attempt, event);
      },
      failed: (attempt, reason) => {
        this.#record({ at: this.#wall(), text: reason });
        this.#happen(attempt, { on: 'failed' });
      },
      received: (attempt, frame) => this.#received(attempt, frame),
      drained: () => this.#owner.drained(),
    });
  }

  #noteTimeout(attempt: Attempt, { name }: Extract<Event, { on: 'timer' }>): void {
    if (name !== 'connectRetry' || attempt.state.name !== 'connect') return;
    const { address, port, interface: scope, password } = this.#wish;
    const hint = password === undefined ? '' : '; a wrong or missing password on either side looks the same';
    const text = `connection timed out (no answer from ${placeOf(address, port, scope)}${hint})`;
    this.#record({ at: this.#wall(), text });
  }

  #addTwin(connection: Connection): void {
    // A neighbour dials once at a time: a newer connection means that it has given up the older one.
    if (this.#twin) this.#discard(this.#twin);
    const twin = this.#newAttempt();
    twin.enter({ name: 'active', failures: this.#home.state.failures });
    this.#twin = twin;
    this.#queue.push({ attempt: twin, event: { on: 'accepted' }, connection });
  }

  #up(attempt: Attempt, terms: Terms): void {
    attempt.link!.receiveLimit = terms.receiveLimit;
    if (attempt === this.#twin) [this.#home, this.#twin] = [attempt, this.#home];
    this.#owner.established(terms);
  }

  /** When the queue is empty: of two tries the twin must have a connection, and home gives way if it has none. */
  #settle(): void {
    if (this.#twin === undefined) return;
    if (this.#twin.link === undefined) {
      this.#discard(this.#twin);
      this.#twin = undefined;
    } else if (this.#home.state.name === 'idle' || this.#home.state.name === 'active') {
      const failures = Math.max(this.#home.state.failures, this.#twin.state.failures);
      this.#discard(this.#home);
      this.#home = this.#twin;
      this.#home.enter({ ...this.#home.state, failures });
      this.#twin = undefined;
    }
  }

  #closeAttempt(attempt: Attempt, event: Event, say: Words | undefined): void {
    if (say) {
      this.#journal.count('sent', 'notification');
      // To lose a collision is nothing that went wrong.
      if (event.on !== 'dump') {
        const message = ofMessages.has(event.on) ? attempt.frame?.message : undefined;
        this.#record(errorOf(say, 'sent', this.#wall(), message));
      }
    }
    this.#await(attempt.close(say && encodeNotification(say)));
  }

  #discard(attempt: Attempt): void {
    this.#await(attempt.discard());
  }

  #turnAway(connection: Connection, words: Words = cease(ceaseCodes.rejected)): void {
    const nobody = { frame: ignore, fault: ignore, gone: ignore, moving: ignore, drained: ignore };
    this.#await(new Link(connection, nobody, this.#clock).finish(encodeNotification(words)));
  }

  #await(closing: Promise<void>): void {
    this.#closings.add(closing);
    void closing.finally(() => this.#closings.delete(closing));
  }

  #front(): Attempt {
    const [home, twin] = [this.#home, this.#twin];
    return twin && progress[twin.state.name] > progress[home.state.name] ? twin : home;
  }

  // The wish.

  #target(): DialTarget {
    const { address, port, interface: scope, localAddress, password, ttlSecurityHops } = this.#wish;
    return {
      address,
      port,
      ...(scope !== undefined && { interface: scope }),
      ...(localAddress !== undefined && { localAddress }),
      ...(password !== undefined && { password }),
      ...(ttlSecurityHops !== undefined && { ttlSecurityHops }),
    };
  }

  /** Why there must be no session at all, in words. */
  #barred(): string | undefined {
    const { shutdown } = this.#wish;
    if (shutdown !== undefined) return `shut down by configuration${shutdown && `: ${shutdown}`}`;
    const lack = this.#dialer.lacks?.(this.#target());
    return lack === undefined ? undefined : `no session: ${lack}`;
  }

  #barringWords(): Words {
    const { shutdown } = this.#wish;
    return shutdown === undefined ? cease(ceaseCodes.configuration) : cease(ceaseCodes.shutdown, shutdown);
  }

  /** What a connection that came in lacks of what the wish demands; the listener should not have let it through. */
  #unguarded({ protection, interface: scope }: Connection): string | undefined {
    const { password, ttlSecurityHops, interface: wished } = this.#wish;
    if (password !== undefined && protection?.password === undefined) return 'it came without a TCP MD5 signature';
    if (ttlSecurityHops !== undefined && protection?.ttlSecurityHops === undefined) return 'its hops are not limited';
    if (wished !== undefined && scope !== undefined && scope !== wished) return `it came in on ${scope}, not ${wished}`;
    return undefined;
  }

  #disturb(reach: Disturbance): void {
    if (reach === 'guard' && this.#reguard()) return;
    if (reach === 'attempt' && progress[this.#front().state.name] >= progress.openConfirm) return;
    if (reach === 'none') return;
    const words = cease(ceaseCodes.configuration);
    this.#restart((attempt) => (reach === 'hardReset' ? this.#finalWords(attempt, words) : words));
  }

  /** Changes keys and hop limits of the connections that stand; false when that cannot be done. */
  #reguard(): boolean {
    const { password, ttlSecurityHops } = this.#target();
    const protection = {
      ...(password !== undefined && { password }),
      ...(ttlSecurityHops !== undefined && { ttlSecurityHops }),
    };
    try {
      for (const { connection, state } of this.#attempts()) {
        // A try without a connection dials with the old key: it starts anew.
        if (connection === undefined && state.name === 'connect') return false;
        if (connection !== undefined && connection.protect === undefined) return false;
        connection?.protect?.(protection);
      }
      return true;
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      this.#record({ at: this.#wall(), text: `cannot change the protection of the connection: ${error.message}` });
      return false;
    }
  }

  #attempts(): Attempt[] {
    return this.#twin ? [this.#home, this.#twin] : [this.#home];
  }

  /** RFC 8538 §4: where NOTIFICATIONs do not end the retention, an end for good has to say so. */
  #finalWords({ state }: Attempt, words: Words): Words {
    return 'terms' in state && state.terms.notificationRestart ? hardReset(words) : words;
  }

  #stop(say: (attempt: Attempt) => Words | undefined): void {
    for (const attempt of this.#attempts()) {
      const words = say(attempt);
      this.#happen(attempt, { on: 'stop', ...(words && { say: words }) });
    }
  }

  /** The twin ends, home begins anew. */
  #restart(say: (attempt: Attempt) => Words): void {
    if (this.#twin) this.#happen(this.#twin, { on: 'stop', say: say(this.#twin) });
    this.#happen(this.#home, { on: 'reset', say: say(this.#home) });
  }

  // What the operator sees.

  #record(error: SessionError): void {
    this.#journal.record(error);
    this.#changed = true;
  }

  #wall(): number {
    return this.#clock.now() + aheadOf(this.#clock);
  }

  #tell(): void {
    if (!this.#changed || this.#busy) return;
    this.#changed = false;
    this.#owner.changed?.();
  }
}

function ignore(): void {}

function isCollision({ code, subcode }: Words): boolean {
  return code === errorCodes.cease && subcode === ceaseCodes.collision;
}
