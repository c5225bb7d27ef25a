// What a wish asks of TCP: where to dial and how it is to be guarded.
import type { PeerWish } from '../wish.ts';
import type { Connection, DialTarget, Protection } from './port.ts';

export function targetOf(wish: PeerWish): DialTarget {
  const { address, port, interface: scope, localAddress } = wish;
  return {
    address,
    port,
    ...(scope !== undefined && { interface: scope }),
    ...(localAddress !== undefined && { localAddress }),
    ...protectionOf(wish),
  };
}

export function protectionOf({ password, ttlSecurityHops }: PeerWish): Protection {
  return { ...(password !== undefined && { password }), ...(ttlSecurityHops !== undefined && { ttlSecurityHops }) };
}

/** Why a connection that came in is not what the wish demands, though the listener has let it through. */
export function objectionTo({ protection, interface: scope }: Connection, wish: PeerWish): string | undefined {
  const { password, ttlSecurityHops, interface: wished } = wish;
  if (password !== undefined && protection?.password === undefined) return 'it came without a TCP MD5 signature';
  if (ttlSecurityHops !== undefined && protection?.ttlSecurityHops === undefined) return 'its hops are not limited';
  if (wished !== undefined && scope !== undefined && scope !== wished) return `it came in on ${scope}, not ${wished}`;
  return undefined;
}
