// The probes of status/ as the agent answers them: from the first moment of its life, whatever it still waits for.
import type { AgentConfig } from '../config.ts';
import type { Log } from '../log.ts';
import { Liveness, type Progress, readiness } from '../status/probes.ts';
import { serveProbes } from '../status/serve-probes.ts';
import type { Store } from '../store/port.ts';
import type { Kernel } from './kernel.ts';
import { Loop } from './loop.ts';
import type { Pods } from './pods.ts';
import type { Router } from './router.ts';

/** The agent's parts, as far as the start has come. */
export interface Underway {
  store?: Store;
  kernel?: Kernel | undefined;
  router?: Router;
  pods?: Pods | undefined;
  /** See hindrances.ts. */
  hindrances?: readonly string[];
  /** The CNI socket is open. */
  servesCni?: true;
}

/** Of a start, what has been reached stays reached: that something is away later is status, not readiness. */
export class Milestones {
  private readonly config: Pick<AgentConfig, 'fib' | 'cni'>;
  private readonly underway: Underway;
  private settling = false;
  private settled = false;

  constructor(config: Pick<AgentConfig, 'fib' | 'cni'>, underway: Underway) {
    this.config = config;
    this.underway = underway;
  }

  look(): Progress {
    const { store, router, servesCni, hindrances } = this.underway;
    const { fib, cni } = this.config;
    const speakerRuns = router?.speaker !== undefined;
    if (speakerRuns) this.settle();
    return {
      storeReached: router?.view !== undefined,
      storeSays: store?.status().error ?? 'no answer so far',
      speakerRuns,
      routes: fib ? (this.settled ? 'synced' : 'waiting') : 'leftOut',
      cni: cni ? (servesCni ? 'serving' : 'waiting') : 'leftOut',
      hindrances,
      deaf: (router?.speaker?.status().listening ?? []).flatMap(({ address, port, error }) =>
        error === undefined ? [] : [`nobody can dial us at ${address} port ${port}: ${error}`],
      ),
    };
  }

  /** The speaker runs and the kernel has what it should have had by then: nothing of a top-of-rack router in it. */
  get inPlace(): boolean {
    const { speakerRuns, routes, hindrances } = this.look();
    return speakerRuns && routes !== 'waiting' && hindrances?.length === 0;
  }

  private settle(): void {
    const { kernel } = this.underway;
    if (this.settling || kernel === undefined) return;
    this.settling = true;
    // Closed before: nobody asks any more.
    kernel.reconciler.settled().then(
      () => (this.settled = true),
      () => undefined,
    );
  }
}

/** Answers where `health` says. A port that somebody else has is tried again: routing does not depend on probes. */
export function openProbes(
  health: AgentConfig['health'],
  { underway, milestones, log }: { readonly underway: Underway; readonly milestones: Milestones; readonly log: Log },
): { readonly loops: readonly Loop[] } & AsyncDisposable {
  if (health === undefined) return { loops: [], [Symbol.asyncDispose]: async () => undefined };
  const loops = (): Loop[] => {
    const { router, kernel, pods } = underway;
    return [...(router?.failures() ?? []), ...(kernel?.failures() ?? []), ...(pods?.failures() ?? [])];
  };
  const liveness = new Liveness();
  let server: AsyncDisposable | undefined;
  const opening = new Loop({
    doing: 'opening the port for probes',
    log,
    work: async () => {
      server ??= await serveProbes(health, {
        readiness: () => readiness(milestones.look()),
        liveness: () => liveness.check(performance.now(), loops(), underway.kernel?.reconciler.status().error),
        failures: () => loops().flatMap(({ failure }) => failure ?? []),
      });
    },
  });
  opening.look();
  return {
    loops: [opening],
    [Symbol.asyncDispose]: async () => {
      await opening.close();
      await server?.[Symbol.asyncDispose]();
    },
  };
}
