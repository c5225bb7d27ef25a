// `manxctl version`: this program's and the agent's.
import { version } from '../../version.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';

export async function showVersion(context: Context): Promise<void> {
  const agent = await context.api.get<{ version: string; node: string }>('/v1/version').catch((error: unknown) => {
    // Without an agent the question about this program is still answered.
    if (error instanceof CliError) return error;
    throw error;
  });
  const answered = agent instanceof CliError ? undefined : agent;
  context.show({ manxctl: version, ...(answered && { manxd: answered.version, node: answered.node }) }, () => [
    `manxctl  ${version}`,
    answered === undefined ? 'manxd    not reachable' : `manxd    ${answered.version} on ${answered.node}`,
  ]);
  if (agent instanceof CliError) throw agent;
}
