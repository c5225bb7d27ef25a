// The engine over a policy: which rule decides about a route, what becomes of it, and how to say so.
//
// In two steps, because attributes are shared by many prefixes: `narrow` once per attribute set, `choose` per prefix.
// The rule that decided is an index, so that telling why costs nothing until somebody asks.
import type { PathAttributes } from '../message.ts';
import {
  type Circumstances,
  type PrefixTest,
  type PrefixWords,
  compilePrefixTest,
  matchesAttributes,
} from './match.ts';
import { applyOperation } from './operation.ts';
import type { Policy, Rule } from './rule.ts';

/** The index of the rule that decided, or this: none matched, and the policy's `otherwise` holds. */
export const noRule = -1;

export interface CompiledPolicy {
  readonly policy: Policy;
  /** By rule: its test of the prefix; undefined where it has none. */
  readonly tests: readonly (PrefixTest | undefined)[];
}

/** A policy without rules, for peers that have none. */
export const acceptAll: CompiledPolicy = compilePolicy({ name: 'none', rules: [], otherwise: 'accept' });

export function compilePolicy(policy: Policy): CompiledPolicy {
  return { policy, tests: policy.rules.map(({ match }) => match?.prefix && compilePrefixTest(match.prefix)) };
}

/**
 * The rules that may still decide about routes with these attributes, in order. If the first of them does not look at
 * the prefix, or there is none, all prefixes fare alike: see {@link decidesAlone}.
 */
export function narrow(
  { policy, tests }: CompiledPolicy,
  attributes: PathAttributes,
  circumstances: Circumstances,
): readonly number[] {
  const candidates: number[] = [];
  for (const [index, { match }] of policy.rules.entries()) {
    if (match !== undefined && !matchesAttributes(match, attributes, circumstances)) continue;
    candidates.push(index);
    if (tests[index] === undefined) break;
  }
  return candidates;
}

/** The index of the rule that decides about every prefix with these attributes; undefined when it takes the prefix. */
export function decidesAlone({ tests }: CompiledPolicy, candidates: readonly number[]): number | undefined {
  const [first = noRule] = candidates;
  return first === noRule || tests[first] === undefined ? first : undefined;
}

/** The index of the first candidate that matches the prefix, or {@link noRule}. */
export function choose(
  { tests }: CompiledPolicy,
  candidates: readonly number[],
  prefixes: PrefixWords,
  id: number,
): number {
  for (const index of candidates) {
    const test = tests[index];
    if (test === undefined || test(prefixes, id)) return index;
  }
  return noRule;
}

/** What becomes of the attributes under a rule; undefined when it rejects the route. */
export function applyRule(
  { policy }: CompiledPolicy,
  index: number,
  attributes: PathAttributes,
): PathAttributes | undefined {
  const rule: Pick<Rule, 'action' | 'operations'> = policy.rules[index] ?? { action: policy.otherwise };
  if (rule.action === 'reject') return undefined;
  return (rule.operations ?? []).reduce(applyOperation, attributes);
}

/** "rejected by filter only-pods, rule 2 (import)". Rules count from 1, as a human does. */
export function describeDecision({ policy }: CompiledPolicy, index: number, direction: 'import' | 'export'): string {
  const verb = (policy.rules[index]?.action ?? policy.otherwise) === 'reject' ? 'rejected' : 'accepted';
  const where = index === noRule ? 'where no rule matches' : `rule ${nameOfRule(policy, index)}`;
  return `${verb} by filter ${policy.name}, ${where} (${direction})`;
}

function nameOfRule(policy: Policy, index: number): string {
  const number = String(index + 1);
  const { name } = policy.rules[index]!;
  return name === '' || name === number ? number : `${number} (${name})`;
}
