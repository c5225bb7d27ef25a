// What the agent says about itself: plain data, the same for `manxctl`, the API and tests.
import type { Address, Prefix } from '#ip';
import type { PeerStatus, SpeakerStatus } from '../../bgp/status.ts';
import type { FibStatus } from '../../fib/route.ts';
import type { AddressState } from '../autodetect/decide.ts';
import type { NftStatus } from '../nft/index.ts';
import type { ServicesStatus } from '../services/follow.ts';
import type { Problem, StoreStatus } from '../store/port.ts';

/** Times are ms since the epoch. */
export interface AgentStatus {
  readonly node: string;
  readonly version: string;
  readonly startedAt: number;
  readonly health: Health;
  /** Which parts were not left out by a flag. */
  readonly parts: { readonly fib: boolean; readonly cni: boolean };
  /** Absent until the configuration says who this node is. */
  readonly bgp?: SpeakerStatus;
  /** Names of the peers that the configuration itself keeps shut down. */
  readonly shutDown: readonly string[];
  readonly pods?: PodsStatus;
  readonly kernel?: KernelStatus;
  readonly nft?: NftStatus;
  /** In a cluster. */
  readonly services?: ServicesStatus;
  readonly store: StoreStatus;
  /** How the node came to its addresses; absent where its owner has written them. */
  readonly addresses?: readonly AddressState[];
  /** What the configuration asks for and cannot have; the rest of it is in force. */
  readonly troubles: readonly Problem[];
  /** Work of the agent's that fails at present and is tried again. */
  readonly failures: readonly Failure[];
}

export interface Health {
  readonly state: 'good' | 'degraded';
  /** One clause each; empty when good. */
  readonly reasons: readonly string[];
}

export interface PodsStatus {
  readonly wired: number;
  /** ADDs that have begun and not ended. */
  readonly adding: number;
  readonly blocks: readonly BlockUse[];
}

export interface BlockUse {
  readonly cidr: Prefix;
  readonly total: number;
  readonly inUse: number;
}

export interface KernelStatus extends FibStatus {
  /** Why packets of a family are not forwarded, where they are not. */
  readonly forwarding: readonly { readonly family: 4 | 6; readonly problem: string }[];
}

export interface Failure {
  /** What the agent was about: "reading the store". */
  readonly doing: string;
  readonly since: number;
  readonly error: string;
}

/** "fe80::1%eth1": a link-local address means nothing without its link. "eth1" alone: nobody has been found there yet. */
export function addressText({ address, interface: link }: Pick<PeerStatus, 'address' | 'interface'>): string {
  if (link === undefined) return address;
  if (address === '::') return link;
  return /^fe[89ab]/.test(address) ? `${address}%${link}` : address;
}

/** How an address is written beside a port: "10.0.0.1:179", "[fd00::1]:179". */
export function endpointText(address: Address, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
