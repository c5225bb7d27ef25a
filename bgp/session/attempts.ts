// The one or two tries at a session with a neighbour, and who of them it is (RFC 4271 §6.8).
//
// `home` dials and listens; a twin holds a connection that came in meanwhile. Events are handled one after the other
// from a queue, so that whoever is called back may call anything. What the machine asks for is carried out here, and
// nowhere else.
import {
  type Frame,
  NotificationError,
  decodeNotification,
  decodeOpen,
  decodeRouteRefresh,
  encodeKeepalive,
  encodeNotification,
  encodeOpen,
} from '../codec/index.ts';
import type { Terms } from '../message.ts';
import type { PeerWish } from '../wish.ts';
import { Attempt } from './attempt.ts';
import { type Words, cease, ceaseCodes, errorCodes } from './cease.ts';
import { collide } from './collision.ts';
import { type Effect, type Event, type FsmConfig, step } from './fsm.ts';
import type { Journal } from './journal.ts';
import { Link } from './link.ts';
import { negotiate } from './negotiate.ts';
import { offer } from './offer.ts';
import { placeOf } from './place.ts';
import type { Clock, Connection, Dialer, SessionOwner, Speaker } from './port.ts';
import { targetOf } from './target.ts';

/** What a session is about. The wish and the speaker may change under way. */
export interface Matter {
  wish: PeerWish;
  speaker: Speaker;
  readonly owner: SessionOwner;
  readonly clock: Clock;
  readonly dialer: Dialer;
  readonly journal: Journal;
}

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

/** How far a try has come. */
export const progress = { idle: 0, active: 1, connect: 2, openSent: 3, openConfirm: 4, established: 5 } as const;

export class Attempts {
  readonly #matter: Matter;
  #home: Attempt;
  #twin: Attempt | undefined;
  readonly #queue: Happening[] = [];
  #busy = false;
  /** stop() was called, and start() not since. */
  #halted = true;
  readonly #closings = new Set<Promise<void>>();

  constructor(matter: Matter) {
    this.#matter = matter;
    this.#home = this.#newAttempt();
  }

  /** The try that an Established session is on. */
  get home(): Attempt {
    return this.#home;
  }

