// cni/ as the agent uses it: the records of what is wired here, the socket that the plugin calls, deletions that came
// while no agent ran, and addresses that no pod has any more.
import { join } from 'node:path';
import { type Family, familyOfPrefix } from '#ip';
import {
  type Attachment,
  CniError,
  type DescribePod,
  type Operations,
  UnreadableRecords,
  createOperations,
  fileRecords,
  fileSysctls,
  replayTombstones,
  serve,
} from '../../cni/index.ts';
import { PROTOCOL, startBatch } from '../../fib/index.ts';
import type { AgentConfig } from '../config.ts';
import type { Ipam } from '../ipam/index.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/port.ts';
import { followBlocks } from './block-following.ts';
import { publishConflist } from './conflist.ts';
import { Loop } from './loop.ts';
import { noteTo } from './note.ts';
import { wiredAddresses } from './wired-addresses.ts';

export interface Pods extends AsyncDisposable {
  /** Everything that is wired or being wired here. Records that cannot be read are left out and complained about. */
  attachments(): Promise<readonly Attachment[]>;
  /**
   * Opens the socket, ends what was cut short and carries out what was written down meanwhile; calls of the plugin wait
   * for that. What fails of it is tried again and shown: pods that run do not need it.
   */
  serve(): Promise<void>;
  failures(): Loop[];
}

export interface PodsOptions {
  readonly config: AgentConfig;
  readonly store: Store;
  readonly ipam: Ipam;
  readonly log: Log;
  /** Told when a pod has come or gone. */
  readonly onChange: () => void;
  /** What is known of pods beyond what the runtime passes. */
  readonly describePod?: DescribePod;
  /** The MTU of the node's own network. */
  readonly mtu: () => number;
  /** Pods can be wired and reached: a runtime may be told to call us. */
  readonly isInPlace: () => boolean;
  /** Who works inside pods' namespaces. */
  readonly podHalf: 'agent' | 'plugin';
}

/** A leak costs an address, not a packet: there is no hurry. */
const COLLECT_EVERY_MS = 5 * 60_000;
const TOMBSTONES_EVERY_MS = 30_000;
const RETURN_EVERY_MS = 10_000;
/** Somebody may take it away or change what it is made from, and at first pods are not welcome yet. */
const CONFLIST_EVERY_MS = 2_000;

/** Starts the `ip` children. Nothing is touched yet. */
export function openPods(options: PodsOptions): Pods {
  const { config, store, ipam, log, onChange, describePod, mtu, isInPlace, podHalf } = options;
  const stack = new AsyncDisposableStack();
  const batch = stack.use(startBatch());
  const removals = stack.use(startBatch());
  const records = fileRecords(join(config.state, 'attachments'));
  const note = noteTo(log);
  const operations = stack.use(
    createOperations({
      ...{ addresses: ipam, batch, removals, records, note, mtu, podHalf },
      sysctls: fileSysctls(config.sysctls),
      node: config.node,
      protocol: PROTOCOL,
      listener: { changed: onChange },
      families: () => poolFamilies(store),
      ...(describePod && { describePod }),
      assertReady: () => assertReady(store),
    }),
  );
  const settle = new Loop({
    doing: 'ending what an earlier run had begun',
    log,
    work: () => settleRecords(operations),
  });
  const tombstones = new Loop({
    doing: 'carrying out deletions from while no agent ran',
    log,
    everyMs: TOMBSTONES_EVERY_MS,
    work: async () => {
      const count = await replayTombstones(join(config.state, 'tombstones'), operations, note);
      if (count > 0) log.info({ count }, 'deletions from while no agent ran carried out');
    },
  });
  const returning = new Loop({
    doing: 'telling the store which pods came and went while it was away',
    log,
    everyMs: RETURN_EVERY_MS,
    work: async () => {
      const { given, released } = await ipam.pending();
      if (given + released === 0) return;
      await ipam.settle();
      log.info({ given, released }, 'the store knows again which pod has which address');
    },
  });
  const collecting = new Loop({
    doing: 'freeing addresses that no pod has',
    log,
    everyMs: COLLECT_EVERY_MS,
    work: async () => {
      // A record that cannot be read may hold an address: list() throws, and nothing is freed.
      const live = async (): Promise<ReadonlySet<string>> => {
        const recorded = (await records.list()).map(({ handle }) => handle);
        return new Set<string>([...recorded, ...(await wiredAddresses())]);
      };
      for (const freed of await ipam.collect(live)) log.info(freed, 'an address that no pod has was freed');
      await ipam.reconcile();
    },
  });
  const conflist = new Loop({
    doing: 'writing the configuration that makes the runtime call the plugin',
    log,
    everyMs: CONFLIST_EVERY_MS,
    work: async () => {
      const { conflist: file, conflistFrom } = config;
      if (!isInPlace()) return;
      if (file !== undefined && (await publishConflist(file, conflistFrom))) log.info({ file }, 'pods are welcome');
    },
  });
  const following = stack.use(followBlocks({ store, ipam, log }));
  const loops = [settle, tombstones, returning, collecting, conflist];
  stack.defer(async () => void (await Promise.all(loops.map((loop) => loop.close()))));
  return {
    attachments: () => readable(() => records.list(), log),
    serve: async () => {
      const settled = settle.settle().then(() => tombstones.settle());
      const handle: Operations['handle'] = async (request, plugin) => {
        await settled;
        return operations.handle(request, plugin);
      };
      stack.use(await serve(join(config.run, 'cni.sock'), { handle }));
      // A plugin may have found nobody a moment ago and written its deletion down.
      tombstones.look();
      returning.look();
      collecting.look();
      conflist.look();
    },
    failures: () => [...loops, following.loop],
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function settleRecords(operations: Operations): Promise<void> {
  const failed = (await operations.reconcile()).filter(({ became }) => became === 'failed' || became === 'unreadable');
  if (failed.length > 0) throw new Error(failed.map(({ reason }) => reason).join('; '));
}

async function readable(list: () => Promise<readonly Attachment[]>, log: Log): Promise<readonly Attachment[]> {
  try {
    return await list();
  } catch (error) {
    if (!(error instanceof UnreadableRecords)) throw error;
    log.error({ files: error.files }, 'records of pods cannot be read');
    return error.readable;
  }
}

/** Pods get an address of each family that has a pool. */
async function poolFamilies(store: Store): Promise<readonly Family[]> {
  const pools = (await store.list('IPPool')).filter(({ spec }) => !spec.disabled);
  return [...new Set(pools.map(({ spec }) => familyOfPrefix(spec.cidr)))].sort((a, b) => a - b);
}

async function assertReady(store: Store): Promise<void> {
  const { error } = store.status();
  if (error !== undefined) throw new CniError(50, `the datastore is away: ${error}`);
  if ((await poolFamilies(store)).length === 0)
    throw new CniError(50, 'there is no enabled IPPool to give addresses from');
}
