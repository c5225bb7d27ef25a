// What an update group makes of each attribute set, so that policy and next hops are looked at once per set.
//
// One entry per set, in integers. It holds nothing alive: both sets, the one asked about and the answer, are remembered
// with their generation, and an entry whose generations have moved on is worked out again.
import type { Address } from '#ip';
import { encodeAttributes } from '../codec/index.ts';
import type { PathAttributes } from '../message.ts';
import type { AttributeTable } from './attribute-table.ts';
import type { View } from './decision.ts';
import { type ExportPlan, type ExportTerms, exportRule, exportUnder, planExport } from './export.ts';
import { messageOverhead } from './pack.ts';
import { ownPeer, pathField } from './path-table.ts';
import type { PrefixTable } from './prefix-table.ts';
import { Column } from './records.ts';

interface Context {
  readonly prefixes: PrefixTable;
  readonly view: View;
  readonly attributes: AttributeTable;
  readonly interfaceOf: (nextHop: Address) => string | undefined;
}

const field = { generation: 0, source: 1, rule: 2, answer: 3, answerGeneration: 4 } as const;

export class ExportCache {
  private readonly terms: ExportTerms;
  private readonly context: Context;
  private readonly looksAtPrefix: boolean;
  private entries = new Column(5);
  private plan:
    | { readonly set: number; readonly generation: number; readonly source: number; readonly made: ExportPlan }
    | undefined;
  /** The last answer, held so that it lives until the caller has taken a hold of it. */
  private held = 0;

  constructor(terms: ExportTerms, context: Context) {
    this.terms = terms;
    this.context = context;
    this.looksAtPrefix = terms.policy?.tests.some((test) => test !== undefined) ?? false;
  }

  /** The set that a path goes out with, 0 when it does not. Valid until the next call unless retained. */
  exported(path: number, prefix: number): number {
    const { view } = this.context;
    const set = view.paths.get(path, pathField.imported);
    const source = this.sourceKey(view.paths.get(path, pathField.peer));
    if (!this.looksAtPrefix) return this.find(set, source, 0) ?? this.work(set, source, 0, this.planFor(path), prefix);
    const plan = this.planFor(path);
    const rule = exportRule(plan, this.context.prefixes, prefix) ?? 0;
    return this.find(set, source, rule) ?? this.work(set, source, rule, plan, prefix);
  }

  /** Forgets everything: what it goes by has changed. */
  clear(): void {
    this.entries = new Column(5);
    this.plan = undefined;
    if (this.held !== 0) this.context.attributes.release(this.held);
    this.held = 0;
  }

  /**
   * The attributes as they fit a message to these peers with one route at least: as they are, without what may be
   * discarded (RFC 7606 §2), or not at all, which withdraws the route (RFC 8654 §4).
   */
  fit(attributes: PathAttributes): PathAttributes | undefined {
    if (mayBeLong(attributes) && !this.fits(attributes)) {
      const { unknown: _, atomicAggregate: __, aggregator: ___, ...rest } = attributes;
      return this.fits(rest) ? rest : undefined;
    }
    return attributes;
  }

  /**
   * What matters about the source besides the attributes. Only a reflected route names the peer that it came from
   * (ORIGINATOR_ID).
   */
  private sourceKey(peer: number): number {
    if (peer === ownPeer) return 1;
    return this.terms.internal && this.context.view.peers[peer]!.internal ? peer + 3 : 2;
  }

  private find(set: number, source: number, rule: number): number | undefined {
    const page = this.entries.pageFor(set);
    const start = this.entries.start(set);
    if (page[start + field.source] !== source || page[start + field.rule] !== rule) return undefined;
    const { attributes } = this.context;
    if (page[start + field.generation] !== attributes.generation(set)) return undefined;
    const answer = page[start + field.answer]!;
    const isCurrent = answer === 0 || page[start + field.answerGeneration] === attributes.generation(answer);
    return isCurrent ? answer : undefined;
  }

  private work(set: number, source: number, rule: number, plan: ExportPlan, prefix: number): number {
    const { attributes, interfaceOf, prefixes } = this.context;
    const decided = exportRule(plan, prefixes, prefix);
    const made = decided === undefined ? undefined : exportUnder(plan, decided, this.terms, interfaceOf);
    const fitting = made && this.fit(made);
    const answer = fitting === undefined ? 0 : attributes.intern(fitting);
    if (this.held !== 0) attributes.release(this.held);
    this.held = answer;
    this.remember(set, source, rule, answer);
    return answer;
  }

  private remember(set: number, source: number, rule: number, answer: number): void {
    const page = this.entries.pageFor(set);
    const start = this.entries.start(set);
    const { attributes } = this.context;
    page[start + field.generation] = attributes.generation(set);
    page[start + field.source] = source;
    page[start + field.rule] = rule;
    page[start + field.answer] = answer;
    page[start + field.answerGeneration] = attributes.generation(answer);
  }

  private planFor(path: number): ExportPlan {
    const { view, attributes, interfaceOf } = this.context;
    const set = view.paths.get(path, pathField.imported);
    const peer = view.paths.get(path, pathField.peer);
    const source = this.sourceKey(peer);
    const generation = attributes.generation(set);
    const last = this.plan;
    if (last?.set === set && last.generation === generation && last.source === source) return last.made;
    const from = peer === ownPeer ? undefined : view.peers[peer]!;
    const made = planExport(attributes.get(set), from, this.terms, interfaceOf);
    this.plan = { set, generation, source, made };
    return made;
  }

  private fits(attributes: PathAttributes): boolean {
    const { internal, fourOctetAs, sendLimit } = this.terms;
    const longestNlri = 21;
    const encoded = encodeAttributes(attributes, { internal, fourOctetAs }).length;
    return messageOverhead(encoded, 32) + longestNlri <= sendLimit;
  }
}

/** Cheap and never wrong about a long one: below this no limit of BGP is near. */
function mayBeLong({
  asPath,
  communities,
  extendedCommunities,
  largeCommunities,
  unknown,
  clusterList,
}: PathAttributes): boolean {
  const asns = asPath.reduce((sum, segment) => sum + segment.asns.length, 0);
  const lists = (communities?.length ?? 0) * 4 + (extendedCommunities?.length ?? 0) * 8;
  const more = (largeCommunities?.length ?? 0) * 12 + (clusterList?.length ?? 0) * 4;
  const others = unknown?.reduce((sum, { value }) => sum + value.length + 4, 0) ?? 0;
  // To a 2-octet peer the path goes out twice, in AS_PATH and AS4_PATH.
  return asns * 8 + lists + more + others > 3500;
}
