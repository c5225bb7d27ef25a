// `manxctl node cleanup`: the end of an installation. Removes the routes that carry Manx's protocol number and the nft
// table of its name from the kernel of this host, and nothing else.
import { type CleanupResult, PROTOCOL, cleanup, startBatch, startDump } from '../../../fib/index.ts';
import { NftError, type TableRemoval, removeTable } from '../../nft/index.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { routeText } from '../kernel-route.ts';

export async function nodeCleanup(context: Context, options: { readonly yes?: true }): Promise<void> {
  if (!options.yes) {
    throw new CliError('usage', [
      'pods of this node will not be reachable any more; to go on, add --yes',
      `what would go:  ip route show proto ${PROTOCOL}; ip -6 route show proto ${PROTOCOL}; nft list table inet manx`,
    ]);
  }
  await refuseBesideAgent(context);
  await using batch = startBatch();
  await using dump = startDump();
  const routes = await cleanup(batch, dump);
  const result = { ...routes, table: await tableRemoved() };
  context.show(result, () => renderCleanup(result));
  if (result.left.length > 0 || result.table.left !== undefined) context.degraded();
}

interface Cleanup extends CleanupResult {
  readonly table: { readonly outcome?: TableRemoval; readonly left?: string };
}

/** The routes are gone already: what nft says is part of the result. */
async function tableRemoved(): Promise<Cleanup['table']> {
  try {
    return { outcome: await removeTable() };
  } catch (error) {
    if (error instanceof NftError) return { left: error.message };
    throw error;
  }
}

/** An agent that runs would put everything back within a second. */
async function refuseBesideAgent(context: Context): Promise<void> {
  const agent = await context.api.get('/v1/version').catch((error: unknown) => {
    if (error instanceof CliError && error.ending === 'unreachable') return undefined;
    throw error;
  });
  if (agent === undefined) return;
  throw new CliError('degraded', [
    'the agent runs, and would put its routes back: stop it first (systemctl stop manxd)',
  ]);
}

const tableTexts = {
  removed: 'nft table inet manx removed',
  absent: 'there is no nft table inet manx',
  unknown: 'nft is not installed: whether there is a table inet manx could not be seen',
} as const satisfies Record<TableRemoval, string>;

export function renderCleanup({ removed, left, table }: Cleanup): string[] {
  return [
    `${countText(removed, 'route')} removed`,
    table.outcome === undefined ? `not removed: nft table inet manx: ${table.left}` : tableTexts[table.outcome],
    ...left.map(
      ({ route, reason }) =>
        `not removed: ${route.prefix} ${routeText({ ...route, kind: kindOf(route.kind) })}: ${reason}`,
    ),
  ];
}

/** Whatever else carries our number is no blackhole. */
function kindOf(kind: 'unicast' | 'blackhole' | 'other'): 'unicast' | 'blackhole' {
  return kind === 'blackhole' ? 'blackhole' : 'unicast';
}
