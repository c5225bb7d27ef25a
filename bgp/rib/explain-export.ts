// What a peer is told of a prefix, and why: runs export once more and writes down what it says.
import type { Address } from '#ip';
import type { PathAttributes } from '../message.ts';
import { acceptAll, applyRule, describeDecision } from '../policy/policy.ts';
import { type ExportTerms, exportRule, exportUnder, planExport } from './export.ts';
import { ownPeer, pathField } from './path-table.ts';
import type { GroupContext } from './update-group.ts';

export interface ExportVerdict {
  /** What the route goes out with; absent when it does not. */
  readonly sent?: { readonly nextHop: Address; readonly unchanged: boolean };
  readonly why: string;
}

/**
 * The verdict on the best path, or with ADD-PATH on the best of those that pass.
 * @param fit what of the attributes fits a message to these peers
 */
export function explainExport(
  terms: ExportTerms,
  context: GroupContext,
  fit: (attributes: PathAttributes) => PathAttributes | undefined,
  { peer, prefix }: { readonly peer: number; readonly prefix: number },
): ExportVerdict {
  const paths = context.best(prefix, Math.max(1, terms.addPath));
  const verdicts = paths.map((path) => judge(path));
  return verdicts.find(({ sent }) => sent !== undefined) ?? verdicts[0] ?? { why: 'no path for it is used' };

  function judge(path: number): ExportVerdict {
    const { view, attributes, interfaceOf, prefixes } = context;
    const source = view.paths.get(path, pathField.peer);
    if (source === peer) return { why: 'it is the source' };
    if (source !== ownPeer && context.deferring()) {
      return { why: 'held back after our restart until the others have said what they have (RFC 4724 §4.1)' };
    }
    const route = attributes.get(view.paths.get(path, pathField.imported));
    const plan = planExport(route, source === ownPeer ? undefined : view.peers[source], terms, interfaceOf);
    if (plan.refused !== undefined) return { why: plan.refused };
    const rule = exportRule(plan, prefixes, prefix)!;
    const why = plan.policy === acceptAll ? 'no filter is set' : describeDecision(plan.policy, rule, 'export');
    const made = exportUnder(plan, rule, terms, interfaceOf);
    if (made === undefined) {
      const passed = plan.policy === acceptAll || applyRule(plan.policy, rule, plan.attributes) !== undefined;
      return { why: passed ? 'there is no next hop that it could use' : why };
    }
    if (fit(made) === undefined) return { why: 'its attributes do not fit the messages that it takes (RFC 8654 §4)' };
    return { sent: { nextHop: made.nextHop, unchanged: made.nextHop === route.nextHop }, why };
  }
}
