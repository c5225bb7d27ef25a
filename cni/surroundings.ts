// What attaching and detaching ask of the outside, in one record, and how they keep out of one another's way.
import type { LinkRemover } from './links.ts';
import type {
  AddressSource,
  Attachment,
  AttachmentKey,
  AttachmentListener,
  AttachmentRecords,
  HostBatch,
  HostSysctls,
  Namespaces,
  Note,
} from './port.ts';
import type { Recent } from './recent.ts';
import { UnreadableRecords } from './records.ts';
import type { Serial } from './serial.ts';

export interface Surroundings {
  readonly addresses: AddressSource;
  readonly batch: HostBatch;
  readonly links: Pick<LinkRemover, 'remove'>;
  readonly sysctls: HostSysctls;
  readonly namespaces: Namespaces;
  readonly records: AttachmentRecords;
  readonly listener: AttachmentListener;
  readonly serial: Serial;
  /** Attachments that were undone to the end since, by lockName. */
  readonly undone: Recent;
  readonly node: string;
  /** What our routes in the host carry. */
  readonly protocol: number;
  /** For pods whose network configuration does not say. */
  readonly mtu: () => number;
  /** Likewise. */
  readonly families: () => readonly (4 | 6)[] | Promise<readonly (4 | 6)[]>;
  /** ms since the epoch. */
  readonly clock: () => number;
  readonly note: Note;
}

/** Runs `work` while nothing else touches this attachment. */
export function alone<T>(key: AttachmentKey, around: Surroundings, work: () => Promise<T>): Promise<T> {
  return around.serial.run(lockName(key), work);
}

/** Taken inside {@link alone}, never the other way round: two containers of one pod share the host's interface. */
export function aloneOn<T>(hostInterface: string, around: Surroundings, work: () => Promise<T>): Promise<T> {
  return around.serial.run(`link ${hostInterface}`, work);
}

export function lockName(key: AttachmentKey): string {
  return `attachment ${key.network} ${key.containerId} ${key.ifname}`;
}

/** All records that can be read. Those that cannot are reported where they are looked for. */
export async function readableRecords(records: AttachmentRecords): Promise<readonly Attachment[]> {
  try {
    return await records.list();
  } catch (error) {
    if (error instanceof UnreadableRecords) return error.readable;
    throw error;
  }
}

export async function linkExists(name: string, around: Surroundings): Promise<boolean> {
  const [links] = await around.namespaces.show(undefined, [`link show dev ${name}`]);
  return links!.length > 0;
}
