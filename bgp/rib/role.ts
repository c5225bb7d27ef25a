// Only To Customer (RFC 9234 §5): routes that went down or sideways once never go up or sideways again.
import type { PathAttributes, Role } from '../message.ts';

interface Roles {
  readonly local: Role;
  readonly peer: Role;
}

/** What becomes of a route from a peer with a role: a reason to reject it, or its attributes, perhaps marked. */
export function importUnderRole(
  attributes: PathAttributes,
  { peer }: Roles,
  peerAsn: number,
): { readonly leak: string } | { readonly attributes: PathAttributes } {
  const { onlyToCustomer } = attributes;
  const below = peer === 'customer' || peer === 'routeServerClient';
  if (onlyToCustomer === undefined) {
    return { attributes: below ? attributes : { ...attributes, onlyToCustomer: peerAsn } };
  }
  if (below) return { leak: `a route leak: OTC ${onlyToCustomer} from a ${words[peer]} (RFC 9234 §5)` };
  if (peer === 'peer' && onlyToCustomer !== peerAsn) {
    return { leak: `a route leak: OTC ${onlyToCustomer} from peer AS ${peerAsn} (RFC 9234 §5)` };
  }
  return { attributes };
}

/** The attributes under which a route goes to a peer with a role, or why it must not. */
export function exportUnderRole(
  attributes: PathAttributes,
  { peer }: Roles,
  localAsn: number,
): { readonly leak: string } | { readonly attributes: PathAttributes } {
  const upOrSideways = peer === 'provider' || peer === 'peer' || peer === 'routeServer';
  if (attributes.onlyToCustomer === undefined) {
    return { attributes: peer === 'provider' || peer === 'routeServer' ? attributes : mark(attributes, localAsn) };
  }
  if (upOrSideways) return { leak: `it is only for customers (OTC ${attributes.onlyToCustomer}, RFC 9234 §5)` };
  return { attributes };
}

function mark(attributes: PathAttributes, asn: number): PathAttributes {
  return { ...attributes, onlyToCustomer: asn };
}

const words: Readonly<Record<Role, string>> = {
  provider: 'provider',
  routeServer: 'route server',
  routeServerClient: 'route server client',
  customer: 'customer',
  peer: 'peer',
};
