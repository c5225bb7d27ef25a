// ADD's work. The record is on disk before anything else exists, and goes last: at whatever instant this process is
// killed, what it left can be found and undone.
import { randomBytes } from 'node:crypto';
import { type Address, familyOf } from '#ip';
import { type Wish, chooseFamilies } from './config.ts';
import { undo } from './detach.ts';
import { CniError, asCniError } from './error.ts';
import { furnish, plug } from './furnish.ts';
import type { AddressRequest, Attachment } from './port.ts';
import type { Call } from './request.ts';
import type { Attached } from './result.ts';
import { type Surroundings, alone, aloneOn, linkExists, lockName, readableRecords } from './surroundings.ts';
import { type Plan, handleOf, hostInterfaceName, planWiring } from './wiring.ts';

/**
 * Attaches a pod as wished, or leaves nothing behind.
 * @throws CniError 101 when it has this interface already (which stays as it is), 3 and 8 for its namespace, 11 when
 * there is no address now, 102 when the kernel refuses.
 */
export async function attach(call: Call, wishOf: () => Promise<Wish>, around: Surroundings): Promise<Attached> {
  const hostInterface = hostInterfaceName(call.key, call.pod);
  // In line at once: a DEL that arrives while this one still looks around must not overtake it.
  return alone(call.key, around, () =>
    aloneOn(hostInterface, around, async () => {
      const wish = await wishOf();
      await assertEnterable(call, around);
      const families = chooseFamilies(wish, await defaultFamilies(around));
      await clearTheWay(call, hostInterface, around);
      const begun = begin(call, wish, hostInterface, around);
      around.undone.delete(lockName(call.key));
      await around.records.put(begun);
      return finish(begun, wish, families, around);
    }),
  );
}

async function defaultFamilies(around: Surroundings): Promise<readonly (4 | 6)[]> {
  try {
    return await around.families();
  } catch (error) {
    throw asCniError(error, 11);
  }
}

/** Before anything is made. Tested first, because a pod's half that is carried out on the host would cut it off. */
export async function assertEnterable(call: Call, around: Surroundings): Promise<void> {
  const found = await around.namespaces.identify(call.netns);
  if (found === 'own' && !call.mayBeOwnNetns) {
    throw new CniError(8, `CNI_NETNS ${call.netns} is the host's own network namespace, not a pod's`);
  }
  if (found === 'none') {
    throw new CniError(3, `CNI_NETNS ${call.netns} is no network namespace that the agent can see: is the pod gone?`);
  }
}

async function clearTheWay(call: Call, hostInterface: string, around: Surroundings): Promise<void> {
  const own = await around.records.get(call.key);
  if (own?.state === 'wired' && (await linkExists(own.hostInterface, around))) {
    const { containerId, ifname } = call.key;
    throw new CniError(101, `container ${containerId} has its interface ${ifname} already`);
  }
  const handle = handleOf(call.key);
  for (const other of await readableRecords(around.records)) {
    const isOwn = lockName(other) === lockName(call.key);
    // Of two sandboxes of one pod the later lives. The earlier one's DEL will find nothing, and harm nobody.
    if (isOwn || other.hostInterface === hostInterface) await undo(other, around);
    else if (other.handle === handle) {
      throw new CniError(7, `container ${other.containerId} holds addresses as ${handle}: names with dots collide`);
    }
  }
}

function begin(call: Call, wish: Wish, hostInterface: string, around: Surroundings): Attachment {
  return {
    ...call.key,
    state: 'adding',
    handle: handleOf(call.key),
    netns: call.netns,
    hostInterface,
    addresses: [],
    mtu: wish.mtu ?? around.mtu(),
    podMac: wish.mac ?? randomMac(),
    ...(call.pod && { pod: call.pod }),
    createdAt: around.clock(),
  };
}

/** A random unicast address that is not from a manufacturer: the two lowest bits of the first octet are 1 and 0. */
function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = (bytes[0]! & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

async function finish(
  begun: Attachment,
  wish: Wish,
  families: readonly (4 | 6)[],
  around: Surroundings,
): Promise<Attached> {
  const plan = (addresses: readonly Address[]): Plan =>
    planWiring({
      ...begun,
      addresses,
      podMac: begun.podMac!,
      allowIpForwarding: wish.allowIpForwarding,
      protocol: around.protocol,
    });
  let hasClaimed = false;
  try {
    // The link first: when the pod has such an interface already, whoever made it keeps the addresses, too.
    await plug(begun, plan([]).plug, around);
    hasClaimed = true;
    const addresses = await claim(begun, wish, families, around);
    const routes = await furnish(begun.netns, plan(addresses), around);
    const attachment: Attachment = { ...begun, state: 'wired', addresses };
    await around.records.put(attachment);
    around.listener.changed();
    return { attachment, routes };
  } catch (error) {
    const failure = asCniError(error);
    // 101: the pod has such an interface, and the link is not ours. Otherwise it may be there whatever plug() heard.
    await rollBack(begun, { link: failure.code !== 101, lease: hasClaimed }, around);
    throw failure;
  }
}

/** What cannot be undone now keeps its record, and with that is undone by the DEL that follows or at the next start. */
async function rollBack(
  begun: Attachment,
  made: { link: boolean; lease: boolean },
  around: Surroundings,
): Promise<void> {
  try {
    if (made.link) await around.links.remove(begun.hostInterface);
    if (made.lease) await around.addresses.release(begun.handle);
    await around.records.remove(begun);
  } catch (error) {
    const { containerId, ifname } = begun;
    around.note({
      message: 'a failed ADD could not be undone yet',
      containerId,
      ifname,
      error: asCniError(error).message,
    });
  }
}

/** The addresses in the order of the families. All or none: what a failure leaves, the roll-back releases. */
async function claim(
  begun: Attachment,
  wish: Wish,
  families: readonly (4 | 6)[],
  around: Surroundings,
): Promise<readonly Address[]> {
  const { handle, pod } = begun;
  // The words of Calico's blocks, which calicoctl shows.
  const attributes = { node: around.node, ...(pod && { namespace: pod.namespace, pod: pod.name }) };
  const labels = wish.namespaceLabels && { namespaceLabels: wish.namespaceLabels };
  const addresses: Address[] = [];
  try {
    for (const part of requestsFor(wish, families)) {
      addresses.push(...(await around.addresses.assign({ handle, attributes, ...labels, ...part })).addresses);
    }
  } catch (error) {
    throw asCniError(error, 11);
  }
  const missing = families.find((family) => !addresses.some((address) => familyOf(address) === family));
  if (missing !== undefined) throw new CniError(11, `no IPv${missing} address was given for ${handle}`);
  return addresses;
}

/** One request as a rule. Where pools are named each family asks for itself: one's pools must not rule out the other. */
function requestsFor(
  { addresses, pools }: Wish,
  families: readonly (4 | 6)[],
): Pick<AddressRequest, 'families' | 'addresses' | 'pools'>[] {
  if (addresses) return [{ families, addresses }];
  if (pools[4] === undefined && pools[6] === undefined) return [{ families }];
  return families.map((family) => ({ families: [family], ...(pools[family] && { pools: pools[family] }) }));
}
