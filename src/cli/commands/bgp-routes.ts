// `manxctl bgp routes [PREFIX]`: the table in brief, or everything about one prefix: each path and why it is where it is,
// what the kernel has, who hears of it.
import { readAddress, readPrefix } from '#ip';
import type { ExportStatus } from '../../../bgp/status.ts';
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
  const { prefix, paths, kernel } = route;
  const columns = pathColumns(view);
  const [from, ...rest] = columns;
  const marked: Column<PathView> = { head: '   FROM', cell: (path) => `${mark(path)} ${textOf(from!.cell(path))}` };
  return [
    `${prefix}  ${[countText(paths.length, 'path'), ...bestText(paths)].join(', ')}`,
    ...table([marked, ...rest, { head: 'WHY', cell: ({ why }) => why }], paths),
    ...paths.flatMap(({ rule, ...path }) => (rule === undefined ? [] : [`let in:        ${sourceOf(path)} (${rule})`])),
    ...(kernel ?? []).map((entry) => `in the kernel: ${kernelText(entry, view)}`),
    ...announcements(route),
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

/** Peers that fare alike share a line. */
function announcements({ exports = [] }: RouteView): string[] {
  const [told, untold] = [true, false].map((announced) => exports.filter((one) => one.announced === announced));
  return [
    ...(told!.length === 0 ? ['announced to:  nobody'] : grouped('announced to:  ', told!)),
    ...grouped('not to:        ', untold!),
  ];
}

function grouped(label: string, exports: readonly ExportStatus[]): string[] {
  const alike = Map.groupBy(exports, ({ nextHop, why }) => [...nextHopText(nextHop), why].join('; '));
  return [...alike].map(([text, peers]) => `${label}${namesText(peers.map(({ peer }) => peer))} (${text})`);
}

function nextHopText(nextHop: ExportStatus['nextHop']): string[] {
  if (nextHop === undefined) return [];
  return [nextHop.unchanged ? 'next hop unchanged' : `next hop ${nextHop.address}`];
}

const NAMED_AT_MOST = 10;

function namesText(names: readonly string[]): string {
  const more = names.length - NAMED_AT_MOST;
  return more <= 0 ? names.join(', ') : `${names.slice(0, NAMED_AT_MOST).join(', ')} and ${more} more`;
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}
