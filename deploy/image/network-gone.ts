// The one thing that manx-uninstall says to the API server: this node has no network any more. By one request of its own,
// with the account of its pod: a client library for it would be a thousand times what the program has.
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { networkIsGone } from '../../src/status/network.ts';

export interface ClusterAccess {
  readonly host: string;
  readonly port: string;
  /** The folder with the account's token and the authority of the server's certificate. */
  readonly account: string;
}

const ANSWER_WITHIN_MS = 20_000;

/** Nothing new is scheduled to the node from then on, until an agent of ours or of somebody else's clears it. @throws */
export async function tellNetworkIsGone(node: string, { host, port, account }: ClusterAccess): Promise<void> {
  const [token, ca] = await Promise.all(['token', 'ca.crt'].map((name) => readFile(join(account, name), 'utf8')));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const asked = request(
    {
      ...{ host, port, ca, method: 'PATCH', path: `/api/v1/nodes/${encodeURIComponent(node)}/status` },
      headers: {
        authorization: `Bearer ${token!.trim()}`,
        'content-type': 'application/strategic-merge-patch+json',
        'user-agent': 'manx-uninstall',
      },
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    },
    (answer) => {
      const isGood = answer.statusCode === 200;
      void text(answer).then(
        (body) => (isGood ? resolve() : reject(new Error(`${answer.statusCode}: ${body}`))),
        reject,
      );
    },
  );
  asked.once('error', reject).end(JSON.stringify(networkIsGone(Date.now())));
  await promise;
}
