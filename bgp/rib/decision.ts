// The decision process (RFC 4271 §9.1.2.2): a ladder of steps, each leaving the paths that are best in one respect.
//
// One list serves choosing and explaining. A step turns a path into a number, the lower the better, and drops all that
// have a higher one. Working on all paths at once, rather than comparing two by two, makes the outcome independent of
// the order of arrival although MED only counts between paths from one neighbouring AS: pairwise, MED is no order.
//
// Decisions where the RFC leaves room: the oldest external path is not preferred (RFC 5004 would; then two nodes with
// the same paths could choose differently, and a restart could change the choice), and multipath does not ask for equal
// AS paths, only for equal length, because in a fabric each top-of-rack router often has an AS of its own.
import type { AttributeTable } from './attribute-table.ts';
import { attributeField } from './attribute-table.ts';
import type { NextHopTable } from './next-hop-table.ts';
import { type PathTable, ownPeer, pathField, pathFlag } from './path-table.ts';
import type { RibPeer } from './peer.ts';
import { routerIdText } from './import.ts';

/** What the ladder looks at. */
export interface View {
  readonly paths: PathTable;
  readonly attributes: AttributeTable;
  readonly nextHops: NextHopTable;
  /** By index. There is none for {@link ownPeer}. */
  readonly peers: readonly (RibPeer | undefined)[];
}

export interface Step {
  /** The lower the better. */
  readonly key: (view: View, path: number) => number;
  /** Only paths with an equal group are compared. */
  readonly group?: (view: View, path: number) => number;
  /** Why the better path is better, before "than NAME". */
  readonly better: string;
  /** Why the worse path is worse, from both keys. */
  readonly worse: (mine: number, its: number) => string;
}

/** Paths that are equal up to here may be used together; what follows makes the choice definite. */
export const contest: readonly Step[] = [
  {
    key: ({ paths }, path) => (paths.get(path, pathField.peer) === ownPeer ? 0 : 1),
    better: 'our own route rather',
    worse: () => 'this node originates the prefix itself',
  },
  {
    // RFC 9494 §4.3: the least preferred, whatever else is said for them.
    key: (view, path) => (isLongLivedStale(view, path) ? 1 : 0),
    better: 'not long-lived stale, rather',
    worse: () => 'long-lived stale',
  },
  {
    key: (view, path) => 0xffffffff - field(view, path, attributeField.localPref),
    better: 'higher local preference',
    worse: (mine, its) => `lower local preference (${0xffffffff - mine} against ${0xffffffff - its})`,
  },
  {
    key: (view, path) => field(view, path, attributeField.pathLength),
    better: 'shorter AS path',
    worse: (mine, its) => `longer AS path (${mine} against ${its})`,
  },
  {
    key: (view, path) => field(view, path, attributeField.origin),
    better: 'better origin',
    worse: (mine, its) => `worse origin (${origins[mine]} against ${origins[its]})`,
  },
  {
    key: (view, path) => field(view, path, attributeField.med),
    group: (view, path) => field(view, path, attributeField.neighbourAs),
    better: 'lower MED',
    worse: (mine, its) => `higher MED (${mine} against ${its})`,
  },
  {
    key: (view, path) => (peerOf(view, path)?.internal ? 1 : 0),
    better: 'an external peer rather',
    worse: () => 'from an internal peer',
  },
  {
    key: (view, path) => view.nextHops.cost(field(view, path, attributeField.nextHop)),
    better: 'nearer next hop',
    worse: (mine, its) => `farther next hop (cost ${mine} against ${its})`,
  },
];

export const tieBreak: readonly Step[] = [
  {
    // RFC 4456 §9: the identifier of the router that brought the route into the AS counts, where it is known.
    key: (view, path) => field(view, path, attributeField.originatorId) || (peerOf(view, path)?.routerId ?? 0),
    better: 'lower router ID',
    worse: (mine, its) => `higher router ID (${routerIdText(mine)} against ${routerIdText(its)})`,
  },
  {
    key: (view, path) => field(view, path, attributeField.clusterLength),
    better: 'shorter cluster list',
    worse: (mine, its) => `longer cluster list (${mine} against ${its})`,
  },
  {
    key: (view, path) => peerOf(view, path)?.rank ?? 0,
    better: 'lower peer address',
    worse: () => 'higher peer address',
  },
  {
    key: ({ paths }, path) => paths.get(path, pathField.pathId) >>> 0,
    better: 'lower path identifier',
    worse: (mine, its) => `higher path identifier (${mine} against ${its})`,
  },
];

const origins = ['IGP', 'EGP', 'incomplete'];

/** Told for each path that a step drops, and which path it was that beat it. */
export type Loss = (path: number, step: Step, against: number) => void;

