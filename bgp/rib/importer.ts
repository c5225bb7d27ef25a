// Import over ids: from an attribute set as heard to the set that it is used with. The last plan is kept, because the
// prefixes of an UPDATE, and mostly of its neighbours, share one.
import type { AttributeTable } from './attribute-table.ts';
import { wellKnown } from './community.ts';
import { type ImportPlan, type LocalFacts, importRule, importUnder, planImport } from './import.ts';
import type { RibPeer } from './peer.ts';
import type { PrefixTable } from './prefix-table.ts';
import { addCommunity } from '../policy/operation.ts';

interface Current {
  readonly peer: RibPeer;
  readonly heard: number;
  readonly generation: number;
  readonly longLived: boolean;
  readonly plan: ImportPlan;
  /** The answer for every prefix, where there is one. */
  always: number | undefined;
}

export class Importer {
  private readonly attributes: AttributeTable;
  private readonly local: () => LocalFacts;
  private current: Current | undefined;
  /** Sets imported under the current plan by the rule that decided; each is held. */
  private readonly byRule = new Map<number, number>();

  constructor(attributes: AttributeTable, local: () => LocalFacts) {
    this.attributes = attributes;
    this.local = local;
  }

  /**
   * Turns to paths of a peer with a set as heard. @param longLived they are kept beyond the peer's restart time and
   * say so (RFC 9494 §4.2).
   */
  turnTo(peer: RibPeer, heard: number, longLived = false): void {
    const { current } = this;
    const generation = this.attributes.generation(heard);
    const isSame = current?.peer === peer && current.heard === heard && current.generation === generation;
    if (isSame && current.longLived === longLived) return;
    this.forget();
    const plan = planImport(this.attributes.get(heard), peer, this.local());
    const fresh: Current = { peer, heard, generation, longLived, plan, always: undefined };
    this.current = fresh;
    if (plan.refused !== undefined) fresh.always = 0;
    else if (plan.rule !== undefined) fresh.always = this.underRule(plan.rule);
  }

  /** The set that the path for this prefix is used with, 0 when it is rejected. */
  imported(prefixes: PrefixTable, prefix: number): number {
    const { always, plan } = this.current!;
    return always ?? this.underRule(importRule(plan, prefixes, prefix)!);
  }

  /** Forgets the last plan: what import goes by has changed. */
  forget(): void {
    for (const set of this.byRule.values()) if (set !== 0) this.attributes.release(set);
    this.byRule.clear();
    this.current = undefined;
  }

  private underRule(rule: number): number {
    const { byRule } = this;
    const { plan, peer, longLived } = this.current!;
    const known = byRule.get(rule);
    if (known !== undefined) return known;
    const imported = importUnder(plan, rule, peer);
    const marked = imported && longLived ? addCommunity(imported, wellKnown.longLivedStale) : imported;
    const set = marked === undefined ? 0 : this.attributes.intern(marked);
    byRule.set(rule, set);
    return set;
  }
}
