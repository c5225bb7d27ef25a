// The operations of the CNI contract: a request comes in, the answer to print goes out. Never throws.
import { assertEnterable, attach } from './attach.ts';
import { findDifferences, linesToSee } from './check.ts';
import { type Wish, attachmentName, parseValidAttachments, parseWish } from './config.ts';
import { detach, detachKnown } from './detach.ts';
import { CniError, asCniError } from './error.ts';
import { LinkRemover } from './links.ts';
import { shellNamespaces } from './namespaces.ts';
import { pluginNamespaces } from './plugin-namespaces.ts';
import type {
  AddressSource,
  AttachmentListener,
  AttachmentRecords,
  DescribePod,
  HostBatch,
  HostSysctls,
  Namespaces,
  Note,
} from './port.ts';
import { Recent } from './recent.ts';
import { type Reconciled, reconcile } from './reconcile.ts';
import { type Call, type PluginAnswer, type PluginEnd, type PluginRequest, parseCall } from './request.ts';
import { addResult, errorResult, parsePrevResult, versionToAnswerIn, versionsResult } from './result.ts';
import { Serial } from './serial.ts';
import { createShells } from './shell.ts';
import { type Surroundings, lockName, readableRecords } from './surroundings.ts';
import { fileSysctls } from './sysctl.ts';

/** More than a node has pods: a runtime asks again within minutes. */
const REMEMBERED = 1000;

export interface OperationsOptions {
  readonly addresses: AddressSource;
  readonly batch: HostBatch;
  /** A second child for removing links, which takes the kernel 20 ms each; the same one by default. */
  readonly removals?: HostBatch;
  readonly records: AttachmentRecords;
  readonly listener: AttachmentListener;
  /** This node's name. */
  readonly node: string;
  /** The protocol number of our routes in the host; 201 by default. */
  readonly protocol?: number;
  /** The MTU of pods whose network configuration has none; 1500 by default. */
  readonly mtu?: () => number;
  /** The families of pods whose network configuration says nothing: those with a pool. Both by default. */
  readonly families?: () => readonly (4 | 6)[] | Promise<readonly (4 | 6)[]>;
  /** What is known of a pod beyond what the runtime passes; nothing by default. */
  readonly describePod?: DescribePod;
  /** Asked by STATUS: throws a CniError 50 or 51 when ADD could not be served. */
  readonly assertReady?: () => Promise<void> | void;
  readonly sysctls?: HostSysctls;
  readonly namespaces?: Namespaces;
  /** Who works inside pods' namespaces: the agent itself (the default), which takes SYS_ADMIN, or the plugin. */
  readonly podHalf?: 'agent' | 'plugin';
  readonly clock?: () => number;
  readonly note?: Note;
}

export interface Operations extends AsyncDisposable {
  /** Serves one call of the plugin. Calls for one container are served in their order, others side by side. */
  handle(request: PluginRequest, plugin?: PluginEnd): Promise<PluginAnswer>;
  /** Undoes what was cut short and removes what is gone: at start, before the first call, and whenever wanted. */
  reconcile(): Promise<readonly Reconciled[]>;
}

export function createOperations(options: OperationsOptions): Operations {
  const { note = () => undefined, clock = Date.now, podHalf = 'agent' } = options;
  const shells = createShells({ note });
  const batch = speaking(options.batch);
  const around: Surroundings = {
    ...options,
    batch,
    links: new LinkRemover(options.removals ? speaking(options.removals) : batch),
    sysctls: options.sysctls ?? fileSysctls(),
    namespaces: options.namespaces ?? (podHalf === 'plugin' ? pluginNamespaces() : shellNamespaces(shells)),
    serial: new Serial(),
    undone: new Recent(REMEMBERED),
    protocol: options.protocol ?? 201,
    mtu: options.mtu ?? (() => 1500),
    families: options.families ?? (() => [4, 6]),
    clock,
    note,
  };
  const withPlugin = (plugin: PluginEnd | undefined): Surroundings =>
    podHalf === 'plugin' && plugin ? { ...around, namespaces: pluginNamespaces(plugin) } : around;
  return {
    async handle(request, plugin) {
      const began = performance.now();
      const log = (message: string, more: object = {}): void =>
        note({ message, ...summarize(request), ms: Math.round((performance.now() - began) * 10) / 10, ...more });
      try {
        const print = await serve(request, withPlugin(plugin), options);
        log('CNI call served');
        return { exit: 0, ...(print && { print }) };
      } catch (error) {
        const failure = asCniError(error);
        log('CNI call failed', {
          code: failure.code,
          error: failure.message,
          ...(failure.details !== undefined && { details: failure.details }),
          ...(failure.code === 999 && { cause: error }),
        });
        return { exit: 1, print: errorResult(versionToAnswerIn(request.config), failure, commandOf(request)) };
      }
    },
    reconcile: () => reconcile(around),
    [Symbol.asyncDispose]: () => shells[Symbol.asyncDispose](),
  };
}