  /** Of two tries the one that has come further: the session in the operator's eyes. */
  get front(): Attempt {
    const [home, twin] = [this.#home, this.#twin];
    return twin && progress[twin.state.name] > progress[home.state.name] ? twin : home;
  }

  get all(): readonly Attempt[] {
    return this.#twin ? [this.#home, this.#twin] : [this.#home];
  }

  start(): void {
    this.#halted = false;
    this.#happen({ attempt: this.#home, event: { on: 'start' } });
  }

  accept(connection: Connection): void {
    this.#happen({ attempt: this.#home, event: { on: 'accepted' }, connection });
  }

  /** Everything ends, each try with the words for it. */
  stop(say: (attempt: Attempt) => Words | undefined): void {
    this.#halted = true;
    for (const attempt of this.all) {
      const words = say(attempt);
      this.#happen({ attempt, event: { on: 'stop', ...(words && { say: words }) } });
    }
  }

  /** The twin ends, and home begins anew. */
  restart(say: (attempt: Attempt) => Words): void {
    if (this.#twin) this.#happen({ attempt: this.#twin, event: { on: 'stop', say: say(this.#twin) } });
    this.#happen({ attempt: this.#home, event: { on: 'reset', say: say(this.#home) } });
  }

  /** Turns a connection away that nobody here is to talk to. */
  turnAway(connection: Connection, words: Words = cease(ceaseCodes.rejected)): void {
    const nobody = { frame: ignore, fault: ignore, gone: ignore, moving: ignore, drained: ignore };
    this.#await(new Link(connection, nobody, this.#matter.clock).finish(encodeNotification(words)));
  }

  /** Resolves when every connection that was ended is gone. */
  async closed(): Promise<void> {
    await Promise.all(this.#closings);
  }

  /** Tells the owner when something in status() has changed; not while more is about to. */
  tell(): void {
    if (!this.#busy && this.#matter.journal.takeChange()) this.#matter.owner.changed?.();
  }

  // The queue.

  #happen(happening: Happening): void {
    this.#queue.push(happening);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#handle(next);
      this.#settle();
    } finally {
      this.#busy = false;
    }
    this.tell();
  }

  #handle(happening: Happening): void {
    const { attempt, event } = happening;
    if (attempt.discarded) return;
    const before = attempt.state.name;
    const [state, ...effects] = step(attempt.state, event, this.#config());
    attempt.enter(state);
    for (const effect of effects) this.#carryOut(effect, happening);
    if (state.name !== before) this.#matter.journal.change();
  }

  #config(): FsmConfig {
    const { passive, connectRetrySeconds, prefixLimit } = this.#matter.wish;
    return { passive, connectRetrySeconds, prefixLimitIdleSeconds: prefixLimit?.idleSeconds ?? 0 };
  }

  #carryOut(effect: Effect, { attempt, event, connection }: Happening): void {
    switch (effect.do) {
      case 'dial':
        void attempt.dial(this.#matter.dialer, targetOf(this.#matter.wish));
        break;
      case 'take':
        attempt.attach(connection!);
        break;
      case 'twin':
        // What came in before stop() may be handled after it was called: it is too late for another try.
        if (this.#halted) this.turnAway(connection!);
        else this.#addTwin(connection!);
        break;
      case 'refuse':
        this.turnAway(connection!);
        break;
      case 'close':
        this.#close(attempt, event, effect.say);
        break;
      case 'send':
        this.#send(attempt, effect.message);
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
        this.#matter.journal.flaps++;
        this.#matter.owner.down(effect.retain);
        break;
      case 'deliver':
        this.#deliver(attempt, attempt.frame!);
        break;
    }
  }

  /** RFC 4271 §10: so that neighbours that came up together do not go on in step. */
  #jittered({ name, seconds }: Extract<Effect, { do: 'timer' }>): number {
    const jitters = name === 'connectRetry' || name === 'keepalive';
    return jitters ? seconds * (0.75 + 0.25 * this.#matter.clock.random()) : seconds;
  }

  #send(attempt: Attempt, message: 'open' | 'keepalive'): void {
    const { wish, speaker, owner, journal } = this.#matter;
    if (message === 'open') attempt.ours = offer(wish, speaker, owner.restartState());
    journal.count('sent', message);
    attempt.link!.send(message === 'open' ? encodeOpen(attempt.ours!) : encodeKeepalive());
  }

  #up(attempt: Attempt, terms: Terms): void {
    attempt.link!.receiveLimit = terms.receiveLimit;
    if (attempt === this.#twin) [this.#home, this.#twin] = [attempt, this.#home];
    this.#matter.owner.established(terms);
  }

  #close(attempt: Attempt, event: Event, say: Words | undefined): void {
    if (say) {
      const { journal } = this.#matter;
      journal.count('sent', 'notification');
      // To lose a collision is nothing that went wrong.
      if (event.on !== 'dump') {
        journal.recordWords(say, 'sent', ofMessages.has(event.on) ? attempt.frame?.message : undefined);
      }
    }
    this.#await(attempt.close(say && encodeNotification(say)));
  }

  #await(closing: Promise<void>): void {
    this.#closings.add(closing);
    void closing.finally(() => this.#closings.delete(closing));
  }

  // Messages.

