// What a policy makes of one route, asked of the speaker's own engine.
import { type Address, type Prefix, addressOf, addressToBytes, familyOfPrefix, lengthOf } from '#ip';
import type { PathAttributes } from '../../bgp/message.ts';
import type { Circumstances, PrefixWords } from '../../bgp/policy/match.ts';
import { applyRule, choose, compilePolicy, narrow } from '../../bgp/policy/policy.ts';
import type { Policy } from '../../bgp/policy/rule.ts';

export interface Decision {
  readonly verdict: 'accept' | 'reject';
  /** The name of the rule that decided; "" when none did. */
  readonly by: string;
  readonly attributes?: PathAttributes;
}

export function decide(
  policy: Policy,
  prefix: Prefix,
  circumstances: Circumstances,
  attributes: Partial<PathAttributes> = {},
): Decision {
  const compiled = compilePolicy(policy);
  const route: PathAttributes = { origin: 0, asPath: [], nextHop: '192.0.2.1' as Address, ...attributes };
  const candidates = narrow(compiled, route, circumstances);
  const index = choose(compiled, candidates, wordsOf(prefix), 0);
  const accepted = applyRule(compiled, index, route);
  const by = policy.rules[index]?.name ?? '';
  return accepted === undefined ? { verdict: 'reject', by } : { verdict: 'accept', by, attributes: accepted };
}

function wordsOf(prefix: Prefix): PrefixWords {
  const bytes = addressToBytes(addressOf(prefix));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    family: familyOfPrefix(prefix) === 4 ? 'ipv4-unicast' : 'ipv6-unicast',
    length: () => lengthOf(prefix),
    word: (_, index) => view.getInt32(index * 4),
  };
}
