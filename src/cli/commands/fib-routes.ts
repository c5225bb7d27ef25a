// `manxctl fib routes`: what this node wants in the kernel and how it stands there. `fib diff`: only what differs, and why.
import type { Prefix } from '#ip';
import type { FibStatus } from '../../../fib/route.ts';
import type { FibAnswer, KernelRouteView } from '../../api/views.ts';
import { agoText, countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { hopsText, troubleText } from '../kernel-route.ts';
import type { View } from '../sessions.ts';
import { table } from '../table.ts';

export async function fibRoutes(context: Context, which: 'all' | 'differing'): Promise<void> {
  const answer = await context.api.get<FibAnswer>('/v1/fib/routes');
  const shown = which === 'all' ? answer : { ...answer, routes: answer.routes.filter(differs) };
  const render = which === 'all' ? renderFibRoutes : renderFibDiff;
  context.show(shown, (view) => render(shown, { now: context.now(), ...view }));
  if (which === 'differing' && shown.routes.length > 0) context.degraded();
}

function differs({ state, trouble }: KernelRouteView): boolean {
  return state !== 'installed' || trouble !== undefined;
}

export function renderFibRoutes({ routes, status }: FibAnswer, view: View): string[] {
  if (routes.length === 0) return [`No routes. ${checkedText(status, view.now)}`];
  return routeTable(routes, view);
}

export function renderFibDiff({ routes, status }: FibAnswer, view: View): string[] {
  const checked = checkedText(status, view.now);
  if (routes.length === 0) return [`The kernel has all of ${countText(status.desired, 'route')}. ${checked}`];
  return [
    `${countText(routes.length, 'difference')} of ${countText(status.desired, 'wished route')}. ${checked}`,
    '',
    ...routeTable(routes, view),
  ];
}

function checkedText({ lastFullCheck, error }: FibStatus, now: number): string {
  const checked = lastFullCheck === undefined ? 'Not checked yet' : `Checked ${agoText(now - lastFullCheck)}`;
  return error === undefined ? `${checked}.` : `${checked}; now the kernel cannot be asked or told: ${error}.`;
}

function routeTable(routes: readonly KernelRouteView[], { now, paint }: View): string[] {
  return table(
    [
      { head: 'PREFIX', cell: ({ route }): Prefix => route.prefix },
      { head: 'NEXT HOPS', cell: ({ route }) => hopsText(route) },
      { head: 'METRIC', align: 'right', cell: ({ route }) => String(route.metric) },
      { head: 'STATE', cell: ({ state }) => ({ text: state, paint: state === 'installed' ? paint.good : paint.bad }) },
      {
        head: 'WHY',
        cell: ({ state, trouble }) => (trouble === undefined ? (reasons[state] ?? '') : troubleText(trouble, now)),
      },
    ],
    routes,
  );
}

const reasons: Readonly<Record<string, string>> = {
  stale: 'from before the restart; goes when the peers have sent all their routes, unless one sends it again',
};
