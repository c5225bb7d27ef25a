// `manxctl node cleanup`: the end of an installation. Removes exactly what carries Manx's protocol number from the
// kernel of this host, and nothing else.
import { type CleanupResult, PROTOCOL, cleanup, startBatch, startDump } from '../../../fib/index.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { routeText } from '../kernel-route.ts';

export async function nodeCleanup(context: Context, options: { readonly yes?: true }): Promise<void> {
  if (!options.yes) {
    throw new CliError('usage', [
      'pods of this node will not be reachable any more; to go on, add --yes',
      `what would go:  ip route show proto ${PROTOCOL}; ip -6 route show proto ${PROTOCOL}`,
    ]);
  }
  await refuseBesideAgent(context);
  await using batch = startBatch();
  await using dump = startDump();
  const result = await cleanup(batch, dump);
  context.show(result, () => renderCleanup(result));
  if (result.left.length > 0) context.degraded();
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

export function renderCleanup({ removed, left }: CleanupResult): string[] {
  return [
    `${countText(removed, 'route')} removed`,
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
