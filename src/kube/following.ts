// How a reflection follows the server, as a pure step: what has happened in, what to do next out.
//
//   list ──► watch ──► (the server ends it) ──► watch from where it ended
//    ▲         │ a fault: wait, watch from where it broke off
//    └── 410 ──┘ what we have is too old to be continued: wait, list anew
import { backoffMs } from './backoff.ts';
import type { KubeError } from './port.ts';

export interface Following {
  /** Where to watch from; absent: a list has to come first. */
  readonly resourceVersion?: string;
  /** There has been a list: what is there may never go back to something older. */
  readonly listed: boolean;
  /** Failures in a row. */
  readonly tries: number;
  /** The list that is under way or comes next is fetched in one piece. */
  readonly whole: boolean;
  /** Content and server agree, but for what is on its way. */
  readonly inStep: boolean;
  /** Why the last attempt failed, until one has succeeded. */
  readonly error?: string;
  /** It failed because there is no such resource. */
  readonly missing: boolean;
}

export type Happening =
  /** A page of a list; without `next` the last one. */
  | { readonly on: 'page'; readonly resourceVersion: string; readonly next?: string }
  | { readonly on: 'opened' }
  /** A change or a bookmark. */
  | { readonly on: 'event'; readonly resourceVersion: string | undefined }
  | { readonly on: 'ended'; readonly livedMs: number }
  | { readonly on: 'failed'; readonly error: KubeError }
  | { readonly on: 'waited' };

export type Todo =
  /** `from` absent: what was gathered before is dropped. `resourceVersion` '0': whatever the server has in memory. */
  | { readonly do: 'list'; readonly resourceVersion?: string; readonly from?: string; readonly limit?: number }
  | { readonly do: 'watch'; readonly resourceVersion: string }
  | { readonly do: 'wait'; readonly ms: number };

export const PAGE = 500;
/** A watch that ends sooner is no watch. */
const SHORT_MS = 1000;
/** After an upgrade of the server every agent hears 410 at one moment; there is no hurry, the old content serves. */
const RELIST_WITHIN_MS = 5000;
/** One connection that breaks is everyday life; from the second failure on we are out of step. */
const TOLERATED = 1;

export const beginning: Following = { listed: false, tries: 0, whole: false, inStep: false, missing: false };

/** @param random from 0 to 1 */
export function step(state: Following, event: Happening, random: number): readonly [Following, Todo?] {
  switch (event.on) {
    case 'page':
      return onPage(state, event);
    case 'opened': {
      const { error: _, ...rest } = state;
      return [{ ...rest, inStep: true, missing: false }];
    }
    case 'event':
      return [{ ...state, tries: 0, ...(event.resourceVersion && { resourceVersion: event.resourceVersion }) }];
    case 'ended':
      return onEnd(state, event.livedMs, random);
    case 'failed':
      return event.error.code === 'gone' ? onGone(state, event.error, random) : onFailure(state, event.error, random);
    case 'waited':
      return [state, next(state)];
    default:
      return event satisfies never;
  }
}

/** What to do when nothing is under way. */
export function next({ resourceVersion, listed, whole }: Following): Todo {
  if (resourceVersion !== undefined) return { do: 'watch', resourceVersion };
  // The first list may be as old as it likes: the watch from there brings the rest, and the server need not ask etcd.
  if (!listed) return { do: 'list', resourceVersion: '0' };
  return whole ? { do: 'list' } : { do: 'list', limit: PAGE };
}

function onPage(state: Following, page: Extract<Happening, { on: 'page' }>): readonly [Following, Todo] {
  if (page.next !== undefined) return [state, { do: 'list', from: page.next, limit: PAGE }];
  const { error: _, ...rest } = state;
  const listed = { ...rest, listed: true, whole: false, inStep: true, missing: false };
  const { resourceVersion } = page;
  return [
    { ...listed, resourceVersion },
    { do: 'watch', resourceVersion },
  ];
}

function onEnd(state: Following, livedMs: number, random: number): readonly [Following, Todo] {
  if (livedMs >= SHORT_MS) return [{ ...state, tries: 0 }, next(state)];
  return waitAndTry(state, 'the server ends every watch at once', random);
}

function onGone(state: Following, error: KubeError, random: number): readonly [Following, Todo] {
  const { resourceVersion, ...rest } = state;
  // In the middle of paging: the pages have expired, and so they would again.
  if (resourceVersion === undefined && !state.whole) {
    const again = { ...rest, listed: true, whole: true };
    return [again, next(again)];
  }
  if (state.tries === 0) {
    return [
      { ...rest, tries: 1, error: error.message },
      { do: 'wait', ms: Math.round(random * RELIST_WITHIN_MS) },
    ];
  }
  return waitAndTry(rest, error.message, random);
}

function onFailure(state: Following, error: KubeError, random: number): readonly [Following, Todo] {
  // A version that the server refuses or a resource that has gone: only a list can tell.
  const { resourceVersion: _, ...anew } = state;
  const keep = error.code === 'unavailable' || error.code === 'forbidden';
  const known = { ...(keep ? state : anew), missing: error.code === 'notFound' };
  return waitAndTry(known, error.message, random, error.retryAfterMs);
}

function waitAndTry(state: Following, error: string, random: number, askedMs?: number): readonly [Following, Todo] {
  const tries = state.tries + 1;
  const inStep = state.inStep && tries <= TOLERATED;
  return [
    { ...state, tries, inStep, error },
    { do: 'wait', ms: backoffMs(tries, random, askedMs) },
  ];
}
