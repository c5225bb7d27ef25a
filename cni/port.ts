// The ports of cni/: what its operations ask of the outside, in their own words. src/ connects them.
import type { Address, Prefix } from '#ip';

/** IPAM as an operation sees it. */
export interface AddressSource {
  /**
   * Gives addresses for one attachment, all or none. Repeating it for a handle that has addresses gives the same ones.
   * @throws CniError (code 11 when trying again may help).
   */
  assign(request: AddressRequest): Promise<AssignedAddresses>;
  /** Frees everything that the handle holds; nothing held is no error. Must work while the datastore is away. */
  release(handle: string): Promise<void>;
}

export interface AddressRequest {
  /** `<network>.<containerID>`, as Calico's. */
  readonly handle: string;
  readonly families: readonly (4 | 6)[];
  /** Exactly these addresses. */
  readonly addresses?: readonly Address[];
  /** Only from these pools: names or CIDRs. */
  readonly pools?: readonly string[];
  /** Recorded beside the address: pod, namespace. */
  readonly attributes: Readonly<Record<string, string>>;
  /** By which a pool may select the pod's namespace; absent where nobody knows them. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
}

/** What is known of a pod beyond what the runtime passes. */
export interface PodFacts {
  readonly annotations: Readonly<Record<string, string>>;
  readonly namespaceAnnotations: Readonly<Record<string, string>>;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
}

/** Asked for each ADD of a Kubernetes pod; answers within seconds, whatever it could find out. */
export type DescribePod = (pod: {
  readonly namespace: string;
  readonly name: string;
  readonly uid?: string;
}) => Promise<PodFacts>;

export interface AssignedAddresses {
  readonly addresses: readonly Address[];
}

/**
 * Runs `ip` lines on the host, one answer per line, in their order and with nothing in between; src/ passes a warm
 * `ip -batch`. Links come and go under the same name, so it must not remember their indices from one run to the next.
 * Nothing here names a link again in a run that has changed it: see furnish.ts.
 */
export interface HostBatch {
  run(lines: readonly string[]): Promise<readonly LineAnswer[]>;
}

/** The records of what is wired here: one small file per attachment, written before the wiring begins. */
export interface AttachmentRecords {
  put(attachment: Attachment): Promise<void>;
  get(key: AttachmentKey): Promise<Attachment | undefined>;
  remove(key: AttachmentKey): Promise<void>;
  list(): Promise<readonly Attachment[]>;
}

export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

export interface Attachment extends AttachmentKey {
  /** adding: ADD has begun and may have been cut short at any point. */
  readonly state: 'adding' | 'wired';
  readonly handle: string;
  readonly netns: string;
  readonly hostInterface: string;
  readonly addresses: readonly Address[];
  readonly mtu: number;
  readonly podMac?: string;
  readonly pod?: { readonly namespace: string; readonly name: string };
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** Told after every change, so that routes are announced and installed. */
export interface AttachmentListener {
  changed(): void;
}

/** A network setting of the kernel: the path under /proc/sys/net, and what to write. */
export interface Sysctl {
  readonly key: string;
  readonly value: string;
  /** Nothing is lost when this kernel has no such setting. */
  readonly mayBeAbsent?: boolean;
}

/** Settings of the host's own namespace. */
export interface HostSysctls {
  write(sysctls: readonly Sysctl[]): Promise<void>;
}

/** What only works inside a namespace: the pod's half of the wiring, and looking at how it is. */
export interface Namespaces {
  /** Writes the settings, then runs `ip` lines, each whatever became of those before. One answer per line. */
  apply(netns: string, sysctls: readonly Sysctl[], lines: readonly string[]): Promise<readonly LineAnswer[]>;
  /** What `ip -j` shows for each line, in a namespace or (undefined) the host's; [] where it fails. */
  show(netns: string | undefined, lines: readonly string[]): Promise<readonly (readonly unknown[])[]>;
  /** What a path leads to: a pod's namespace, the host's own, or nothing that could be entered. */
  identify(netns: string): Promise<'pod' | 'own' | 'none'>;
}

/** What became of one `ip` line; `error` is the kernel's text or ip's own. */
export type LineAnswer = { readonly ok: true } | { readonly ok: false; readonly error: string };

/** For the log: a constant message, values as fields. */
export type Note = (fact: { readonly message: string; readonly [field: string]: unknown }) => void;

export type { Prefix };
