// fib/ as the agent uses it: the reconciler that keeps the routes, what next hops are reachable, and forwarding.
import { setTimeout as pause } from 'node:timers/promises';
import { familyOfPrefix } from '#ip';
import type { AddressFamily } from '../../bgp/message.ts';
import { type Reconciler, type Resolver, openFib } from '../../fib/index.ts';
import type { Log } from '../log.ts';
import { type ForwardingProblem, ensureForwarding } from './forwarding.ts';
import { Loop } from './loop.ts';
import { noteTo } from './note.ts';
import type { KernelStatus } from './status.ts';

export interface Kernel extends AsyncDisposable {
  readonly reconciler: Reconciler;
  resolve: Resolver['resolve'];
  /**
   * Waits for the first look at the kernel, for next hops cannot be judged before: families of which it holds routes
   * from before our start.
   */
  inherited(): Promise<readonly AddressFamily[]>;
  status(): KernelStatus;
  failures(): Loop[];
}

/** Whoever cannot read the kernel within this time starts without knowing what is in it, and says so in status. */
const FIRST_LOOK_MS = 5_000;
/** Somebody may switch forwarding off at any time, and nothing tells us. */
const FORWARDING_CHECK_MS = 30_000;

export interface KernelOptions {
  readonly log: Log;
  /** Where network settings are written. */
  readonly sysctls: string;
  /** Some next hop is reachable now that was not, or the other way round. */
  readonly onNextHops: () => void;
}

export function openKernel({ log, sysctls, onNextHops }: KernelOptions): Kernel {
  const fib = openFib({
    onNextHops,
    note: noteTo(log),
  });
  let problems: readonly ForwardingProblem[] = [];
  const forwarding = new Loop({
    doing: 'switching forwarding on',
    log,
    everyMs: FORWARDING_CHECK_MS,
    work: async () => {
      const now = await ensureForwarding(log, '/proc', sysctls);
      if (now.length > 0 && now.length !== problems.length) log.error({ problems: now }, 'this node does not forward');
      problems = now;
    },
  });
  forwarding.look();
  return {
    reconciler: fib.reconciler,
    resolve: (nextHop, dev) => fib.resolver.resolve(nextHop, dev),
    inherited: async () => {
      await Promise.race([fib.ready, pause(FIRST_LOOK_MS, undefined, { ref: false })]);
      const stale = fib.reconciler.routes().filter(({ state }) => state === 'stale');
      const families = new Set(stale.map(({ route }) => familyOfPrefix(route.prefix)));
      return [...families].map((family) => (family === 4 ? 'ipv4-unicast' : 'ipv6-unicast'));
    },
    status: () => ({ ...fib.reconciler.status(), forwarding: problems }),
    failures: () => [forwarding],
    [Symbol.asyncDispose]: async () => {
      await forwarding.close();
      await fib[Symbol.asyncDispose]();
    },
  };
}
