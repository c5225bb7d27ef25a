// Finds the neighbour on each link that an unnumbered session is on, and makes this host findable there.
//
// Level-triggered: a look reads the links and the kernel's neighbour table and says what it sees; the monitor and a timer
// only say when to look. There are child processes only while some link is followed.
import { isDeepStrictEqual } from 'node:util';
import { Reader } from '../dump.ts';
import { FibError } from '../error.ts';
import { type Monitor, startMonitor } from '../monitor.ts';
import type { Note } from '../port.ts';
import { FollowedLink, type Sighting } from './followed-link.ts';
import { readLinks } from './links.ts';
import { type SendIcmp6, icmp6Sender } from './socket.ts';
import { type KernelNeighbour, parseNeighbour } from './table.ts';

export interface Discovery extends AsyncDisposable {
  /** The links to find neighbours on, by name; all others are left alone. */
  follow(names: Iterable<string>): void;
  sighting(name: string): Sighting;
}

export interface DiscoveryOptions {
  /** Some sighting is another one now. */
  readonly onChange: () => void;
  readonly note?: (note: Note) => void;
  /** How router advertisements are sent; by default really. */
  readonly send?: SendIcmp6;
}

/** What happens together is looked at once. */
const DEBOUNCE_MS = 50;
/** Looks that no event asks for are at least so far apart. */
const SOONEST_MS = 1000;
/** An `ip` that does not answer for so long is killed and asked anew. */
const PATIENCE_MS = 10_000;
/** Before the first look there is nothing to say but this. */
const NOT_YET: Sighting = { reason: 'its neighbour is being looked for' };

/** Starts nothing before a link is followed. */
export function startDiscovery(options: DiscoveryOptions): Discovery {
  return new LinkDiscovery(options);
}

class LinkDiscovery implements Discovery {
  private readonly options: DiscoveryOptions;
  private readonly send: SendIcmp6;
  private links: readonly FollowedLink[] = [];
  private readonly sightings = new Map<string, Sighting>();
  private children: { readonly monitor: Monitor; readonly reader: Reader } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private lookAgain = false;
  private closed = false;

  constructor(options: DiscoveryOptions) {
    this.options = options;
    this.send = options.send ?? icmp6Sender();
  }

  follow(names: Iterable<string>): void {
    const wished = [...new Set(names)];
    const before = this.links;
    this.links = wished.map((name) => before.find((link) => link.name === name) ?? new FollowedLink(name));
    for (const name of this.sightings.keys()) if (!wished.includes(name)) this.sightings.delete(name);
    if (this.links.some((link) => !before.includes(link))) this.look();
    else if (this.links.length === 0) void this.stopChildren();
  }

  sighting(name: string): Sighting {
    return this.sightings.get(name) ?? NOT_YET;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.stopChildren();
    await this.looking;
  }

  /** Asks for a look that begins after this call. */
  private look(): void {
    this.lookAgain = true;
    this.looking ??= this.run();
  }

  private async run(): Promise<void> {
    while (this.lookAgain && !this.closed && this.links.length > 0) {
      this.lookAgain = false;
      await this.lookAtAll();
      await new Promise((resolve) => setTimeout(resolve, DEBOUNCE_MS));
    }
    this.looking = undefined;
    if (!this.closed && this.links.length > 0) this.lookInTime();
  }

  private lookInTime(): void {
    clearTimeout(this.timer);
    const due = Math.min(...this.links.map(({ dueAt }) => dueAt));
    if (due === Infinity) return; // the monitor tells when a link is up
    this.timer = setTimeout(() => this.look(), Math.max(SOONEST_MS, due - performance.now()));
    this.timer.unref();
  }

  private async lookAtAll(): Promise<void> {
    const { reader } = (this.children ??= this.startChildren());
    const up = readLinks();
    let changed = false;
    for (const link of this.links) {
      // A long-lived `ip` keeps the number that a name once stood for.
      if (link.moveTo(up.get(link.name))) reader.renew();
      if (link.isUp) link.see(await readTable(reader, link.name), performance.now());
      if (this.closed) return;
      link.advertise(this.send, performance.now());
      changed = this.tell(link) || changed;
    }
    if (changed) this.options.onChange();
  }

  /** Keeps what is seen on a link. Returns whether that is news. */
  private tell(link: FollowedLink): boolean {
    const before = this.sighting(link.name);
    const now = link.sighting(performance.now());
    this.sightings.set(link.name, now);
    if (isDeepStrictEqual(before, now)) return false;
    if (now.found && !isDeepStrictEqual(before.found, now.found)) {
      this.options.note?.({ message: 'found the neighbour on a link', interface: link.name, ...now.found });
    }
    if (before.found && !now.found) {
      this.options.note?.({ message: 'lost the neighbour on a link', interface: link.name, reason: now.reason });
    }
    return true;
  }

  private startChildren(): NonNullable<LinkDiscovery['children']> {
    const command = ['ip', '-6'];
    const objects = ['link', 'address', 'neigh'];
    return {
      monitor: startMonitor(() => this.look(), { command, objects }),
      reader: new Reader([...command, '-s', '-j', '-force', '-batch', '-'], PATIENCE_MS),
    };
  }

  private async stopChildren(): Promise<void> {
    const { children } = this;
    this.children = undefined;
    await Promise.all([children?.monitor[Symbol.asyncDispose](), children?.reader.close()]);
  }
}

async function readTable(reader: Reader, name: string): Promise<readonly KernelNeighbour[] | FibError> {
  const table: KernelNeighbour[] = [];
  try {
    await reader.ask(`neigh show dev ${name}`, (objects) => {
      table.push(...objects.flatMap((object) => parseNeighbour(object) ?? []));
    });
    return table;
  } catch (error) {
    if (error instanceof FibError) return error;
    throw error;
  }
}
