// `manxctl bgp routes [PREFIX]`: the table in brief, or everything about one prefix: each path and why it is where it is,
// what the kernel has, who hears of it.
import { readAddress, readPrefix } from '#ip';
import type { KernelRouteView, PathView, RouteView, RoutesAnswer } from '../../api/views.ts';
import { countText, durationText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { routeText, troubleText } from '../kernel-route.ts';
import type { View } from '../sessions.ts';
import { type Cell, type Column, NOTHING, table } from '../table.ts';

export interface RoutesQuery {
  readonly prefix?: string;
  readonly family?: string;
  readonly peer?: string;
  readonly limit?: string;
}

export async function bgpRoutes(context: Context, query: RoutesQuery): Promise<void> {
  const { prefix } = query;
  if (prefix !== undefined && readPrefix(prefix) === undefined && readAddress(prefix) === undefined) {
    throw new CliError('usage', [`${JSON.stringify(prefix)} is neither a prefix nor an address`]);
  }
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
  const answer = await context.api.get<RoutesAnswer>(`/v1/bgp/routes?${parameters.toString()}`);
  context.show(answer, (view) => {
    const now = context.now();
    if (prefix === undefined) return renderRoutes(answer, { now, ...view });
    return answer.routes.length === 0
      ? [`${prefix}  no path`]
      : answer.routes.flatMap((route) => renderRoute(route, { now, ...view }));
  });
}

export function renderRoutes({ routes, more }: RoutesAnswer, view: View): string[] {
  if (routes.length === 0) return ['No routes.'];
  const rows = routes.flatMap(({ prefix, paths }) => paths.map((path, i) => ({ prefix: i === 0 ? prefix : '', path })));
  const columns = pathColumns(view).map(({ cell, ...column }) => ({ ...column, cell: ({ path }: Row) => cell(path) }));
  const [from, ...rest] = columns;
  const lines = table<Row>(
    [{ head: '   PREFIX', cell: ({ prefix, path }) => `${mark(path)} ${prefix}` }, { ...from!, head: 'FROM' }, ...rest],
    rows,
  );
  return more ? [...lines, `… and more: --limit N shows them, or name a prefix`] : lines;
}

interface Row {
  readonly prefix: string;
  readonly path: PathView;
}

export function renderRoute(route: RouteView, view: View): string[] {
  const { prefix, paths, kernel, announcedTo } = route;
  const columns = pathColumns(view);
  const [from, ...rest] = columns;
  const marked: Column<PathView> = { head: '   FROM', cell: (path) => `${mark(path)} ${textOf(from!.cell(path))}` };
  return [
    `${prefix}  ${[countText(paths.length, 'path'), ...bestText(paths)].join(', ')}`,
    ...table([marked, ...rest, { head: 'WHY', cell: ({ why }) => why }], paths),
    ...(kernel ?? []).map((entry) => `in the kernel: ${kernelText(entry, view)}`),
    `announced to:  ${announcementText(paths, announcedTo)}`,
  ];
}

function bestText(paths: readonly PathView[]): string[] {
  const best = paths.filter(({ state }) => state === 'best' || state === 'multipath').map(sourceOf);
  return best.length === 0 ? ['none usable'] : [`best from ${best.join(' and ')}`];
}

function pathColumns({ now }: View): Column<PathView>[] {
  const number = (head: string, value: (path: PathView) => number | undefined): Column<PathView> => ({
    head,
    align: 'right',
    cell: (path) => String(value(path) ?? NOTHING),
  });
  return [
    { head: 'FROM', cell: sourceOf },
    { head: 'NEXT HOP', cell: ({ attributes }) => attributes.nextHop },
    number('LOCAL PREF', ({ attributes }) => attributes.localPref),
    { head: 'AS PATH', cell: ({ attributes }) => attributes.asPath || NOTHING },
    number('MED', ({ attributes }) => attributes.med),
    { head: 'ORIGIN', cell: ({ attributes }) => originLetters[attributes.origin] },
    { head: 'COMMUNITIES', cell: communitiesText },
    { head: 'AGE', cell: ({ since, stale }) => `${durationText(now - since)}${stale ? ' (stale)' : ''}` },
  ];
}

// As every BGP daemon's table has them.
const originLetters = { IGP: 'i', EGP: 'e', incomplete: '?' } as const;

const marks = { best: '*>', multipath: '*=', valid: '* ', rejected: '- ' } as const satisfies Record<
  PathView['state'],
  string
>;

function mark({ state }: PathView): string {
  return marks[state];
}

function sourceOf({ peer, pathId }: PathView): string {
  return `${peer ?? 'this node'}${pathId === undefined ? '' : ` #${pathId}`}`;
}

function communitiesText({ attributes }: PathView): string {
  const { communities = [], largeCommunities = [], extendedCommunities = [] } = attributes;
  return [...communities, ...largeCommunities, ...extendedCommunities].join(' ');
}

function kernelText({ route, state, trouble }: KernelRouteView, { now }: View): string {
  return `${routeText(route)}, ${state}${trouble === undefined ? '' : `: ${troubleText(trouble, now)}`}`;
}

function announcementText(paths: readonly PathView[], announcedTo: readonly string[]): string {
  const source = paths.find(({ state }) => state === 'best')?.peer;
  const silent = source !== undefined && !announcedTo.includes(source) ? [`not to ${source} (it is the source)`] : [];
  return [announcedTo.length === 0 ? 'nobody' : announcedTo.join(', '), ...silent].join('; ');
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}