  #received(attempt: Attempt, { type, body }: Frame): void {
    this.#matter.journal.count('received', type);
    if (type === 'open') this.#opened(attempt, body);
    else if (type === 'notification') this.#notified(attempt, decodeNotification(body));
    else this.#happen({ attempt, event: { on: type } });
  }

  #opened(attempt: Attempt, body: Uint8Array): void {
    try {
      const theirs = decodeOpen(body);
      attempt.theirs = theirs;
      const agreement = negotiate(attempt.ours!, theirs, this.#matter.wish);
      if ('terms' in agreement) this.#agreed(attempt, agreement.terms);
      else this.#happen({ attempt, event: { on: 'openFault', say: agreement.refusal } });
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      this.#happen({ attempt, event: { on: 'openFault', say: error } });
    }
  }

  /** An OPEN that suits us is in: if there is another try, now it can be told which of the two stays. */
  #agreed(attempt: Attempt, terms: Terms): void {
    const verdict = this.#verdict(attempt, terms);
    const other = attempt === this.#home ? this.#twin : this.#home;
    if (verdict === 'other') {
      this.#happen({ attempt, event: { on: 'dump' } });
      return;
    }
    if (verdict === 'newcomer') this.#happen({ attempt: other!, event: { on: 'dump' } });
    if (verdict === 'restarted') {
      const text = 'the peer has restarted: it came back on a new connection (RFC 4724 §5)';
      this.#matter.journal.record({ text });
      this.#happen({ attempt: other!, event: { on: 'replaced' } });
    }
    this.#happen({ attempt, event: { on: 'open', terms } });
  }

  #verdict(attempt: Attempt, terms: Terms): ReturnType<typeof collide> {
    const other = attempt === this.#home ? this.#twin : this.#home;
    if (attempt.state.name !== 'openSent' || other?.connection === undefined) return 'both';
    const seconds = (this.#matter.clock.now() - other.since) / 1000;
    const rival = { state: other.state, openedBy: other.connection.openedBy, seconds };
    return collide(attempt.connection!, rival, terms);
  }

  #notified(attempt: Attempt, heard: Words): void {
    const lost = heard.code === errorCodes.cease && heard.subcode === ceaseCodes.collision;
    if (!lost || attempt.state.name === 'established') this.#matter.journal.recordWords(heard, 'received');
    this.#happen({ attempt, event: { on: 'notification', heard } });
  }

  #deliver(attempt: Attempt, { type, body }: Frame): void {
    try {
      if (type === 'update') this.#matter.owner.update(body);
      else this.#matter.owner.routeRefresh(decodeRouteRefresh(body));
    } catch (error) {
      if (!(error instanceof NotificationError)) throw error;
      // Before anything that the owner asked for meanwhile.
      this.#queue.unshift({ attempt, event: { on: 'updateFault', say: error } });
    }
  }

  // Tries.

  #newAttempt(): Attempt {
    const { journal, clock, owner } = this.#matter;
    return new Attempt(clock, {
      happened: (attempt, event) => {
        if (event.on === 'timer') this.#noteTimeout(attempt, event);
        this.#happen({ attempt, event });
      },
      failed: (attempt, text) => {
        journal.record({ text });
        this.#happen({ attempt, event: { on: 'failed' } });
      },
      received: (attempt, frame) => this.#received(attempt, frame),
      drained: () => owner.drained(),
    });
  }

  #noteTimeout(attempt: Attempt, { name }: Extract<Event, { on: 'timer' }>): void {
    if (name !== 'connectRetry' || attempt.state.name !== 'connect') return;
    const { address, port, interface: scope, password } = this.#matter.wish;
    const hint = password === undefined ? '' : '; a wrong or missing password on either side looks the same';
    this.#matter.journal.record({
      text: `connection timed out (no answer from ${placeOf(address, port, scope)}${hint})`,
    });
  }

  #addTwin(connection: Connection): void {
    // A neighbour dials once at a time: a newer connection means that it has given up the older one.
    if (this.#twin) this.#await(this.#twin.discard());
    const twin = this.#newAttempt();
    twin.enter({ name: 'active', failures: this.#home.state.failures });
    this.#twin = twin;
    this.#queue.unshift({ attempt: twin, event: { on: 'accepted' }, connection });
  }

  /** When the queue is empty: the twin must have a connection, and home gives way to it if it has none itself. */
  #settle(): void {
    if (this.#twin === undefined) return;
    const { name } = this.#home.state;
    if (this.#twin.link === undefined) {
      this.#await(this.#twin.discard());
    } else if (name === 'idle' || name === 'active') {
      const failures = Math.max(this.#home.state.failures, this.#twin.state.failures);
      this.#await(this.#home.discard());
      this.#home = this.#twin;
      this.#home.enter({ ...this.#home.state, failures });
    } else {
      return;
    }
    this.#twin = undefined;
  }
}

function ignore(): void {}
