// The plugin's share of the work for an agent that may not enter namespaces: orders of the agent, carried out in the
// pod's. The plugin is root on the host and the agent is not, so only what wires this very interface is done: no order
// can become a program that is run, a file that is written elsewhere, or another pod's change.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import type * as NodeFfi from 'node:ffi';
import { dirname, join } from 'node:path';
import { lastLine, readAnswers, readShown } from './batch-answers.ts';
import { isObject } from './json.ts';
import type { Sysctl } from './port.ts';
import type { PluginOrder } from './request.ts';

/** What the runtime said of the call: an order must fit it. */
export interface Place {
  readonly netns: string;
  readonly ifname: string;
}

/** Carries out the orders of one call; the report to each. After the first, this process is in the pod's namespace. */
export function podHalf(place: Place): (order: unknown) => object {
  let inside = false;
  return (order) => {
    try {
      const objection = objectionTo(order, place);
      if (objection !== undefined) return { error: objection };
      if (!inside) enter(place.netns);
      inside = true;
      return carryOut(order as PluginOrder);
    } catch (error) {
      return { error: (error as Error).message };
    }
  };
}

const address = '[0-9a-fA-F.:]+';
const settings: readonly RegExp[] = [/^ipv4\/ip_forward=[01]$/, /^ipv6\/conf\/(all|default)\/disable_ipv6=0$/];

/** The lines of a plan's pod's half, and of a CHECK. */
function linesFor(order: PluginOrder['do'], ifname: string): RegExp {
  const dev = `dev ${ifname.replace(/[.+]/g, '\\$&')}`;
  const wiring = [
    `link set ${dev} up`,
    `addr add ${address}/\\d+ ${dev}( nodad)?`,
    `neigh replace ${address} lladdr ${address} ${dev} nud permanent`,
    `route add (${address}/\\d+ ${dev} scope link|default via ${address} ${dev})`,
  ];
  const looking = [`(link|addr) show ${dev}`, `-[46] route show ${dev}`];
  return new RegExp(`^(${(order === 'apply' ? wiring : looking).join('|')})$`);
}

/** Why an order is not carried out, or undefined. */
export function objectionTo(order: unknown, { netns, ifname }: Place): string | undefined {
  if (!isObject(order) || (order['do'] !== 'apply' && order['do'] !== 'show')) return 'the plugin knows no such order';
  const { lines, sysctls = [] } = order;
  if (order['netns'] !== netns) return `the plugin was not called for ${String(order['netns'])}`;
  if (!Array.isArray(lines) || !Array.isArray(sysctls)) return 'an order has lines and sysctls';
  const allowed = linesFor(order['do'], ifname);
  const strange = lines.find((line) => typeof line !== 'string' || !allowed.test(line));
  if (strange !== undefined) return `the plugin does not run "ip ${String(strange)}" in a pod`;
  const texts = sysctls.map((sysctl) => {
    const { key, value } = isObject(sysctl) ? sysctl : {};
    return typeof key === 'string' && typeof value === 'string' ? `${key}=${value}` : '';
  });
  const odd = texts.find((text) => !settings.some((pattern) => pattern.test(text)));
  return odd === undefined ? undefined : `the plugin does not set "${odd}" in a pod`;
}

/** setns(2) for this thread, which does the rest itself: children and what is written under /proc/sys follow it. */
function enter(netns: string): void {
  const ffi = process.getBuiltinModule('node:ffi') as typeof NodeFfi | undefined;
  if (ffi === undefined)
    throw new Error(`node:ffi is missing in ${process.execPath}: use the Node that Manx came with`);
  const { functions } = ffi.dlopen(null, {
    setns: { return: 'i32', arguments: ['i32', 'i32'] },
    __errno_location: { return: 'pointer', arguments: [] },
  });
  const CLONE_NEWNET = 0x4000_0000;
  const fd = openSync(netns, 'r');
  try {
    if (functions.setns(fd, CLONE_NEWNET) === 0) return;
    const errno = ffi.getInt32(functions.__errno_location());
    throw new Error(`the plugin cannot enter ${netns} (errno ${errno})`);
  } finally {
    closeSync(fd);
  }
}

function carryOut(order: PluginOrder): object {
  if (order.do === 'show') return { shown: order.lines.map(show) };
  // Not by way of promises: Node's other threads are still in the host's namespace.
  for (const sysctl of order.sysctls) write(sysctl);
  const { stderr } = ip(['-force', '-batch', '-'], [...order.lines, lastLine, ''].join('\n'));
  const answers = readAnswers(stderr, order.lines.length);
  return typeof answers === 'string' ? { error: answers } : { answers };
}

function write({ key, value, mayBeAbsent }: Sysctl): void {
  const path = `/proc/sys/net/${key}`;
  if (mayBeAbsent && !existsSync(path)) return;
  // Never created: a file that is not there is a setting that this kernel does not have.
  writeFileSync(path, value, { flag: 'r+' });
}

function show(line: string): readonly unknown[] {
  return readShown(ip(['-j', '-d', '-N', ...line.split(' ')]).stdout);
}

/** The one beside our Node, where the host was given both; else the host's own. */
function ip(args: readonly string[], input = ''): { stdout: string; stderr: string } {
  const beside = join(dirname(process.execPath), 'ip');
  const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
  const { stdout, stderr, error } = spawnSync(existsSync(beside) ? beside : 'ip', args, {
    input,
    encoding: 'utf8',
    env: { PATH, LC_ALL: 'C' },
  });
  if (error) throw new Error(`ip cannot be started: ${error.message}`);
  return { stdout, stderr };
}