/** A batch that cannot be run at all (no `ip`, a child that keeps dying) is an error of the kernel's side, not of ours. */
function speaking(batch: HostBatch): HostBatch {
  return {
    run: (lines) =>
      batch.run(lines).catch((error: unknown) => {
        throw asCniError(error, 102);
      }),
  };
}

async function serve(
  request: PluginRequest,
  around: Surroundings,
  options: OperationsOptions,
): Promise<object | undefined> {
  // Versions that are not spoken, too, get an answer.
  if (commandOf(request) === 'VERSION') return versionsResult(versionToAnswerIn(request.config));
  const call = parseCall(request);
  switch (call.command) {
    case 'ADD':
      return add(call, around, options);
    case 'DEL':
      await detach(call, around);
      return undefined;
    case 'CHECK':
      await check(call, around);
      return undefined;
    case 'STATUS':
      await status(around, options);
      return undefined;
    case 'GC':
      await collect(call, around);
      return undefined;
    case 'VERSION':
      return versionsResult(call.config.cniVersion);
    default:
      return call.command satisfies never;
  }
}

async function add(call: Call, around: Surroundings, { describePod }: OperationsOptions): Promise<object> {
  const { raw, cniVersion } = call.config;
  const previous = parsePrevResult(raw);
  const uid = call.args.get('K8S_POD_UID');
  let wish: Wish | undefined;
  const attached = await attach(
    call,
    async () => {
      const facts = call.pod && (await describePod?.({ ...call.pod, ...(uid && { uid }) }));
      wish = parseWish(raw, call.args, facts);
      return wish;
    },
    around,
  );
  return addResult(cniVersion, attached, previous, wish?.dns);
}

async function check(call: Call, around: Surroundings): Promise<void> {
  const previous = parsePrevResult(call.config.raw);
  if (previous === undefined) throw new CniError(7, 'CHECK needs prevResult in the network configuration');
  await assertEnterable(call, around);
  const record = await around.records.get(call.key);
  if (record?.state !== 'wired') {
    throw new CniError(3, `container ${call.containerId} has no attachment ${call.ifname} to ${call.config.name}`);
  }
  const lines = linesToSee(record);
  const [[hostLinks, ...hostRoutes], [podLinks, ...podRoutes]] = await Promise.all([
    around.namespaces.show(undefined, lines.host),
    around.namespaces.show(call.netns, lines.pod),
  ]);
  const seen = {
    hostLinks: hostLinks!,
    hostRoutes: hostRoutes.flat(),
    podLinks: podLinks!,
    podRoutes: podRoutes.flat(),
  };
  const differences = findDifferences(record, previous, seen);
  if (differences.length > 0) throw new CniError(100, `the pod is not as it was wired: ${differences.join('; ')}`);
}

/** Whether ADD would be served: the kernel takes lines, the records can be read, and what the agent knows beyond. */
async function status(around: Surroundings, options: OperationsOptions): Promise<void> {
  const [answer] = await around.batch.run(['link set dev lo up']);
  if (!answer!.ok) throw new CniError(51, `the kernel does not take orders from the agent: ${answer!.error.trim()}`);
  await around.records.list().catch((error: unknown) => {
    throw new CniError(50, (error as Error).message, { cause: error });
  });
  await options.assertReady?.();
}

/** Detaches everything of this network that the runtime does not know, past errors, and reports those at the end. */
async function collect(call: Call, around: Surroundings): Promise<void> {
  const valid = parseValidAttachments(call.config.raw);
  const before = call.at ?? around.clock();
  const records = await readableRecords(around.records);
  // What is being attached at this moment cannot be on the runtime's list yet.
  const garbage = records.filter(
    (record) =>
      record.network === call.config.name &&
      !valid.has(attachmentName(record.containerId, record.ifname)) &&
      !around.serial.isBusy(lockName(record)),
  );
  const outcomes = await Promise.allSettled(garbage.map((record) => detachKnown(record, around, before)));
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [asCniError(outcome.reason)] : []));
  if (errors.length === 0) return;
  const details = errors.map((error) => error.message).join('; ');
  const message = `${errors.length} of ${garbage.length} attachments could not be removed: ${errors[0]!.message}`;
  throw new CniError(errors[0]!.code, message, { details });
}

function commandOf(request: PluginRequest): string {
  return request.env['CNI_COMMAND'] ?? '';
}

function summarize(request: PluginRequest): object {
  const { CNI_CONTAINERID: containerId, CNI_IFNAME: ifname, CNI_ARGS: args } = request.env;
  return { command: commandOf(request), containerId, ifname, args };
}
