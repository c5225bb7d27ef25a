// Terms to test with: an ordinary external session, and one that restarts gracefully.
import type { PeerRestart, Terms } from '../../../bgp/message.ts';

export function someTerms(other: Partial<Terms> = {}): Terms {
  return {
    localAsn: 64512,
    peerAsn: 65001,
    internal: false,
    localRouterId: 0x0a000001,
    peerRouterId: 0x0a000002,
    holdSeconds: 90,
    keepaliveSeconds: 30,
    families: ['ipv4-unicast'],
    fourOctetAs: true,
    receiveLimit: 65535,
    sendLimit: 65535,
    addPathReceive: [],
    addPathSend: [],
    extendedNextHop: [],
    routeRefresh: true,
    enhancedRouteRefresh: true,
    notificationRestart: false,
    longLived: new Map(),
    ...other,
  };
}

export function restartable(other: Partial<Terms> = {}): Terms {
  const gracefulRestart: PeerRestart = {
    restarting: false,
    restartSeconds: 120,
    families: new Map([['ipv4-unicast', { forwarding: true }]]),
  };
  return someTerms({ gracefulRestart, notificationRestart: true, ...other });
}
