// `manxctl version`: this program's and the agent's, or on a cluster those of all agents.
import { version } from '../../version.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { OpenTarget } from '../target.ts';
import { listRouting } from './node-routing.ts';

export async function showVersion(context: Context, open: OpenTarget, isOnCluster: boolean): Promise<void> {
  if (isOnCluster) return showVersions(context, open);
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

async function showVersions(context: Context, open: OpenTarget): Promise<void> {
  await using target = await open();
  const nodes = target.at === 'cluster' ? await listRouting(target.kube.client) : [];
  const agents = nodes.map(({ node, status }) => ({ node, manxd: status.version }));
  context.show({ manxctl: version, agents }, () => [
    `manxctl  ${version}`,
    ...agents.map(({ node, manxd }) => `manxd    ${manxd} on ${node}`),
  ]);
}
