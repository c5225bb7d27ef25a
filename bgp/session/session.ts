// One neighbour: what its owner may ask of it, and what becomes of a changed wish.
//
// Holds no route and decides nothing about the protocol: the state machine does that (fsm.ts), and attempts.ts carries
// it out.
import { afiSafi, encodeRouteRefresh, refreshSubtypes } from '../codec/index.ts';
import type { AddressFamily } from '../message.ts';
import type { SessionError } from '../status.ts';
import type { PeerWish } from '../wish.ts';
import type { Attempt } from './attempt.ts';
import { Attempts, type Matter, progress } from './attempts.ts';
import { type Words, cease, ceaseCodes, hardReset } from './cease.ts';
import { type Disturbance, disturbance } from './changes.ts';
import { Journal } from './journal.ts';
import type { Clock, Connection, Dialer, SessionOutput, SessionOwner, Speaker } from './port.ts';
import { type SessionStatus, statusOf } from './status.ts';
import { objectionTo, protectionOf, targetOf } from './target.ts';
import { TransportError } from './transport-error.ts';

export class Session implements SessionOutput {
  readonly #matter: Matter;
  readonly #attempts: Attempts;
  #running = false;
  #closed = false;

  constructor(
    wish: PeerWish,
    speaker: Speaker,
    owner: SessionOwner,
    ports: { readonly clock: Clock; readonly dialer: Dialer },
  ) {
    const { clock, dialer } = ports;
    this.#matter = { wish, speaker, owner, clock, dialer, journal: new Journal(clock) };
    this.#attempts = new Attempts(this.#matter);
  }

  /** Begins to dial and to accept, unless the wish bars it (shutdown, or a protection that cannot be had). */
  start(): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    if (this.#barred() === undefined) this.#attempts.start();
  }

  /** Takes a connection from the neighbour's address, or turns it away with a NOTIFICATION that says why. */
  accept(connection: Connection): void {
    const { wish, journal } = this.#matter;
    if (this.#closed || !this.#running) {
      connection.destroy();
    } else if (this.#barred() !== undefined) {
      this.#attempts.turnAway(connection, this.#barringWords());
    } else {
      const objection = objectionTo(connection, wish);
      if (objection === undefined) {
        this.#attempts.accept(connection);
        return;
      }
      journal.record({ text: `refused a connection: ${objection}` });
      this.#attempts.turnAway(connection);
      this.#attempts.tell();
    }
  }

  /** Makes a new wish true, and disturbs the session no more than changes.ts says. */
  apply(wish: PeerWish, speaker: Speaker): void {
    const wasBarred = this.#barred() !== undefined;
    const reach = disturbance(this.#matter, { wish, speaker });
    this.#matter.wish = wish;
    this.#matter.speaker = speaker;
    if (!this.#running) return;
    const barred = this.#barred() !== undefined;
    if (!barred && !wasBarred) this.#disturb(reach);
    else if (!barred) this.#attempts.start();
    else if (!wasBarred) this.#attempts.stop((attempt) => forGood(attempt, this.#barringWords()));
  }

  /** Whether the caller may go on sending; false also when there is no session to send on. */
  send(messages: Uint8Array): boolean {
    const { state, link } = this.#attempts.home;
    if (state.name !== 'established' || link === undefined) return false;
    this.#matter.journal.countSent(messages);
    return link.send(messages);
  }

  /** Asks the neighbour to send all of a family again (RFC 2918). False when it cannot. */
  requestRefresh(family: AddressFamily): boolean {
    const { state } = this.#attempts.home;
    if (state.name !== 'established' || !state.terms.routeRefresh) return false;
    if (!state.terms.families.includes(family)) return false;
    this.send(encodeRouteRefresh({ ...afiSafi(family), subtype: refreshSubtypes.request }));
    return true;
  }

  /** Ends the session with a Cease of this subcode and begins anew at once. */
  reset(subcode: number, text?: string): void {
    if (this.#running && this.#barred() === undefined) this.#attempts.restart(() => cease(subcode, text));
  }

  /**
   * Ends the session for good. `restart` closes TCP without a NOTIFICATION, so that a neighbour that helps keeps our
   * paths; the others say so, and as a hard reset where the neighbour would else keep them (RFC 8538). Resolves when
   * the connections are gone, which a neighbour can delay by two seconds at most.
   */
  async close(how: 'restart' | 'deconfigured' | 'shutdown', text?: string): Promise<void> {
    this.#running = false;
    this.#closed = true;
    const words = cease(how === 'deconfigured' ? ceaseCodes.deconfigured : ceaseCodes.shutdown, text);
    this.#attempts.stop((attempt) => (how === 'restart' ? undefined : forGood(attempt, words)));
    await this.#attempts.closed();
  }

  status(): SessionStatus {
    return statusOf({
      ...this.#matter,
      attempt: this.#attempts.front,
      barred: this.#closed ? 'closed' : this.#barred(),
    });
  }

  /** Adds to the errors in status(): what the owner found wrong with a message that the session survived. */
  record(error: Omit<SessionError, 'at'>): void {
    this.#matter.journal.record(error);
    this.#attempts.tell();
  }

  /** Why there must be no session at all, in words. */
  #barred(): string | undefined {
    const { wish, dialer } = this.#matter;
    if (wish.shutdown !== undefined) return `shut down by configuration${wish.shutdown && `: ${wish.shutdown}`}`;
    if (wish.absent !== undefined) return wish.absent;
    const lack = dialer.lacks?.(targetOf(wish));
    return lack === undefined ? undefined : `no session: ${lack}`;
  }

  #barringWords(): Words {
    const { shutdown, absent } = this.#matter.wish;
    // It most likely does not arrive; what counts is what it does to the peer's paths, and the reason in our status.
    if (absent !== undefined) return { ...cease(ceaseCodes.configuration), reason: absent };
    return shutdown === undefined ? cease(ceaseCodes.rejected) : cease(ceaseCodes.shutdown, shutdown);
  }

  #disturb(reach: Disturbance): void {
    if (reach === 'none') return;
    if (reach === 'guard' && this.#reguard()) return;
    if (reach === 'attempt' && progress[this.#attempts.front.state.name] >= progress.openConfirm) return;
    const words = cease(ceaseCodes.configuration);
    this.#attempts.restart((attempt) => (reach === 'hardReset' ? forGood(attempt, words) : words));
  }

  /** Changes keys and hop limits of the connections that stand; false when that cannot be done. */
  #reguard(): boolean {
    const { wish, journal } = this.#matter;
    try {
      return this.#attempts.all.every(({ connection, state }) => {
        connection?.protect?.(protectionOf(wish));
        // Dialling goes on with the old key, so it starts anew; without a connection there is nothing to change.
        return connection === undefined ? state.name !== 'connect' : connection.protect !== undefined;
      });
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      journal.record({ text: `cannot change the protection of the connection: ${error.message}` });
      return false;
    }
  }
}

/** RFC 8538 §4: where NOTIFICATIONs do not end the retention, an end for good has to say so. */
function forGood({ state }: Attempt, words: Words): Words {
  return 'terms' in state && state.terms.notificationRestart ? hardReset(words) : words;
}
