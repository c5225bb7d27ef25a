// Giving addresses out: a whole batch of requests at a time, with one write for each handle and one for each block.
//
// A round: look what the handles hold already (so that a repeated request gets the same addresses, and a write that
// succeeded unheard is seen); plan; write the handles; compare-and-swap the blocks. Requests whose block was changed
// by somebody else go into the next round. All or nothing: a request that fails gives back what it got in passing.
//
// The first round is a quick one: it reads nothing that agents write, and goes by what this process knows of its blocks.
// It can serve a request and never refuse one: whatever does not work out goes into a thorough round.
import { type Address, type Family, type Prefix, addressAt, familyOf } from '#ip';
import type { AddressRequest } from '../../cni/port.ts';
import type { IPAMBlock, IPAMHandle } from '../resources/types.ts';
import { type Owner, holdingsOf, hostOf } from './block.ts';
import { type Site, TRIALS, settledBlocks } from './claim.ts';
import { getBlock, getHandle, ifUnchanged } from './data.ts';
import { Desk, type Draft, type Pick, unpick } from './desk.ts';
import { IpamError, asError } from './error.ts';
import { blocksOf, countHoldings, tidyHandle, writeHandle } from './handles.ts';
import { releaseFrom } from './release.ts';
import { readSettings } from './settings.ts';
import { timestamp } from './time.ts';

/** What became of a request. */
export type Outcome = { readonly addresses: readonly Address[] } | { readonly error: Error };

/** One request on its way. */
interface Work {
  readonly request: AddressRequest;
  readonly owner: Owner;
  outcome?: Outcome;
  handle?: IPAMHandle | undefined;
  /** The blocks in which the handle holds something, and what. */
  blocks: readonly IPAMBlock[];
  held: Address[];
  picks: Pick[];
  /** The handle has been written. */
  announced: boolean;
  /** What this batch tried to give it: to be given back if it fails after all. */
  readonly tried: { readonly cidr: Prefix; readonly ordinal: number }[];
}

/** Serves requests of different handles. Never rejects: the errors are in the answers, in the order of the requests. */
export async function assignBatch(site: Site, requests: readonly AddressRequest[]): Promise<Outcome[]> {
  const works = requests.map((request) => newWork(site, request));
  const known = site.known.ownBlocks();
  if (known !== undefined) await attempt(site, works, known);
  for (let trial = 1; trial <= TRIALS && works.some(isOpen); trial++) {
    if (trial > 1) await site.pause(trial - 1);
    await attempt(site, works.filter(isOpen));
  }
  for (const work of works.filter(isOpen)) {
    fail(work, new IpamError('contended', `the blocks kept changing during ${TRIALS} attempts; try again`));
  }
  return Promise.all(works.map((work) => finish(site, work)));
}

async function attempt(site: Site, works: readonly Work[], known?: readonly IPAMBlock[]): Promise<void> {
  await round(site, works, known).catch((error: unknown) => {
    for (const work of works.filter(isOpen)) fail(work, error);
  });
}

/**
 * @param known the node's blocks, for a quick round
 * @throws StoreError, IpamError: then nothing is decided for the requests that are still open
 */
async function round(site: Site, works: readonly Work[], known: readonly IPAMBlock[] | undefined): Promise<void> {
  const [settings, own] = await Promise.all([readSettings(site.store), known ?? settledBlocks(site)]);
  if (known !== undefined) for (const work of works) see(work, site.known.handle(work.request.handle), own);
  else await Promise.all(works.map((work) => guarded(work, () => look(site, work, own))));
  const desk = new Desk(site, settings, own, known === undefined ? 'everywhere' : 'own blocks');
  // One after the other: each sees what the ones before it took.
  for (const work of works.filter(isOpen)) {
    if (known === undefined) await guarded(work, () => plan(desk, work));
    else if (isAllAtHand(work, own)) await plan(desk, work).catch(() => undefined);
  }
  const planned = works.filter((work) => isOpen(work) && work.picks.length > 0);
  await Promise.all(planned.map((work) => guarded(work, () => announce(site, work))));
  await Promise.all(desk.drafts().map((draft) => commit(site, desk, draft, works)));
  for (const work of works.filter(isOpen)) concludeIfServed(work);
}

/** Finds out what the handle holds already. */
async function look(site: Site, work: Work, own: readonly IPAMBlock[]): Promise<void> {
  const handle = await getHandle(site.store, work.request.handle);
  const ownCidrs = new Set(own.map(({ spec }) => spec.cidr));
  const foreign = blocksOf(handle).filter((cidr) => !ownCidrs.has(cidr));
  const named = await Promise.all(foreign.map((cidr) => getBlock(site.store, cidr)));
  see(work, handle, [...own, ...named.filter((block) => block !== undefined)]);
}

