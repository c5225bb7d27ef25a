// How many routes each rule of a peer's policies decides about at this moment: runs import over what the peer said, and
// export over what it could be told, once more, and counts.
//
// Nothing is counted while routes come and go, so nothing has to be reset, carried over or kept per route; whoever asks
// pays, a step at a time.
import { acceptAll, noRule } from '../policy/policy.ts';
import type { Policy } from '../policy/rule.ts';
import type { PolicyUse } from '../status.ts';
import { type ExportPlan, type ExportTerms, exportRule, planExport } from './export.ts';
import type { FamilyTable } from './family-table.ts';
import { type ImportPlan, type LocalFacts, importRule, planImport } from './import.ts';
import { ownPeer, pathField } from './path-table.ts';
import type { RibPeer } from './peer.ts';
import { prefixField } from './prefix-table.ts';
import { walkPeer } from './walk.ts';

/** How much is looked at in one step. */
const stride = 256;

export class Tally {
  private readonly policy: Policy;
  /** By index of the rule; the last one is for routes that none matches. */
  private readonly counts: number[];
  private unasked = 0;

  constructor(policy: Policy | undefined) {
    this.policy = policy ?? acceptAll.policy;
    this.counts = Array.from({ length: this.policy.rules.length + 1 }, () => 0);
  }

  /** @param rule undefined where no rule is asked */
  add(rule: number | undefined): void {
    if (rule === undefined) this.unasked++;
    else this.counts[rule === noRule ? this.counts.length - 1 : rule]!++;
  }

  use(): PolicyUse {
    const { name, rules, otherwise } = this.policy;
    return {
      policy: name,
      rules: rules.map((rule, i) => ({ name: rule.name, action: rule.action, routes: this.counts[i]! })),
      otherwise: { action: otherwise, routes: this.counts.at(-1)! },
      unasked: this.unasked,
    };
  }
}

/**
 * Counts the paths of a peer by what import says of each. Pauses after every step.
 * @param peer as it was when the tally was made: its policy may change in a pause
 */
export function* tallyImport(table: FamilyTable, peer: RibPeer, local: LocalFacts, tally: Tally): Generator<void> {
  const { paths, attributes } = table.view;
  let known: { readonly set: number; readonly generation: number; readonly plan: ImportPlan } | undefined;
  const walk = walkPeer(paths, peer.index, 'tally', (path) => {
    const set = paths.get(path, pathField.heard);
    const generation = attributes.generation(set);
    if (known?.set !== set || known.generation !== generation) {
      known = { set, generation, plan: planImport(attributes.get(set), peer, local) };
    }
    tally.add(importRule(known.plan, table.prefixes, paths.get(path, pathField.prefix)));
  });
  while (walk.step(stride)) yield;
}

/** Counts the paths that a peer could be told, all but its own, by what export says of each. Pauses after every step. */
export function* tallyExport(
  table: FamilyTable,
  to: { readonly peer: number; readonly terms: ExportTerms },
  local: LocalFacts,
  tally: Tally,
): Generator<void> {
  const { prefixes, view } = table;
  const { paths, attributes, peers } = view;
  const { peer, terms } = to;
  let known:
    | { readonly set: number; readonly generation: number; readonly source: number; readonly plan: ExportPlan }
    | undefined;
  for (let prefix = 1; prefix < prefixes.end; prefix++) {
    for (const path of candidates(prefix)) add(path, prefix);
    if (prefix % stride === 0) yield;
  }

  function candidates(prefix: number): readonly number[] {
    const best = prefixes.get(prefix, prefixField.best);
    if (best === 0) return [];
    return terms.addPath > 0 ? table.bestPaths(prefix, terms.addPath) : [best];
  }

  function add(path: number, prefix: number): void {
    const source = paths.get(path, pathField.peer);
    if (source === peer) return;
    const set = paths.get(path, pathField.imported);
    const generation = attributes.generation(set);
    if (known?.set !== set || known.generation !== generation || known.source !== source) {
      const from = source === ownPeer ? undefined : peers[source];
      known = { set, generation, source, plan: planExport(attributes.get(set), from, terms, local.interfaceOf) };
    }
    tally.add(exportRule(known.plan, prefixes, prefix));
  }
}
