// Real TCP behind the ports: listening and dialling.
import { once } from 'node:events';
import { type AddressInfo, BoundSocket, type Server, Socket, createServer } from 'node:net';
import { type Address, type Prefix, familyOf, parseAddress } from '#ip';
import type { Endpoint } from '../wish.ts';
import { Guards, type SockOptsSource, demand, guard, lazily, reguard, whatLacks } from './guard.ts';
import type { Connection, DialTarget, Dialer, Protection } from './port.ts';
import { isLinkLocal, placeOf, scoped } from './place.ts';
import { TransportError, dialError, listenError } from './transport-error.ts';

export interface TransportOptions {
  /** Where socket options come from; by default this process itself. */
  readonly sockOpts?: SockOptsSource;
}

export interface Listener {
  readonly address: Address;
  /** The real one, also when any was asked for. */
  readonly port: number;
  /** What went wrong last in accepting a connection, in words. */
  readonly trouble: string | undefined;
  /**
   * Sets the TCP MD5 key (RFC 2385) for a neighbour or for every address of a prefix; undefined removes it. From then
   * on the kernel drops what comes from there without the right signature. Connections that stand are not touched.
   * @throws TransportError when the kernel refuses it, or there are no socket options.
   */
  setPassword(peer: Address | Prefix, password: string | undefined): void;
  /**
   * Sets how many hops away a neighbour, or those of a prefix, may be (RFC 5082); undefined: any number.
   * @throws TransportError when the kernel refuses it, or there are no socket options.
   */
  setTtlSecurity(peer: Address | Prefix, hops: number | undefined): void;
  /** Stops listening. Connections that stand are not touched. */
  close(): Promise<void>;
}

/** BGP is network control: class selector 6, in the upper six bits (RFC 4594 §3.1). */
const trafficClass = 0xc0;

/**
 * Listens for neighbours. A listener on :: takes IPv6 only; 0.0.0.0 is another one.
 * @param options `interface` is needed for a link-local address.
 * @throws TransportError that says who must act.
 */
export async function listen(
  endpoint: Endpoint,
  onConnection: (connection: Connection) => void,
  options: TransportOptions & { readonly interface?: string } = {},
): Promise<Listener> {
  const listener = new TcpListener(endpoint.address, onConnection, lazily(options.sockOpts));
  try {
    const host = scoped(endpoint.address, options.interface);
    using bound = new BoundSocket({ host, port: endpoint.port, ipv6Only: familyOf(endpoint.address) === 6 });
    await listener.open(bound);
    return listener;
  } catch (cause) {
    throw listenError(cause, placeOf(endpoint.address, endpoint.port, options.interface));
  }
}

/** Dials with everything that the target asks for, or not at all. */
export function createDialer(options: TransportOptions = {}): Dialer {
  const sockOpts = lazily(options.sockOpts);
  return {
    lacks: (to) => whatLacks(to, sockOpts),
    dial: async (to, signal) => {
      const socket = await connect(to, signal, sockOpts);
      return connectionOver(socket, 'us', protectionOf(to), sockOpts);
    },
  };
}

class TcpListener implements Listener {
  readonly address: Address;
  port = 0;
  trouble: string | undefined;
  readonly #onConnection: (connection: Connection) => void;
  readonly #sockOpts: SockOptsSource;
  readonly #server: Server;
  readonly #guards = new Guards();
  /** The descriptor of the server's socket: its own as long as the server listens. */
  #fd = -1;

  constructor(address: Address, onConnection: (connection: Connection) => void, sockOpts: SockOptsSource) {
    this.address = address;
    this.#onConnection = onConnection;
    this.#sockOpts = sockOpts;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  async open(bound: BoundSocket): Promise<void> {
    this.#fd = bound.fd();
    this.#server.listen(bound);
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    // From here on an error is one of accept(2), and the listener goes on.
    this.#server.on('error', (error) => (this.trouble = `cannot accept a connection: ${error.message}`));
  }

