// What a kubelet may ask: whether this agent is ready for pods, and whether a restart would help. Pure but for what a
// probe remembers from the one before.
//
// Readiness falls neither with a top-of-rack router nor with the API server: pods come and go without either, and an
// agent that is not ready holds up every rolling update. Liveness fails only where a new process would do better than
// this one. An event loop that is stuck gives no answer at all, which is one.
import type { Failure } from '../agent/status.ts';
import { durationText } from '../text.ts';

export interface Check {
  readonly name: string;
  readonly good: boolean;
  /** A clause: why not, or what is good about it. */
  readonly says: string;
}

/** What there is to know when a probe comes. */
export interface Progress {
  /** The configuration has been read, at some time. */
  readonly storeReached: boolean;
  /** A sentence for while it is not. */
  readonly storeSays: string;
  /** The speaker runs; absent: the configuration does not say who this node is. */
  readonly speakerRuns: boolean;
  /** What should be in the kernel was in it, at some time. 'leftOut': routes are not ours to install. */
  readonly routes: 'leftOut' | 'synced' | 'waiting';
  readonly cni: 'leftOut' | 'serving' | 'waiting';
  /** What this host does not give to the process, a sentence each; absent until that has been looked at. */
  readonly hindrances: readonly string[] | undefined;
  /** Where BGP should be listened and cannot be, and why. */
  readonly deaf: readonly string[];
}

export function readiness({ storeReached, storeSays, speakerRuns, routes, cni, hindrances, deaf }: Progress): Check[] {
  return [
    {
      name: 'host',
      good: hindrances?.length === 0,
      says: hindrances?.join('; ') || (hindrances ? 'lets us work' : 'not looked at yet'),
    },
    { name: 'store', good: storeReached, says: storeReached ? 'has been read' : `not read yet: ${storeSays}` },
    {
      name: 'speaker',
      good: speakerRuns,
      says: speakerRuns ? 'runs' : 'waits for a configuration that says who this node is',
    },
    { name: 'listening', good: deaf.length === 0, says: deaf.join('; ') || 'nothing stands against it' },
    {
      name: 'routes',
      good: routes !== 'waiting',
      says: {
        leftOut: 'left to others',
        synced: 'have been put into the kernel',
        waiting: 'not in the kernel yet',
      }[routes],
    },
    {
      name: 'cni',
      good: cni !== 'waiting',
      says: { leftOut: 'left to others', serving: 'answers', waiting: 'does not answer yet' }[cni],
    },
  ];
}

/** Work of the agent's: since when one run of it has been going on. Milliseconds of a clock that never steps. */
export interface Work {
  readonly doing: string;
  readonly busySince: number | undefined;
}

/** Every request has a bound, so that a run which takes longer than this waits for what never comes. */
export const STUCK_MS = 600_000;
/** `ip` has not been able to run for so long: files or processes may have run out, which a new process would have. */
export const NO_KERNEL_MS = 300_000;

export class Liveness {
  private kernelFailsSince: number | undefined;

  /**
   * @param now of a clock that never steps
   * @param kernelError set while the kernel can be neither asked nor told
   */
  check(now: number, work: readonly Work[], kernelError: string | undefined): Check[] {
    this.kernelFailsSince = kernelError === undefined ? undefined : (this.kernelFailsSince ?? now);
    return [this.kernel(now, kernelError), ...work.map((each) => workCheck(now, each))];
  }

  private kernel(now: number, error: string | undefined): Check {
    const failsFor = now - (this.kernelFailsSince ?? now);
    const says = error === undefined ? 'can be asked and told' : `cannot for ${durationText(failsFor)}: ${error}`;
    return { name: 'kernel', good: failsFor < NO_KERNEL_MS, says };
  }
}

function workCheck(now: number, { doing, busySince }: Work): Check {
  const busyFor = busySince === undefined ? 0 : now - busySince;
  const good = busyFor < STUCK_MS;
  return { name: doing, good, says: good ? 'goes on' : `has not ended for ${durationText(busyFor)}` };
}

/** What of the agent's work fails at present is no reason for either, but whoever asks should see it. */
export function probeText(checks: readonly Check[], failures: readonly Failure[] = []): string {
  return [
    ...checks.map(({ name, good, says }) => `${good ? 'good' : 'bad '}  ${name}: ${says}`),
    ...failures.map(({ doing, error }) => `note  ${doing} fails at present: ${error}`),
    '',
  ].join('\n');
}
