// Calico's BGPFilter, said in the speaker's words: one list of rules for a direction and a family.
//
// Conditions of a rule are ANDed; the first rule that matches decides, also across the filters of a peer; what none
// matches goes on to the defaults of policy.ts.
import { type Family, bitsOf, familyOfPrefix, lengthOf, parsePrefix } from '#ip';
import type { AddressFamily } from '../../bgp/message.ts';
import { priorityCeiling } from '../../bgp/policy/operation.ts';
import type { Match, Operation, Rule } from '../../bgp/policy/rule.ts';
import { parseCommunity } from '../../bgp/text.ts';
import type { BGPFilter, BGPFilterRule } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';

export type Direction = 'import' | 'export';

export interface FilterRules {
  readonly rules: readonly Rule[];
  readonly troubles: readonly Problem[];
}

/**
 * The rules of the named filters in the order of the names. A name without a filter refuses everything: a filter that
 * was meant to keep routes out must not let them in because it is misspelt.
 */
export function filterRules(
  names: readonly string[],
  filters: readonly BGPFilter[],
  direction: Direction,
  families: readonly AddressFamily[],
): FilterRules {
  const troubles: Problem[] = [];
  const rules = names.flatMap((name): Rule[] => {
    const filter = filters.find(({ metadata }) => metadata.name === name);
    if (filter !== undefined) {
      return families.flatMap((family) => rulesOf(filter, direction, family, families.length > 1));
    }
    troubles.push({ kind: 'BGPFilter', name, message: 'does not exist; peers that name it get and give no routes' });
    return [{ name: `filter ${name} does not exist`, action: 'reject' }];
  });
  return { rules, troubles };
}

function rulesOf(filter: BGPFilter, direction: Direction, family: AddressFamily, isMixed: boolean): Rule[] {
  const field = `${direction}${family === 'ipv4-unicast' ? 'V4' : 'V6'}` as const;
  const which = !isMixed ? '' : family === 'ipv4-unicast' ? ', IPv4' : ', IPv6';
  return (filter.spec[field] ?? []).map((rule, index) =>
    translate(`${filter.metadata.name} rule ${index + 1}${which}`, rule, isMixed ? family : undefined),
  );
}

/** @param family set when the session carries both, and a rule for one must keep its hands off the other */
function translate(name: string, rule: BGPFilterRule, family: AddressFamily | undefined): Rule {
  const match = matchOf(rule, family);
  const operations = (rule.operations ?? []).map(operationOf);
  return {
    name,
    action: rule.action === 'Accept' ? 'accept' : 'reject',
    ...(Object.keys(match).length > 0 && { match }),
    ...(operations.length > 0 && { operations }),
  };
}

function matchOf(rule: BGPFilterRule, family: AddressFamily | undefined): Match {
  return {
    ...prefixMatch(rule, family),
    ...(rule.source && { source: rule.source }),
    ...(rule.interface !== undefined && { interface: rule.interface }),
    ...(rule.peerType && { peerType: rule.peerType }),
    ...(rule.communities && { communities: rule.communities.values.map(parseCommunity) }),
    ...(rule.asPathPrefix && { asPathPrefix: rule.asPathPrefix }),
    // In Calico a route's priority is what is left of its LOCAL_PREF, in both directions.
    ...(rule.priority !== undefined && { localPref: priorityCeiling - rule.priority }),
  };
}

function prefixMatch(rule: BGPFilterRule, family: AddressFamily | undefined): Pick<Match, 'prefix'> {
  const { cidr, matchOperator: operator, prefixLength } = rule;
  if (cidr === undefined || operator === undefined) {
    return family === undefined ? {} : { prefix: { cidr: wholeFamily[family], operator: 'In' } };
  }
  if (prefixLength === undefined) return { prefix: { cidr, operator } };
  const bits = bitsOf(familyOfPrefix(cidr) satisfies Family);
  // Calico: a shorter prefix than the CIDR's own cannot be in it, whatever `min` says.
  const minLength = Math.max(prefixLength.min ?? 0, lengthOf(cidr));
  return { prefix: { cidr, operator, minLength, maxLength: prefixLength.max ?? bits } };
}

const wholeFamily = { 'ipv4-unicast': parsePrefix('0.0.0.0/0'), 'ipv6-unicast': parsePrefix('::/0') } as const;

function operationOf(operation: NonNullable<BGPFilterRule['operations']>[number]): Operation {
  if ('addCommunity' in operation) return { do: 'addCommunity', value: parseCommunity(operation.addCommunity.value) };
  if ('prependASPath' in operation) return { do: 'prependAsPath', asns: operation.prependASPath.prefix };
  return { do: 'setPriority', value: operation.setPriority.value };
}