function see(work: Work, present: IPAMHandle | undefined, candidates: readonly IPAMBlock[]): void {
  const { handle } = work.request;
  work.handle = present;
  work.blocks = candidates.filter(({ spec }) => holdingsOf(spec, handle).length > 0);
  work.held = work.blocks.flatMap(({ spec }) => holdingsOf(spec, handle).map(({ address }) => address));
  work.picks = [];
  concludeIfServed(work);
}

/** Whether the handle holds nothing outside these blocks, as far as it is known; if it does, it may be served already. */
function isAllAtHand({ handle }: Work, own: readonly IPAMBlock[]): boolean {
  return blocksOf(handle).every((cidr) => own.some(({ spec }) => spec.cidr === cidr));
}

async function plan(desk: Desk, work: Work): Promise<void> {
  const { request, owner } = work;
  const { pools, attributes, namespaceLabels } = request;
  const wish = { ...(pools && { pools }), namespace: attributes['namespace'], namespaceLabels };
  try {
    for (const address of missingAddresses(work)) work.picks.push(await desk.pickAddress(address, owner));
    for (const family of missingFamilies(work)) work.picks.push(await desk.pick(family, wish, owner));
  } catch (error) {
    dropPicks(work);
    throw error;
  }
}

/** Writes the handle, before the blocks. */
async function announce(site: Site, work: Work): Promise<void> {
  const counts = countHoldings(work.blocks, work.request.handle);
  for (const { draft } of work.picks) counts[draft.spec.cidr] = (counts[draft.spec.cidr] ?? 0) + 1;
  work.announced = true;
  try {
    // Somebody else's write to our handle is strange, but no reason to fail: the next round looks again.
    if (!(await writeHandle(site, work.request.handle, work.handle, counts))) dropPicks(work);
  } catch (error) {
    dropPicks(work);
    throw error;
  }
}

async function commit(site: Site, desk: Desk, draft: Draft, works: readonly Work[]): Promise<void> {
  const { cidr } = draft.spec;
  const picks = works.flatMap((work) =>
    work.picks.filter((pick) => pick.draft === draft).map(({ ordinal }) => ({ work, ordinal })),
  );
  // Before the write: when its answer is lost, the address may be ours all the same.
  for (const { work, ordinal } of picks) work.tried.push({ cidr, ordinal });
  try {
    if (hostOf(draft.spec) !== site.node) await noteBorrowing(site, cidr);
    if ((await ifUnchanged(site.store.update('IPAMBlock', desk.result(draft)))) === undefined) return;
    for (const { work, ordinal } of picks) work.held.push(addressAt(cidr, ordinal));
  } catch (error) {
    for (const { work } of picks) fail(work, error);
  }
}

/** Written down before the address is taken, so that it is found without a look at every block there is. */
async function noteBorrowing(site: Site, block: Prefix): Promise<void> {
  await site.journal?.change((state) =>
    state.elsewhere === undefined || state.elsewhere.includes(block)
      ? state
      : { ...state, elsewhere: [...state.elsewhere, block] },
  );
}

/** The answer; a request that failed gives back what it got in passing. */
async function finish(site: Site, work: Work): Promise<Outcome> {
  const outcome = work.outcome!;
  if ('addresses' in outcome || !work.announced) return outcome;
  const { handle } = work.request;
  try {
    for (const { cidr, ordinal } of work.tried) await releaseFrom(site, cidr, 0, () => [{ ordinal, handle }]);
    await tidyHandle(site, handle);
    return outcome;
  } catch (error) {
    const { message } = asError(error);
    const text = `${outcome.error.message}; what it had got in passing stays under handle ${handle}: ${message}`;
    const code = outcome.error instanceof IpamError ? outcome.error.code : 'unavailable';
    return { error: new IpamError(code, text, { cause: outcome.error }) };
  }
}

function newWork(site: Site, request: AddressRequest): Work {
  const secondary = { ...request.attributes, node: site.node, timestamp: timestamp(site.now()) };
  const owner = { handle: request.handle, secondary };
  return { request, owner, blocks: [], held: [], picks: [], announced: false, tried: [] };
}

function missingAddresses({ request, held }: Work): Address[] {
  return [...new Set(request.addresses)].filter((address) => !held.includes(address));
}

function missingFamilies({ request, held }: Work): Family[] {
  if (request.addresses !== undefined) return [];
  return [...new Set(request.families)].filter((family) => !held.some((address) => familyOf(address) === family));
}

function concludeIfServed(work: Work): void {
  if (missingAddresses(work).length + missingFamilies(work).length > 0) return;
  const { request, held } = work;
  const addresses =
    request.addresses ?? request.families.map((family) => held.find((address) => familyOf(address) === family)!);
  work.outcome = { addresses };
}

function isOpen({ outcome }: Work): boolean {
  return outcome === undefined;
}

/** A request's own error is its own affair: the others go on. */
async function guarded(work: Work, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    fail(work, error);
  }
}

function fail(work: Work, error: unknown): void {
  work.outcome = { error: asError(error) };
}

function dropPicks(work: Work): void {
  for (const pick of work.picks) unpick(pick);
  work.picks = [];
}
