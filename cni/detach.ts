// DEL's work: taking an attachment off by its record, or by its key alone.
import { isObject } from './json.ts';
import type { Attachment } from './port.ts';
import type { Call } from './request.ts';
import { type Surroundings, alone, aloneOn, lockName, readableRecords } from './surroundings.ts';
import { handleOf, hostInterfaceName } from './wiring.ts';

/** Takes an attachment off, by its key alone if need be. What is gone already is no error. */
export async function detach(call: Call, around: Surroundings): Promise<void> {
  await alone(call.key, around, async () => {
    const record = await around.records.get(call.key);
    if (record !== undefined) await detachRecorded(record, around, call.at);
    // A runtime may ask again. That nothing is left is known, and need not be asked of the datastore.
    else if (!around.undone.has(lockName(call.key))) await detachUnrecorded(call, around);
  });
}

/** The same for what a record says. `before`: only if it was attached before this time (ms since the epoch). */
export async function detachKnown(record: Attachment, around: Surroundings, before?: number): Promise<void> {
  await alone(record, around, () => detachRecorded(record, around, before));
}

/** Removes link, lease and record, in this order: an address must not be given again while a route leads here. */
export async function undo(record: Attachment, around: Surroundings): Promise<void> {
  await around.links.remove(record.hostInterface);
  await around.addresses.release(record.handle);
  await around.records.remove(record);
  around.undone.add(lockName(record));
  around.listener.changed();
}

async function detachRecorded(seen: Attachment, around: Surroundings, before = Infinity): Promise<void> {
  await aloneOn(seen.hostInterface, around, async () => {
    // A new sandbox of the pod may have taken its place in the meantime.
    const record = await around.records.get(seen);
    if (record !== undefined && record.createdAt <= before) await undo(record, around);
  });
}

/** Pods that Calico wired, or of which the record is lost: the link goes only if it is proven to be this container's. */
async function detachUnrecorded(call: Call, around: Surroundings): Promise<void> {
  const hostInterface = hostInterfaceName(call.key, call.pod);
  await aloneOn(hostInterface, around, async () => {
    const others = await readableRecords(around.records);
    const isTaken = others.some((other) => other.hostInterface === hostInterface || other.netns === call.netns);
    if (call.netns !== '' && !isTaken && (await isPairOf(hostInterface, call, around))) {
      await around.links.remove(hostInterface);
    }
  });
  await around.addresses.release(handleOf(call.key));
}

/** Whether the host's interface and the one in the container's namespace name each other as their other end. */
async function isPairOf(hostInterface: string, call: Call, around: Surroundings): Promise<boolean> {
  // What cannot be looked at proves nothing, and is no reason to fail a DEL, which would be asked for ever again.
  if ((await around.namespaces.identify(call.netns).catch(() => 'none')) !== 'pod') return false;
  const [[host], [pod]] = (await Promise.all([
    around.namespaces.show(undefined, [`link show dev ${hostInterface}`]).then(([links]) => links),
    around.namespaces.show(call.netns, [`link show dev ${call.ifname}`]).then(([links]) => links),
  ])) as [readonly unknown[], readonly unknown[]];
  if (!isObject(host) || !isObject(pod)) return false;
  return host['link_index'] === pod['ifindex'] && pod['link_index'] === host['ifindex'];
}
