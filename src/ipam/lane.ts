// One lane for everything that this node writes about addresses: what arrives while a batch is on its way forms the
// next one. So the agent never loses a compare-and-swap to itself, and a burst costs a few writes of a block instead
// of one each. What the store cannot serve because it is away, the journal serves (outage.ts).
import type { Address } from '#ip';
import type { AddressRequest } from '../../cni/port.ts';
import { type Outcome, assignBatch } from './assign.ts';
import type { Site } from './claim.ts';
import { IpamError, asError } from './error.ts';
import type { Outage } from './outage.ts';
import { releaseHandles } from './release.ts';

export interface Lane {
  assign(request: AddressRequest): Promise<readonly Address[]>;
  release(handle: string): Promise<void>;
  /** Anything else that must not meet the others. */
  run<T>(work: () => Promise<T>): Promise<T>;
}

type Job =
  | {
      readonly do: 'assign';
      readonly request: AddressRequest;
      readonly resolve: (addresses: readonly Address[]) => void;
      readonly reject: (error: Error) => void;
    }
  | {
      readonly do: 'release';
      readonly handle: string;
      readonly resolve: () => void;
      readonly reject: (error: Error) => void;
    }
  | { readonly do: 'run'; readonly work: () => Promise<void> };

type Assign = Extract<Job, { do: 'assign' }>;
type ReleaseJob = Extract<Job, { do: 'release' }>;

export interface LaneOptions {
  readonly site: Site;
  /** Makes an error fit for whoever asked. */
  readonly explain: (error: Error) => Error;
  /** Absent: what the store cannot serve fails. */
  readonly outage?: Outage | undefined;
}

export function createLane(options: LaneOptions): Lane {
  const { explain } = options;
  let waiting: Job[] = [];
  let busy = false;

  const submit = (job: Job): void => {
    waiting.push(job);
    if (!busy) void drain();
  };

  const drain = async (): Promise<void> => {
    busy = true;
    // A turn's worth of requests that came at once belongs together.
    await Promise.resolve();
    while (waiting.length > 0) {
      const { batch, rest } = takeBatch(waiting);
      waiting = rest;
      await serve(options, batch);
    }
    busy = false;
  };

  return {
    assign: (request) => new Promise((resolve, reject) => submit({ do: 'assign', request, resolve, reject })),
    release: (handle) => new Promise((resolve, reject) => submit({ do: 'release', handle, resolve, reject })),
    run: (work) =>
      new Promise((resolve, reject) =>
        submit({ do: 'run', work: () => work().then(resolve, (error: Error) => reject(explain(error))) }),
      ),
  };
}

/** What may run together: no handle twice, so that its requests keep their order; other work by itself. */
function takeBatch(jobs: readonly Job[]): { batch: Job[]; rest: Job[] } {
  if (jobs[0]?.do === 'run') return { batch: [jobs[0]], rest: jobs.slice(1) };
  const wall = jobs.findIndex((job) => job.do === 'run');
  const reach = wall < 0 ? jobs.length : wall;
  const handles = new Set<string>();
  const batch: Job[] = [];
  const rest: Job[] = [];
  for (const [index, job] of jobs.entries()) {
    const handle = handleOf(job);
    if (index >= reach || handle === undefined || handles.has(handle)) {
      rest.push(job);
      continue;
    }
    handles.add(handle);
    batch.push(job);
  }
  return { batch, rest };
}

function handleOf(job: Job): string | undefined {
  if (job.do === 'run') return undefined;
  return job.do === 'assign' ? job.request.handle : job.handle;
}

async function serve(options: LaneOptions, batch: readonly Job[]): Promise<void> {
  for (const job of batch) if (job.do === 'run') await job.work();
  // What is given back first may be given out at once.
  const releases = batch.filter((job): job is ReleaseJob => job.do === 'release');
  const assigns = batch.filter((job): job is Assign => job.do === 'assign');
  if (releases.length + assigns.length === 0) return;
  try {
    const isStoreThere = (await options.outage?.isStoreThere()) ?? true;
    await serveReleases(options, releases, isStoreThere);
    await serveAssigns(options, assigns, isStoreThere);
    if (await options.outage?.wantsMore()) await options.outage?.replenish();
  } catch (error) {
    // The journal cannot be read or written, or the store cannot be brought up to it. Settled jobs stay settled.
    for (const { reject } of [...releases, ...assigns]) reject(options.explain(asError(error)));
  }
}

async function serveReleases(options: LaneOptions, jobs: readonly ReleaseJob[], isStoreThere: boolean): Promise<void> {
  const { site, outage, explain } = options;
  if (jobs.length === 0) return;
  const handles = jobs.map(({ handle }) => handle);
  const outcome = isStoreThere ? await releaseHandles(site, handles) : undefined;
  for (const { handle, resolve, reject } of jobs) {
    const error = outcome?.get(handle);
    if (outcome !== undefined && error === undefined) resolve();
    else if (outage !== undefined && (error === undefined || outage.isAway(error)))
      await outage.release(handle).then(resolve);
    else reject(explain(asError(error)));
  }
}

async function serveAssigns(options: LaneOptions, jobs: readonly Assign[], isStoreThere: boolean): Promise<void> {
  const { outage, explain } = options;
  if (jobs.length === 0) return;
  const requests = jobs.map(({ request }) => request);
  const outcomes = isStoreThere ? await assignOnce(options, requests) : undefined;
  for (const [index, { request, resolve, reject }] of jobs.entries()) {
    const outcome = outcomes?.[index];
    if (outcome !== undefined && 'addresses' in outcome) resolve(outcome.addresses);
    else if (outage !== undefined && (outcome === undefined || outage.isAway(outcome.error))) {
      await outage.assign(request).then(resolve, (error: unknown) => reject(explain(asError(error))));
    } else reject(explain(asError(outcome?.error)));
  }
}

/** Before a request is refused for want of addresses, those go that are kept for times without a store. */
async function assignOnce({ site, outage }: LaneOptions, requests: readonly AddressRequest[]): Promise<Outcome[]> {
  const outcomes = await assignBatch(site, requests);
  const refused = requests.filter((_, index) => isForWant(outcomes[index]!));
  if (refused.length === 0 || outage === undefined || !(await outage.giveUp())) return outcomes;
  const again = await assignBatch(site, refused);
  return outcomes.map((outcome, index) => again[refused.indexOf(requests[index]!)] ?? outcome);
}

function isForWant(outcome: Outcome): boolean {
  if (!('error' in outcome) || !(outcome.error instanceof IpamError)) return false;
  return outcome.error.code === 'exhausted' || outcome.error.code === 'limit';
}
