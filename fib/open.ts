// The whole of fib/ put together over real `ip` children: what an agent starts.
import { startDump } from './dump.ts';
import { FibError } from './error.ts';
import { startBatch } from './ip.ts';
import { startMonitor } from './monitor.ts';
import type { Hint, KernelLink, Note } from './port.ts';
import { type Reconciler, createReconciler } from './reconciler.ts';
import { type Resolver, createResolver } from './resolver.ts';

export interface FibOptions {
  /** How `ip` is called; another network namespace is `['ip', '-n', name]`. */
  readonly command?: readonly string[];
  /** resolve() may answer differently now. */
  readonly onNextHops?: () => void;
  /** Interfaces or addresses changed. */
  readonly onLinks?: (links: readonly KernelLink[]) => void;
  readonly note?: (note: Note) => void;
}

export interface Fib extends AsyncDisposable {
  readonly reconciler: Reconciler;
  readonly resolver: Resolver;
  /** As of the last change that was heard of. */
  readonly links: readonly KernelLink[];
  /** Resolves after the first look: the resolver knows the kernel now. Rejects when closed before. */
  readonly ready: Promise<void>;
}

/** Starts the children, the first look and the hints. Disposing of it leaves the kernel's routes as they are. */
export function openFib(options: FibOptions = {}): Fib {
  const child = options.command ? { command: options.command } : {};
  const batch = startBatch({ ...child, learnLinks: 'when told' });
  const dump = startDump(child);
  const resolver = createResolver(options.onNextHops);
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => undefined); // whoever waits for it hears of it
  const note = options.note ? { note: options.note } : {};
  let links: readonly KernelLink[] = [];
  let linksAsked = false;

  const readLinks = async (): Promise<void> => {
    linksAsked = false;
    try {
      links = await dump.links();
    } catch (error) {
      if (!(error instanceof FibError)) throw error;
      if (error.code !== 'closed') askLinks(); // the reconciler meets the same trouble, and reports it
      return;
    }
    resolver.update({ links });
    options.onLinks?.(links);
  };
  const askLinks = (): void => {
    if (linksAsked) return;
    linksAsked = true;
    setTimeout(() => void readLinks(), LINKS_DEBOUNCE_MS).unref();
  };

  const reconciler = createReconciler({
    ...{ batch, dump },
    ...note,
    looked(routes) {
      resolver.update({ routes });
      first.resolve();
    },
  });
  const hear = (hint: Hint): void => {
    if (hint.about !== 'route') {
      batch.linksChanged();
      askLinks();
    }
    reconciler.look(hint);
  };
  const monitor = startMonitor(hear, child);
  askLinks();

  return {
    reconciler,
    resolver,
    ready: first.promise,
    get links() {
      return links;
    },
    async [Symbol.asyncDispose]() {
      first.reject(new FibError('closed', 'closed before the kernel had been looked at'));
      await monitor[Symbol.asyncDispose]();
      await reconciler.close();
      await Promise.all([batch[Symbol.asyncDispose](), dump[Symbol.asyncDispose]()]);
    },
  };
}

const LINKS_DEBOUNCE_MS = 50;