  setPassword(peer: Address | Prefix, password: string | undefined): void {
    if (!this.#server.listening) return;
    demand(this.#sockOpts).setPassword(this.#fd, peer, password);
    this.#guards.change(peer, { password });
  }

  setTtlSecurity(peer: Address | Prefix, hops: number | undefined): void {
    if (!this.#server.listening) return;
    // The handshake is the listener's: a neighbour that counts hops does so from the SYN-ACK on. The minimum is set on
    // each accepted connection, because the listener's would hold for every neighbour.
    if (hops !== undefined) demand(this.#sockOpts).setHopLimit(this.#fd, familyOf(this.address), 255);
    this.#guards.change(peer, { ttlSecurityHops: hops });
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    // The port is free at once; the server's 'close' would wait for connections that are not the listener's any more.
    this.#server.close();
    await new Promise((resolve) => setImmediate(resolve));
  }

  #accept(socket: Socket): void {
    ignoreErrors(socket);
    // Closed again before we came to it: there is nobody to talk to, and no address to know them by.
    if (socket.remoteAddress === undefined || socket.localAddress === undefined) {
      socket.destroy();
      return;
    }
    try {
      this.#onConnection(this.#guarded(socket));
    } catch (error) {
      socket.destroy();
      if (!(error instanceof TransportError)) throw error;
      this.trouble = error.message;
    }
  }

  /** Keys are inherited from the listener, the minimum hop limit is each neighbour's own. */
  #guarded(socket: Socket): Connection {
    const protection = this.#guards.of(unscoped(socket.remoteAddress!).address);
    const { password } = protection;
    const connection = connectionOver(socket, 'peer', password === undefined ? {} : { password }, this.#sockOpts);
    connection.protect(protection);
    return connection;
  }
}

async function connect(to: DialTarget, signal: AbortSignal, sockOpts: SockOptsSource): Promise<Socket> {
  const place = placeOf(to.address, to.port, to.interface);
  let socket: Socket | undefined;
  try {
    socket = guardedSocket(to, sockOpts);
    socket.connect({ host: scoped(to.address, to.interface), port: to.port });
    await once(socket, 'connect', { signal });
    return socket;
  } catch (cause) {
    socket?.destroy();
    if (cause instanceof TransportError) throw cause;
    if (signal.aborted) throw new TransportError('aborted', `connecting to ${place} was given up`, cause);
    throw dialError(cause, place, to.localAddress);
  }
}

/** A socket that is bound and guarded before its first packet. */
function guardedSocket(to: DialTarget, sockOpts: SockOptsSource): Socket {
  const family = familyOf(to.address);
  const host = to.localAddress ? scoped(to.localAddress, to.interface) : family === 6 ? '::' : '0.0.0.0';
  using bound = new BoundSocket({ host, ipv6Only: family === 6 });
  guard(bound.fd(), to.address, to, sockOpts);
  if (to.interface !== undefined && !isLinkLocal(to.address)) {
    demand(sockOpts).bindToInterface(bound.fd(), to.interface);
  }
  const socket = new Socket({ handle: bound });
  ignoreErrors(socket);
  socket.setNoDelay(true);
  return socket;
}

function connectionOver(
  socket: Socket,
  openedBy: Connection['openedBy'],
  protection: Protection,
  sockOpts: SockOptsSource,
): Connection & Required<Pick<Connection, 'protect'>> {
  const local = unscoped(socket.localAddress!);
  const remote = unscoped(socket.remoteAddress!);
  socket.setTypeOfService(trafficClass);
  let current = protection;
  return {
    stream: socket,
    local: { address: local.address, port: socket.localPort! },
    remote: { address: remote.address, port: socket.remotePort! },
    openedBy,
    ...(remote.interface !== undefined && { interface: remote.interface }),
    get protection() {
      return current;
    },
    protect: (next) => {
      reguard(descriptorOf(socket), remote.address, current, next, sockOpts);
      current = next;
    },
    destroy: () => socket.destroy(),
  };
}

/** Whoever takes a socket over listens for its errors; until then, or after that, one must not end the process. */
function ignoreErrors(socket: Socket): void {
  socket.on('error', () => undefined);
}

function protectionOf({ password, ttlSecurityHops }: Protection): Protection {
  return { ...(password !== undefined && { password }), ...(ttlSecurityHops !== undefined && { ttlSecurityHops }) };
}

/** Node offers a descriptor only before a socket is connected (BoundSocket.fd); this is its one private property here. */
function descriptorOf(socket: Socket): number {
  const fd = (socket as { _handle?: { fd?: number } | null })._handle?.fd;
  if (fd === undefined || fd < 0) throw new TransportError('other', 'the connection is gone');
  return fd;
}

function unscoped(text: string): { address: Address; interface?: string } {
  const [address, name] = text.split('%');
  return { address: parseAddress(address!), ...(name !== undefined && { interface: name }) };
}
