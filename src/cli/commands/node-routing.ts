// `manxctl --node NAME node status`: how any node does, from what its agent wrote into the cluster: no shell there, no
// agent here. On a cluster without --node: all nodes, one line each.
import { parseAddress } from '#ip';
import type { KubeClient, KubeObject } from '../../kube/port.ts';
import { type NodeRouting, type NodeSession, statusKinds } from '../../status/model.ts';
import { agoText, countText, durationText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { type SessionRow, type View, sessionTable } from '../sessions.ts';
import { NOTHING, table } from '../table.ts';

type Client = Pick<KubeClient, 'get' | 'list'>;
interface Stored extends KubeObject {
  readonly status?: NodeRouting;
}

const place = { group: 'projectmanx.org', version: 'v1', plural: statusKinds.NodeRoutingStatus.plural };

/** An agent writes every five minutes at the latest; one that has missed that is away. */
const AWAY_MS = 6 * 60 * 1000;

export async function nodeRoutingStatus(context: Context, client: Client, node: string): Promise<void> {
  const object = await client.get<Stored>(place, node);
  if (object?.status === undefined) {
    throw new CliError('degraded', [
      `no agent has told the cluster how node ${node} does`,
      `is there one:  kubectl get pods --all-namespaces --field-selector spec.nodeName=${node}`,
    ]);
  }
  const { status } = object;
  context.show({ node, ...status }, (view) => renderNodeRouting(node, status, { now: context.now(), ...view }));
  if (status.health.state === 'degraded' || isAway(status, context.now())) context.degraded();
}

export async function allNodesRouting(context: Context, client: Client): Promise<void> {
  const nodes = await listRouting(client);
  context.show(
    nodes.map(({ node, status }) => ({ node, ...status })),
    (view) => renderNodes(nodes, { now: context.now(), ...view }),
  );
  if (nodes.some(({ status }) => status.health.state === 'degraded' || isAway(status, context.now()))) {
    context.degraded();
  }
}

/** What every agent has told. */
export async function listRouting(client: Client): Promise<{ node: string; status: NodeRouting }[]> {
  const objects = await client.list<Stored>(place);
  return objects.flatMap(({ metadata, status }) => (status === undefined ? [] : [{ node: metadata.name, status }]));
}

export function renderNodeRouting(node: string, status: NodeRouting, view: View): string[] {
  const { health, bgp, version, startedAt, sessionsUp, sessions, troubles } = status;
  const identity = bgp === undefined ? [] : [`AS ${bgp.asn}`, `router ID ${bgp.routerID}`];
  const rows = sessions.map(rowOf);
  return [
    [node, ...identity, `manx ${version}, up ${durationText(view.now - Date.parse(startedAt))}`].join('  '),
    ...verdict(status, view),
    '',
    `  pods     ${podsText(status)}`,
    `  kernel   ${routesText(status)}`,
    `  store    ${storeText(status, view.now)}`,
    ...(troubles.length === 0 ? [] : ['', 'The configuration asks for what cannot be had:']),
    ...troubles.map(
      ({ kind, name, path, message }) => `  ${[kind, name, path && `${path}:`, message].filter(Boolean).join(' ')}`,
    ),
    ...([4, 6] as const).flatMap((family) => ['', ...sessionTable(rows, family, view)]),
  ];

  function verdict({ writtenAt }: NodeRouting, { now, paint }: View): string[] {
    const said = `said ${agoText(now - Date.parse(writtenAt))}`;
    const up = sessions.length === 0 ? 'no peers configured' : `${sessionsUp.replace('/', ' of ')} sessions up`;
    const [word, text] =
      health.state === 'degraded' ? [paint.bad('degraded'), health.summary] : [paint.good('good'), up];
    if (!isAway(status, now)) return [`${word}: ${text} (${said})`];
    return [
      `${paint.bad('away')}: no word from this agent for ${durationText(now - Date.parse(writtenAt))}; what follows is its last`,
      `then ${word}: ${text}`,
    ];
  }
}

export function renderNodes(nodes: readonly { node: string; status: NodeRouting }[], { now, paint }: View): string[] {
  if (nodes.length === 0) return ['No agent has told the cluster how its node does.'];
  return table(
    [
      { head: 'NODE', cell: ({ node }) => node },
      {
        head: 'HEALTH',
        cell: ({ status }) => {
          const text = isAway(status, now) ? 'away' : status.health.state;
          return { text, paint: text === 'good' ? paint.good : paint.bad };
        },
      },
      { head: 'SESSIONS', align: 'right', cell: ({ status }) => status.sessionsUp },
      { head: 'ROUTES', align: 'right', cell: ({ status }) => String(status.routes?.installed ?? NOTHING) },
      { head: 'PODS', align: 'right', cell: ({ status }) => String(status.pods?.wired ?? NOTHING) },
      { head: 'VERSION', cell: ({ status }) => status.version },
      { head: 'SAID', cell: ({ status }) => agoText(now - Date.parse(status.writtenAt)) },
      { head: 'WHY', cell: ({ status }) => status.health.summary },
    ],
    nodes,
  );
}

function isAway({ writtenAt }: NodeRouting, now: number): boolean {
  return now - Date.parse(writtenAt) > AWAY_MS;
}

function podsText({ pods }: NodeRouting): string {
  if (pods === undefined) return 'not wired here';
  const blocks = pods.blocks.map(({ cidr, inUse, total }) => `${cidr} (${inUse} of ${total})`);
  return `${pods.wired} wired, ${blocks.length === 0 ? 'no blocks yet' : `blocks ${blocks.join(', ')}`}`;
}

function routesText({ routes }: NodeRouting): string {
  if (routes === undefined) return 'left alone (--no-fib)';
  const { installed, refused, missing, foreign, stale, repairs, error } = routes;
  return [
    countText(installed, 'route'),
    `${refused} refused`,
    `${missing} missing`,
    ...(foreign > 0 ? [`${foreign} foreign in the way`] : []),
    ...(stale > 0 ? [`${stale} kept from before the restart`] : []),
    ...(repairs > 0 ? [`${repairs} repaired`] : []),
    ...(error === undefined ? [] : [error]),
  ].join(', ');
}

function storeText({ store }: NodeRouting, now: number): string {
  if (store.error !== undefined) return `away: ${store.error}`;
  const since = store.inStepSince;
  return since === undefined ? 'not read yet' : `in step since ${durationText(now - Date.parse(since))}`;
}

/** A session as the table of sessions has it. */
function rowOf(session: NodeSession): SessionRow {
  const [address = '', link] = session.peer.split('%');
  const isKnown = address.includes(':') || address.includes('.');
  const place = isKnown
    ? { address: parseAddress(address), interface: link }
    : { address: parseAddress('::'), interface: address };
  return {
    name: session.name,
    kind: session.type,
    address: place.address,
    ...(place.interface !== undefined && { interface: place.interface }),
    asn: session.asn,
    state: session.state,
    since: Date.parse(session.since),
    ...(session.cause !== undefined && { reason: session.cause }),
    flaps: session.flaps,
    families: session.families.map((family) => ({ ...family, negotiated: session.state === 'Established' })),
    errors:
      session.lastError === undefined ? [] : [{ at: Date.parse(session.lastError.at), text: session.lastError.text }],
  };
}
