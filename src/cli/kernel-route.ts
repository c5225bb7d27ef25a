// A kernel route and what is wrong with it, in `ip route`'s words. Pure.
import { type NextHop, PROTOCOL, type Route, type RouteTrouble } from '../../fib/route.ts';
import { durationText } from '../text.ts';

/** "via 10.250.1.254 dev eth0 proto manx metric 1024" */
export function routeText(route: Route): string {
  return [hopsText(route), `proto manx (${PROTOCOL})`, ...(route.metric === 0 ? [] : [`metric ${route.metric}`])].join(
    ' ',
  );
}

/** "blackhole", "dev cali0123", or the gateways, one after the other. */
export function hopsText({ kind, nextHops }: Pick<Route, 'kind' | 'nextHops'>): string {
  return kind === 'blackhole' ? 'blackhole' : nextHops.map(hopText).join(', ');
}

function hopText({ via, dev }: NextHop): string {
  return [...(via === undefined ? [] : ['via', via]), ...(dev === undefined ? [] : ['dev', dev])].join(' ');
}

export function troubleText({ trouble, reason, since, retryAt }: RouteTrouble, now: number): string {
  const again =
    retryAt === undefined ? '' : `, tried again ${retryAt <= now ? 'now' : `in ${durationText(retryAt - now)}`}`;
  const what = {
    refused: 'the kernel refused it',
    foreign: 'a foreign route is in the way',
    shadowed: 'a foreign route is preferred',
  };
  return `${what[trouble]} for ${durationText(now - since)} (${reason})${again}`;
}