/** Whether a path may be used at all: import took it, and its next hop can be reached (RFC 4271 §9.1.2). */
export function isEligible(view: View, path: number): boolean {
  const set = view.paths.get(path, pathField.imported);
  if (set === 0) return false;
  // A route of our own has no next hop but us.
  if (view.paths.get(path, pathField.peer) === ownPeer) return true;
  return view.nextHops.reachable(view.attributes.field(set, attributeField.nextHop));
}

/**
 * Orders the winners of the contest to the front of `paths`, the best first.
 * @param paths ids of eligible paths, of which the first `count` are meant; reordered in place.
 * @param multipath how many winners are wanted, at least 1.
 * @returns how many there are: 0 to `multipath`.
 */
export function decide(view: View, paths: Int32Array, count: number, multipath: number, loss?: Loss): number {
  let left = count;
  for (const step of contest) {
    if (left < 2) break;
    left =
      step.group === undefined
        ? keepLowest(view, step, paths, left, loss)
        : keepLowestOfEach(view, step, paths, left, loss);
  }
  const wanted = Math.min(left, isOwn(view, paths, left) ? 1 : multipath);
  for (let place = 0; place < wanted; place++) bringForward(view, paths, place, left);
  if (loss !== undefined) explainRest(view, paths, wanted, left, loss);
  return wanted;
}

/** Moves the kept paths to the front. */
function keepLowest(view: View, step: Step, paths: Int32Array, count: number, loss?: Loss): number {
  let winner = paths[0]!;
  let lowest = step.key(view, winner);
  let differ = false;
  for (let i = 1; i < count; i++) {
    const key = step.key(view, paths[i]!);
    if (key !== lowest) differ = true;
    if (key < lowest) {
      lowest = key;
      winner = paths[i]!;
    }
  }
  if (!differ) return count;
  return partition(paths, count, (path) => {
    if (step.key(view, path) === lowest) return true;
    loss?.(path, step, winner);
    return false;
  });
}

/** MED: within each group the lowest stay. */
function keepLowestOfEach(view: View, step: Step, paths: Int32Array, count: number, loss?: Loss): number {
  const first = step.key(view, paths[0]!);
  if (paths.subarray(0, count).every((path) => step.key(view, path) === first)) return count;
  const winners = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const group = step.group!(view, paths[i]!);
    const winner = winners.get(group);
    if (winner === undefined || step.key(view, paths[i]!) < step.key(view, winner)) winners.set(group, paths[i]!);
  }
  return partition(paths, count, (path) => {
    const winner = winners.get(step.group!(view, path))!;
    if (step.key(view, path) === step.key(view, winner)) return true;
    loss?.(path, step, winner);
    return false;
  });
}

function partition(paths: Int32Array, count: number, keep: (path: number) => boolean): number {
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const path = paths[i]!;
    if (!keep(path)) continue;
    paths[i] = paths[kept]!;
    paths[kept++] = path;
  }
  return kept;
}

/** Brings the best of those from `place` on to that place; by now two paths compare the same in any company. */
function bringForward(view: View, paths: Int32Array, place: number, count: number): void {
  let best = place;
  for (let i = place + 1; i < count; i++) if (breakTie(view, paths[i]!, paths[best]!) < 0) best = i;
  const path = paths[best]!;
  paths[best] = paths[place]!;
  paths[place] = path;
}

function breakTie(view: View, a: number, b: number): number {
  for (const { key } of tieBreak) {
    const order = key(view, a) - key(view, b);
    if (order !== 0) return order;
  }
  return a - b;
}

/** Those that tied for use but were not chosen lost against the last one that was. */
function explainRest(view: View, paths: Int32Array, wanted: number, count: number, loss: Loss): void {
  const against = paths[wanted - 1]!;
  for (let i = wanted; i < count; i++) {
    const path = paths[i]!;
    const step = tieBreak.find(({ key }) => key(view, path) !== key(view, against));
    if (step !== undefined) loss(path, step, against);
  }
}

function isOwn({ paths: table }: View, paths: Int32Array, count: number): boolean {
  return count > 0 && table.get(paths[0]!, pathField.peer) === ownPeer;
}

function field({ paths, attributes }: View, path: number, name: number): number {
  return attributes.field(paths.get(path, pathField.imported), name) >>> 0;
}

function peerOf({ paths, peers }: View, path: number): RibPeer | undefined {
  return peers[paths.get(path, pathField.peer)];
}

/** By our own mark, or by the community that somebody before us put on it (RFC 9494 §4.3). */
function isLongLivedStale(view: View, path: number): boolean {
  return view.paths.hasFlag(path, pathFlag.longLivedStale) || field(view, path, attributeField.longLivedStale) === 1;
}
