// One lane for everything that this node writes about addresses: what arrives while a batch is on its way forms the
// next one. So the agent never loses a compare-and-swap to itself, and a burst costs a few writes of a block instead
// of one each.
import type { Address } from '#ip';
import type { AddressRequest } from '../../cni/port.ts';
import { assignBatch } from './assign.ts';
import type { Site } from './claim.ts';
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

/** @param explain makes an error fit for whoever asked */
export function createLane(site: Site, explain: (error: Error) => Error): Lane {
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
      await serve(site, batch, explain);
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

async function serve(site: Site, batch: readonly Job[], explain: (error: Error) => Error): Promise<void> {
  for (const job of batch) if (job.do === 'run') await job.work();
  // What is given back first may be given out at once.
  await serveReleases(
    site,
    batch.filter((job): job is ReleaseJob => job.do === 'release'),
    explain,
  );
  await serveAssigns(
    site,
    batch.filter((job): job is Assign => job.do === 'assign'),
    explain,
  );
}

async function serveReleases(site: Site, jobs: readonly ReleaseJob[], explain: (error: Error) => Error): Promise<void> {
  if (jobs.length === 0) return;
  const outcome = await releaseHandles(
    site,
    jobs.map(({ handle }) => handle),
  );
  for (const { handle, resolve, reject } of jobs) {
    const error = outcome.get(handle);
    if (error === undefined) resolve();
    else reject(explain(error));
  }
}

async function serveAssigns(site: Site, jobs: readonly Assign[], explain: (error: Error) => Error): Promise<void> {
  if (jobs.length === 0) return;
  const outcomes = await assignBatch(
    site,
    jobs.map(({ request }) => request),
  );
  for (const [index, { resolve, reject }] of jobs.entries()) {
    const outcome = outcomes[index]!;
    if ('addresses' in outcome) resolve(outcome.addresses);
    else reject(explain(outcome.error));
  }
}
