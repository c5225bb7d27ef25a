// Carrying out the plan of a pod's wiring: the link, then both halves side by side.
import { familyOf } from '#ip';
import { CniError } from './error.ts';
import { isObject } from './json.ts';
import type { Attachment, LineAnswer } from './port.ts';
import type { Surroundings } from './surroundings.ts';
import type { HostHalf, HostRoute, Plan, PodHalf, PodRoute } from './wiring.ts';

/**
 * Makes the link, both ends.
 * @throws CniError 101 when the pod has an interface of this name, whoever made it; 102.
 */
export async function plug(begun: Attachment, line: string, around: Surroundings): Promise<void> {
  const { hostInterface, netns, ifname } = begun;
  const first = await runOne(line, around);
  if (first.ok) return;
  if (!isTaken(first)) throw refused(line, first.error);
  const [links] = await around.namespaces.show(netns, [`link show dev ${ifname}`]);
  const inPod = links!.find(isObject);
  // `ip` was killed after it had done the line, and the batch asked again.
  if (inPod?.['address'] === begun.podMac) return;
  if (inPod) throw new CniError(101, `${netns} has an interface ${ifname} already`);
  // So it is the host's end: named after this very pod, and left from a time of which there is no record.
  await around.links.remove(hostInterface);
  const second = await runOne(line, around);
  if (!second.ok) throw refused(line, second.error);
}

/**
 * Furnishes a link that is plugged with addresses, routes and settings.
 * @returns the ways out that the pod got by this interface.
 * @throws CniError 102, 5
 */
export async function furnish(netns: string, plan: Plan, around: Surroundings): Promise<readonly PodRoute[]> {
  const halves = [furnishHost(plan.host, around), furnishPod(netns, plan.pod, around)] as const;
  // Neither may go on behind the back of a roll-back.
  await Promise.allSettled(halves);
  const [, routes] = await Promise.all(halves);
  return routes;
}

async function furnishHost({ sysctls, up, routes }: HostHalf, around: Surroundings): Promise<void> {
  await around.sysctls.write(sysctls);
  // A run of its own: `link set` makes a long-lived ip forget the link's index, and find an older one of that name.
  const raised = await runOne(up, around);
  if (!raised.ok) throw refused(up, raised.error);
  const lines = routes.map(({ words }) => `route add ${words}`);
  const answers = await around.batch.run(lines);
  for (const [index, answer] of answers.entries()) {
    if (answer.ok) continue;
    if (!isTaken(answer)) throw refused(lines[index]!, answer.error);
    await settleRoute(routes[index]!, around);
  }
}

/** A route to the pod's address exists: one of ours gives way, the pod's own may stay, anybody else's is in the way. */
async function settleRoute({ address, words }: HostRoute, around: Surroundings): Promise<void> {
  const [prefix, , device] = words.split(' ');
  const [shown] = await around.namespaces.show(undefined, [`-${familyOf(address)} route show exact ${prefix}`]);
  const existing = shown!.filter(isObject);
  if (existing.some((route) => route['dev'] === device)) return;
  const foreign = existing.find((route) => route['protocol'] !== String(around.protocol));
  if (foreign) {
    const what = `dev ${String(foreign['dev'])}, protocol ${String(foreign['protocol'])}`;
    throw new CniError(
      102,
      `a route to ${prefix} that is not Manx's is in the way (${what}): remove it on ${around.node}`,
    );
  }
  const line = `route replace ${words}`;
  const answer = await runOne(line, around);
  if (!answer.ok) throw refused(line, answer.error);
}

async function furnishPod(netns: string, half: PodHalf, around: Surroundings): Promise<readonly PodRoute[]> {
  const lines = [...half.lines, ...half.routes.map(({ line }) => line)];
  const answers = await around.namespaces.apply(netns, half.sysctls, lines);
  const taken = new Set<PodRoute>();
  for (const [index, line] of lines.entries()) {
    const answer = answers[index]!;
    const route = half.routes[index - half.lines.length];
    if (answer.ok) continue;
    // Where another interface has the route to the gateway, this one has no way through it.
    const isBehindTaken = route && half.routes.some((other) => taken.has(other) && other.family === route.family);
    if (!route || !(isTaken(answer) || isBehindTaken)) throw refused(line, answer.error);
    taken.add(route);
  }
  return half.routes.filter((route) => !taken.has(route));
}

async function runOne(line: string, around: Surroundings): Promise<LineAnswer> {
  const [answer] = await around.batch.run([line]);
  return answer!;
}

function isTaken(answer: LineAnswer): boolean {
  return !answer.ok && /File exists/.test(answer.error);
}

function refused(line: string, reason: string): CniError {
  return new CniError(102, `the kernel refused to wire the pod: ${reason.trim()}`, { details: `ip ${line}` });
}
