// What manxd runs with, once its flags and environment have been read.
import type { Address, Family } from '#ip';
import type { AddressWish } from '../autodetect/wish.ts';
import type { IPPool } from '../resources/types.ts';
import type { CalicoGroup } from '../store/kubernetes/places.ts';

/** What the agent runs with. Folders are absolute. */
export interface AgentConfig {
  /** YAML that an operator edits. */
  readonly config: string;
  /** Blocks, affinities and handles; may be shared by the agents of several nodes. */
  readonly datastore: string;
  /** Resources are kept in Kubernetes instead of in these two folders. */
  readonly kubernetes?: KubernetesConfig;
  /** What must outlive the process: records of attachments, tombstones, the mark of a run. */
  readonly state: string;
  /** Sockets. */
  readonly run: string;
  readonly node: string;
  /** Whether routes go into the kernel. */
  readonly fib: boolean;
  /** Whether pods are wired. */
  readonly cni: boolean;
  /** Who works inside pods' namespaces; auto: the agent where it may. */
  readonly podHalf: 'auto' | 'agent' | 'plugin';
  /** Written when pods can be wired: what makes the container runtime call the plugin. */
  readonly conflist?: string;
  /** What that has in it, instead of the preset. */
  readonly conflistFrom?: string;
  /** /proc/sys/net, or another mount of it. */
  readonly sysctls: string;
  /** Instead of BGPConfiguration's listenPort; 0 takes any free one. */
  readonly listenPort?: number;
  /** Where /readyz and /livez answer; absent: nowhere. */
  readonly health?: { readonly address: Address; readonly port: number };
  /** Where the node's addresses come from, on Kubernetes. */
  readonly addresses: Readonly<Record<Family, AddressWish>>;
  /** The node's AS number, on Kubernetes; absent: what its Node says, or the cluster's. */
  readonly asNumber?: number;
  /** Instead of the node's IPv4 address; hash: made from the node's name. */
  readonly routerId?: Address | 'hash';
  /** To be made on Kubernetes where a family has no pool. */
  readonly pools: readonly IPPool[];
  readonly logLevel: LogLevel;
}

export interface KubernetesConfig {
  /** Absent: the service account of the pod that we run in. */
  readonly kubeconfig?: string;
  /** Of the Secrets with passwords; absent: the one that we run in. */
  readonly namespace?: string;
  /** Which of Calico's API groups, whatever is served. */
  readonly group?: CalicoGroup;
}

export const podHalves = ['auto', 'agent', 'plugin'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
