// The records against the kernel: what an agent that was killed, or a machine that was switched off, left behind.
import { undo } from './detach.ts';
import { asCniError } from './error.ts';
import { isObject } from './json.ts';
import type { Attachment } from './port.ts';
import { UnreadableRecords } from './records.ts';
import { type Surroundings, alone, aloneOn } from './surroundings.ts';

export interface Reconciled {
  /** Absent for a record that could not be read: `reason` names the file. */
  readonly attachment?: Attachment;
  /**
   * kept: as it should be. undone: an ADD that was cut short, whose result no runtime has. removed: its namespace and
   * its link are both gone. broken: the namespace is there and the link is not; it stays until the runtime deletes the
   * pod. unreadable, failed: somebody must look, see `reason`.
   */
  readonly became: 'kept' | 'undone' | 'removed' | 'broken' | 'unreadable' | 'failed';
  readonly reason?: string;
}

/** Looks at every record, past errors. Every result but `kept` is also noted for the log. */
export async function reconcile(around: Surroundings): Promise<readonly Reconciled[]> {
  const results: Reconciled[] = [];
  for (const attachment of await listRecords(around, results)) {
    try {
      results.push({ attachment, became: await reconcileOne(attachment, around) });
    } catch (error) {
      results.push({ attachment, became: 'failed', reason: asCniError(error).message });
    }
  }
  for (const { attachment, became, reason } of results) {
    if (became === 'kept') continue;
    const { containerId, ifname, hostInterface } = attachment ?? {};
    around.note({ message: 'attachment reconciled', became, containerId, ifname, hostInterface, reason });
  }
  return results;
}

async function listRecords(around: Surroundings, results: Reconciled[]): Promise<readonly Attachment[]> {
  try {
    return await around.records.list();
  } catch (error) {
    if (!(error instanceof UnreadableRecords)) throw error;
    results.push({ became: 'unreadable', reason: error.message });
    return error.readable;
  }
}

function reconcileOne(seen: Attachment, around: Surroundings): Promise<Reconciled['became']> {
  return alone(seen, around, () =>
    aloneOn(seen.hostInterface, around, async () => {
      const record = await around.records.get(seen);
      if (record === undefined) return 'removed';
      if (record.state === 'adding') {
        await undo(record, around);
        return 'undone';
      }
      const [links] = await around.namespaces.show(undefined, [`link show dev ${record.hostInterface}`]);
      // A veth lives exactly as long as the namespaces of both its ends.
      if (links!.some(isObject)) return 'kept';
      // `own`: /proc/PID leads to a process of the host by now.
      if ((await around.namespaces.identify(record.netns)) === 'pod') return 'broken';
      await undo(record, around);
      return 'removed';
    }),
  );
}
