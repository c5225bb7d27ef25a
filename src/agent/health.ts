// Good or degraded, and why: the first thing that an operator asks. Pure.
import type { PeerStatus } from '../../bgp/status.ts';
import { countText, durationText } from '../text.ts';
import { type AgentStatus, type Health, endpointText } from './status.ts';

/**
 * A foreign route in the way is no reason: leaving it alone is what we promise. A peer that the configuration shuts
 * down is none either.
 */
export function assess(status: Omit<AgentStatus, 'health'>, now: number): Health {
  const reasons = reasonsOf(status, (since) => durationText(now - since));
  return { state: reasons.length === 0 ? 'good' : 'degraded', reasons };
}

/** @param forHowLong absent: no reason says since when, so that it stays the same while nothing else changes */
export function reasonsOf(status: Omit<AgentStatus, 'health'>, forHowLong?: (since: number) => string): string[] {
  return [
    ...sessionReasons(status, forHowLong),
    ...(status.bgp?.listening ?? []).flatMap(({ address, port, error }) =>
      error === undefined ? [] : [`not listening on ${endpointText(address, port)}: ${error}`],
    ),
    ...limitReasons(status.bgp?.peers ?? []),
    ...kernelReasons(status),
    ...storeReasons(status),
    ...servicesReasons(status),
    ...(status.addresses ?? []).flatMap(({ problem }) => problem ?? []),
    ...(status.troubles.length > 0
      ? [`${countText(status.troubles.length, 'wish', 'wishes')} of the configuration cannot be met`]
      : []),
    ...status.failures.map(
      ({ doing, since, error }) => `${doing} fails${forHowLong ? ` for ${forHowLong(since)}` : ''}: ${error}`,
    ),
  ];
}

const NAMED_AT_MOST = 3;

function sessionReasons(
  { bgp, shutDown }: Omit<AgentStatus, 'health'>,
  forHowLong?: (since: number) => string,
): string[] {
  if (bgp === undefined) return ['no BGP: the configuration does not say who this node is'];
  const wanted = bgp.peers.filter((peer) => !shutDown.includes(peer.name));
  const down = wanted.filter((peer) => peer.state !== 'Established');
  if (down.length === 0) return [];
  const named = down
    .slice(0, NAMED_AT_MOST)
    .map(({ name, since }) => (forHowLong ? `${name}, ${forHowLong(since)}` : name));
  const more = down.length > named.length ? `; and ${down.length - named.length} more` : '';
  return [`${down.length} of ${countText(wanted.length, 'session')} down (${named.join('; ')}${more})`];
}

function limitReasons(peers: readonly PeerStatus[]): string[] {
  return peers.flatMap((peer) =>
    peer.families.flatMap(({ family, prefixLimit }) =>
      prefixLimit !== undefined && prefixLimit.discarded > 0
        ? [
            `${peer.name} sends more than its limit of ${prefixLimit.max} ${family} prefixes: ${prefixLimit.discarded} discarded`,
          ]
        : [],
    ),
  );
}

function kernelReasons({ kernel }: Omit<AgentStatus, 'health'>): string[] {
  if (kernel === undefined) return [];
  const refused = kernel.troubles.filter(({ trouble }) => trouble === 'refused').length;
  return [
    ...(kernel.error === undefined ? [] : [`the kernel cannot be asked or told: ${kernel.error}`]),
    ...(refused === 0 ? [] : [`${countText(refused, 'route')} refused by the kernel`]),
    ...kernel.forwarding.map(({ family, problem }) => `this node does not forward IPv${family}: ${problem}`),
  ];
}

/** A folder has one author, a cluster many. */
const stays = {
  file: 'the last good one stays in force',
  kubernetes: 'each resource stays as it was last right',
} as const;

/** While the store is away, it has said so already. */
function servicesReasons({ services, store }: Omit<AgentStatus, 'health'>): string[] {
  if (services?.error === undefined || store.error !== undefined) return [];
  return [`Services cannot be followed, what was last known stays announced: ${services.error}`];
}

function storeReasons({ store }: Omit<AgentStatus, 'health'>): string[] {
  return [
    ...(store.error === undefined ? [] : [`the store cannot be read: ${store.error}`]),
    ...(store.problems.length === 0
      ? []
      : [`the configuration has ${countText(store.problems.length, 'problem')}, ${stays[store.kind]}`]),
  ];
}
