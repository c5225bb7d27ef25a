// A session under test: clock and network in memory, an owner that writes down what it is told.
import { type Address, parseAddress } from '#ip';
import { Session } from '../../../bgp/session/index.ts';
import type { AddressFamily, RouteRefresh, Terms } from '../../../bgp/message.ts';
import type { SessionOwner } from '../../../bgp/session/port.ts';
import { type PeerWish, peerDefaults } from '../../../bgp/wish.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { MemoryNetwork, type WireOptions } from '../../support/memory-transport.ts';
import { RawPeer } from '../../support/raw-peer.ts';

export const we = '10.0.0.1';
export const peer = '10.0.0.2';
export const speaker = { asn: 64_512, routerId: parseAddress(we) };

export function aWish(other: Partial<PeerWish> = {}): PeerWish {
  return {
    ...peerDefaults,
    name: 'tor',
    address: parseAddress(peer),
    asn: 65_001,
    kind: 'global',
    families: ['ipv4-unicast'],
    ...other,
  };
}

/** Writes down what it is told, in words and in full. */
export class Owner implements SessionOwner {
  readonly told: string[] = [];
  readonly updates: Uint8Array[] = [];
  readonly refreshes: RouteRefresh[] = [];
  terms: Terms | undefined;
  changes = 0;
  restart = { restarting: false, forwarding: [] as AddressFamily[] };
  /** What update() does besides. */
  onUpdate: (body: Uint8Array) => void = () => undefined;
  onEstablished: () => void = () => undefined;

  established(terms: Terms): void {
    this.terms = terms;
    this.told.push('established');
    this.onEstablished();
  }
  update(body: Uint8Array): void {
    this.updates.push(body.slice());
    this.onUpdate(body);
  }
  routeRefresh(message: RouteRefresh): void {
    this.refreshes.push(message);
  }
  down(retain: boolean): void {
    this.told.push(retain ? 'down, retain' : 'down');
  }
  drained(): void {
    this.told.push('drained');
  }
  restartState(): { readonly restarting: boolean; readonly forwarding: readonly AddressFamily[] } {
    return this.restart;
  }
  changed(): void {
    this.changes++;
  }
}

export interface Bench {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  readonly owner: Owner;
  readonly session: Session;
  /** The session dials, the test's raw peer answers. */
  readonly dialled: () => Promise<RawPeer>;
  /** The raw peer dials. */
  readonly dial: (from?: Address) => Promise<RawPeer>;
  /** The session is up, with a peer that says this in its OPEN. */
  readonly establish: (...open: Parameters<RawPeer['handshake']>) => Promise<RawPeer>;
}

/** @param lack what the machine cannot do that the wish asks for. */
export function bench(other: Partial<PeerWish> = {}, options: WireOptions = {}, lack?: string): Bench {
  const clock = new FakeClock();
  const network = new MemoryNetwork(options);
  const owner = new Owner();
  const dialer = { ...network.dialer(we), lacks: () => lack };
  const session = new Session(aWish(other), speaker, owner, { clock, dialer });
  network.listen(we, (connection) => session.accept(connection));

  const dialled = async (): Promise<RawPeer> => {
    const came = Promise.withResolvers<RawPeer>();
    const stop = network.listen(peer, (connection) => came.resolve(new RawPeer(connection)));
    session.start();
    const raw = await came.promise;
    stop();
    return raw;
  };
  const dial = async (from: string = peer): Promise<RawPeer> => new RawPeer(await network.connect(from, we));
  const establish = async (...open: Parameters<RawPeer['handshake']>): Promise<RawPeer> => {
    const raw = await dialled();
    await raw.handshake(...open);
    await settle();
    return raw;
  };
  return { clock, network, owner, session, dialled, dial, establish };
}

export const marker = 'ff'.repeat(16);

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

/** Keeps the event loop busy. */
export function takeTime(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
