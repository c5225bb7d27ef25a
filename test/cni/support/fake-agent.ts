// cni/'s operations over a kernel, an IPAM and records in memory.
import { parseAddress } from '#ip';
import type { AddressRequest, Attachment, AttachmentKey, AttachmentRecords } from '../../../cni/port.ts';
import { CniError, type Operations, type PluginAnswer, createOperations } from '../../../cni/index.ts';
import { FakeKernel } from './fake-kernel.ts';

export interface Pod {
  readonly id: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly name?: string;
  readonly network?: string;
}

export class FakeAgent {
  readonly kernel = new FakeKernel();
  readonly leases = new Map<string, readonly string[]>();
  readonly requests: AddressRequest[] = [];
  readonly released: string[] = [];
  readonly stored = new Map<string, Attachment>();
  readonly facts: { message: string; [field: string]: unknown }[] = [];
  changes = 0;
  now = 1000;
  /** Thrown by the next assign() and release(). */
  assignFault: Error | undefined;
  releaseFault: Error | undefined;
  putFault: ((attachment: Attachment) => Error | undefined) | undefined;
  private serial = 0;

  readonly records: AttachmentRecords = {
    put: async (attachment) => {
      const fault = this.putFault?.(attachment);
      if (fault) throw fault;
      this.stored.set(nameOf(attachment), attachment);
    },
    get: async (key) => this.stored.get(nameOf(key)),
    remove: async (key) => void this.stored.delete(nameOf(key)),
    list: async () => [...this.stored.values()],
  };

  readonly operations: Operations = createOperations({
    addresses: {
      assign: async (request) => {
        this.requests.push(request);
        if (this.assignFault) throw this.assignFault;
        const held = this.leases.get(request.handle) ?? [];
        const ordinal = ++this.serial;
        const given =
          request.addresses ??
          request.families.map((family) => {
            const isOfFamily = (text: string): boolean => text.includes(':') === (family === 6);
            return held.find(isOfFamily) ?? (family === 4 ? `10.82.0.${ordinal}` : `fd82::${ordinal}`);
          });
        this.leases.set(request.handle, [...new Set([...held, ...given])]);
        return { addresses: given.map(parseAddress) };
      },
      release: async (handle) => {
        if (this.releaseFault) throw this.releaseFault;
        this.released.push(handle);
        this.leases.delete(handle);
      },
    },
    batch: this.kernel.batch,
    sysctls: this.kernel.sysctls,
    namespaces: this.kernel.namespaces,
    records: this.records,
    listener: { changed: () => void this.changes++ },
    node: 'worker-1',
    clock: () => this.now++,
    note: (fact) => this.facts.push(fact),
  });

  /** A sandbox; its namespace is named after it. */
  pod(id: string, more: Omit<Pod, 'id'> = {}): Required<Pod> {
    const pod = { netns: `/run/netns/${id}`, ifname: 'eth0', name: id, network: 'pods', ...more, id };
    if (pod.netns !== '' && pod.netns !== 'own') this.kernel.netnses.add(pod.netns);
    return pod;
  }

  call(command: string, pod: Pod, config: object = {}, more: object = {}): Promise<PluginAnswer> {
    const { id, netns = '', ifname = 'eth0', name, network = 'pods' } = pod;
    return this.operations.handle({
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: id,
        CNI_NETNS: netns,
        CNI_IFNAME: ifname,
        CNI_ARGS: name === undefined ? '' : `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name}`,
      },
      config: { cniVersion: '1.1.0', name: network, type: 'manx', ...config },
      ...more,
    });
  }

  /** Like {@link call}, for a call that must succeed. */
  async do(command: string, pod: Pod, config: object = {}, more: object = {}): Promise<Record<string, unknown>> {
    const { exit, print } = await this.call(command, pod, config, more);
    if (exit !== 0) throw new Error(JSON.stringify(print));
    return (print ?? {}) as Record<string, unknown>;
  }

  /** What is attached, leased and recorded: [] three times when nothing is. */
  get remains(): { links: string[]; leases: string[]; records: string[] } {
    return { links: [...this.kernel.links.keys()], leases: [...this.leases.keys()], records: [...this.stored.keys()] };
  }
}

export const nothing = { links: [], leases: [], records: [] };

/** What an answer says of an error. */
export function codeOf(answer: PluginAnswer): number | undefined {
  return answer.exit === 1 ? (answer.print as { code: number }).code : undefined;
}

export function tryAgain(): CniError {
  return new CniError(11, 'no free address: pool a has 0 of 256 left');
}

function nameOf({ network, containerId, ifname }: AttachmentKey): string {
  return `${network}/${containerId}/${ifname}`;
}
