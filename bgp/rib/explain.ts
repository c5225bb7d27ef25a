// Why each path is where it is: runs import and decision once more, for one prefix, and writes down what they say.
import { acceptAll, describeDecision } from '../policy/policy.ts';
import type { PathStatus } from '../status.ts';
import { type Step, type View, decide, isEligible, tieBreak } from './decision.ts';
import type { FamilyTable } from './family-table.ts';
import { type LocalFacts, explainImport, importRule, planImport } from './import.ts';
import { ownPeer, pathField, pathFlag } from './path-table.ts';

type Verdict = Pick<PathStatus, 'state' | 'why'>;

/** All paths for a prefix, the best first, each with its reason. */
export function explainPaths(table: FamilyTable, prefix: number, local: LocalFacts): PathStatus[] {
  const { view, locRib } = table;
  const all = [...locRib.pathsOf(prefix)];
  const eligible = all.filter((path) => isEligible(view, path));
  const ranked = rank(table, eligible);
  const rejected = all.filter((path) => !isEligible(view, path));
  return [
    ...ranked.map(([path, verdict]) => ({ ...describe(view, path, verdict), ...letIn(table, prefix, path, local) })),
    ...rejected.map((path) => describe(view, path, { state: 'rejected', why: whyNot(table, prefix, path, local) })),
  ];
}

/** Chosen paths first, then those that fell later in the ladder before those that fell earlier. */
function rank({ view, locRib }: FamilyTable, eligible: readonly number[]): [number, Verdict][] {
  if (eligible.length === 0) return [];
  const paths = Int32Array.from(eligible);
  const losses: { path: number; step: Step; against: number }[] = [];
  const count = decide(view, paths, paths.length, locRib.multipath, (path, step, against) => {
    losses.push({ path, step, against });
  });
  const [best, ...others] = paths.subarray(0, count);
  const chosen: [number, Verdict][] = [[best!, { state: 'best', why: whyBest(view, best!, others[0], losses) }]];
  for (const path of others) {
    chosen.push([
      path,
      { state: 'multipath', why: `as good as ${nameOf(view, best!)} up to the cost of the next hop` },
    ]);
  }
  const lost = losses.reverse().map(({ path, step, against }): [number, Verdict] => {
    const why = step.worse(step.key(view, path), step.key(view, against));
    return [path, isOwn(view, against) ? { state: 'rejected', why: `rejected: ${why}` } : { state: 'valid', why }];
  });
  return [...chosen, ...lost];
}

/** Against the nearest rival: one that is used with it, or else the last one to fall. */
function whyBest(
  view: View,
  best: number,
  companion: number | undefined,
  losses: readonly { path: number; step: Step }[],
): string {
  const last = losses.at(-1);
  const [rival, step] =
    companion === undefined ? [last?.path, last?.step] : [companion, tieStep(view, best, companion)];
  if (rival !== undefined && step !== undefined) return `best: ${step.better} than ${nameOf(view, rival)}`;
  return isOwn(view, best) ? 'best: originated by this node' : 'best: the only path';
}

function tieStep(view: View, a: number, b: number): Step | undefined {
  return tieBreak.find(({ key }) => key(view, a) !== key(view, b));
}

function whyNot(table: FamilyTable, prefix: number, path: number, local: LocalFacts): string {
  const { paths, attributes, peers } = table.view;
  const peer = peers[paths.get(path, pathField.peer)]!;
  const imported = paths.get(path, pathField.imported);
  if (imported !== 0) return `rejected: next hop ${attributes.get(imported).nextHop} is unreachable`;
  const plan = planImport(attributes.get(paths.get(path, pathField.heard)), peer, local);
  // A path whose import is to be repeated may already pass: the rejection is that of a moment ago.
  return explainImport(plan, table.prefixes, prefix, peer) ?? 'rejected by the filter before this one';
}

function letIn(table: FamilyTable, prefix: number, path: number, local: LocalFacts): Pick<PathStatus, 'rule'> {
  const { paths, attributes, peers } = table.view;
  const peer = peers[paths.get(path, pathField.peer)];
  if (peer?.importPolicy === undefined) return {};
  const plan = planImport(attributes.get(paths.get(path, pathField.heard)), peer, local);
  const rule = importRule(plan, table.prefixes, prefix);
  if (plan.refused !== undefined || rule === undefined || plan.policy === acceptAll) return {};
  return { rule: describeDecision(plan.policy, rule, 'import') };
}

function describe({ paths, attributes, peers }: View, path: number, verdict: Verdict): PathStatus {
  const peer = peers[paths.get(path, pathField.peer)];
  const pathId = paths.get(path, pathField.pathId) >>> 0;
  const set = paths.get(path, pathField.imported) || paths.get(path, pathField.heard);
  return {
    ...(peer && { peer: peer.name }),
    ...(pathId !== 0 && { pathId }),
    attributes: attributes.get(set),
    since: paths.get(path, pathField.heardAt) * 1000,
    ...verdict,
    stale: paths.hasFlag(path, pathFlag.stale | pathFlag.longLivedStale),
  };
}

function isOwn({ paths }: View, path: number): boolean {
  return paths.get(path, pathField.peer) === ownPeer;
}

function nameOf({ paths, peers }: View, path: number): string {
  return peers[paths.get(path, pathField.peer)]?.name ?? 'our own route';
}
