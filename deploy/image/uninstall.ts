// manx-uninstall: takes everything of Manx's off the host that it runs on, in the order in which nothing is put back.
//
//   manx-uninstall [--host DIR] [--node NAME]   the host's folders, as they are mounted here; which Node of the cluster it
//                                               is, to say there that it has no network
//   manx-uninstall --wait                       does nothing until SIGTERM: a DaemonSet wants a container that stays
//
// Pods that are left lose their network with it: drain a node first. What is gone already is no error.
import { execFile } from 'node:child_process';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { tellNetworkIsGone } from './network-gone.ts';

const execute = promisify(execFile);
const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '/host' },
    node: { type: 'string' },
    wait: { type: 'boolean', default: false },
  },
});

if (values.wait) await terminated();
else {
  // Before anything goes, so that no pod is sent here to wait for a network in vain.
  if (values.node !== undefined) await tellCluster(values.node);
  await uninstall(values.host);
}

/** What stands on the node goes all the same where the API server cannot be told; then it is tried again as a whole. */
async function tellCluster(node: string): Promise<void> {
  const { KUBERNETES_SERVICE_HOST: server = '', KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  const access = { host: server, port, account: '/var/run/secrets/kubernetes.io/serviceaccount' };
  try {
    await tellNetworkIsGone(node, access);
    console.log(`Node ${node}: says that its network is gone`);
  } catch (error) {
    console.error(`Node ${node}: could not be told that its network is gone: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

async function uninstall(host: string): Promise<void> {
  // First, so that the runtime calls nobody any more.
  await remove(join(host, 'etc/cni/net.d/10-manx.conflist'));
  // Routes with our protocol number, our nft table. Refuses while an agent runs, which would put them back.
  const cleanUp = ['node', 'cleanup', '--yes', '--socket', join(host, 'run/manx/agent.sock')];
  const cleaned = await execute('manxctl', cleanUp).catch((error: { stderr?: string }) => {
    console.error(error.stderr ?? error);
    return undefined;
  });
  if (cleaned === undefined) {
    // Tried again before anything else goes.
    process.exitCode = 1;
    return;
  }
  console.log(cleaned.stdout.trim());
  for (const link of await linksOfPods(join(host, 'var/lib/manx/attachments'))) {
    const gone = await execute('ip', ['link', 'del', 'dev', link]).then(
      () => true,
      (error: { stderr?: string }) => /Cannot find device/.test(error.stderr ?? ''),
    );
    console.log(`interface ${link} of a pod: ${gone ? 'gone' : 'could not be removed'}`);
    if (!gone) process.exitCode = 1;
  }
  for (const path of ['opt/cni/bin/manx', 'opt/manx', 'run/manx', 'var/lib/manx']) await remove(join(host, path));
}

/** Pods that Calico wired are not in the records, and stay as they are. */
async function linksOfPods(records: string): Promise<string[]> {
  const names = await readdir(records).catch(() => []);
  const links = names.map(async (name) => {
    const text = await readFile(join(records, name), 'utf8').catch(() => '');
    return /"hostInterface":\s*"(cali[0-9a-f]{11})"/.exec(text)?.[1] ?? [];
  });
  return (await Promise.all(links)).flat();
}

async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  console.log(`${path}: gone`);
}

function terminated(): Promise<void> {
  const timer = setInterval(() => undefined, 1 << 30);
  return new Promise((resolve) => {
    process.once('SIGTERM', () => {
      clearInterval(timer);
      resolve();
    });
  });
}
