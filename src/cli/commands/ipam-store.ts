// `manxctl ipam release` and `ipam configure`: what operators change in the datastore themselves, with calicoctl's words
// for what was done.
import { type Address, readAddress } from '#ip';
import { createIpam } from '../../ipam/index.ts';
import type { Kinds } from '../../resources/types.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { Target } from '../target.ts';
import { listWorkloads } from '../workloads.ts';
import type { Open } from './get.ts';

type InStore = Exclude<Target, { at: 'agent' }>;

export interface ReleaseOptions {
  readonly ip: readonly string[];
  readonly force?: true;
}

export async function ipamRelease(
  context: Context,
  open: () => Promise<InStore & AsyncDisposable>,
  { ip, force }: ReleaseOptions,
): Promise<void> {
  const addresses = ip.flatMap((text) => text.split(',')).map(requireAddress);
  await using target = await open();
  if (force !== true) await refuseWhereUsed(target, addresses);
  const ipam = createIpam({ store: target.store, node: '' });
  const freed = new Set(await ipam.releaseAddresses(addresses.map((address) => ({ address }))));
  const outcome = addresses.map((address) => ({ address, released: freed.has(address) }));
  context.show(outcome, () =>
    outcome.map(({ address, released }) =>
      released ? `Successfully released IP address ${address}` : `IP address ${address} is not assigned`,
    ),
  );
  if (freed.size < addresses.length) context.degraded();
}

function requireAddress(text: string): Address {
  const address = readAddress(text);
  if (address === undefined) throw new CliError('usage', [`${JSON.stringify(text)} is not an address`]);
  return address;
}

/** An address that is given to a second pod while the first one has it: nobody wants that by mistake. */
async function refuseWhereUsed(target: InStore, addresses: readonly Address[]): Promise<void> {
  if (target.at !== 'cluster') return;
  const workloads = await listWorkloads(target.kube.client);
  const used = workloads.flatMap(({ namespace, pod, addresses: own }) =>
    own.filter((address) => addresses.includes(address)).map((address) => `${address}: pod ${namespace}/${pod} has it`),
  );
  if (used.length === 0) return;
  throw new CliError('degraded', [
    'nothing was released: pods that exist have such an address',
    ...used,
    'delete the pod and its address goes by itself; --force releases it all the same',
  ]);
}

export interface ConfigureOptions {
  readonly strictaffinity?: 'true' | 'false';
  readonly maxBlocksPerHost?: string;
}

type Spec = Kinds['IPAMConfig']['spec'];

export async function ipamConfigure(context: Context, open: Open, options: ConfigureOptions): Promise<void> {
  const { strictaffinity, maxBlocksPerHost } = options;
  if (strictaffinity === undefined && maxBlocksPerHost === undefined) {
    throw new CliError('usage', ['configure what? --strictaffinity true or false, --max-blocks-per-host N']);
  }
  const wanted: Partial<Spec> = {
    ...(strictaffinity !== undefined && { strictAffinity: strictaffinity === 'true' }),
    ...(maxBlocksPerHost !== undefined && { maxBlocksPerHost: requireCount(maxBlocksPerHost) }),
  };
  await using access = await open();
  const present = (await access.get('IPAMConfig', 'default')) as Kinds['IPAMConfig'] | undefined;
  const spec: Spec = { ...(present?.spec ?? unconfigured), ...wanted };
  await access.write(present === undefined ? fresh(spec) : { ...present, spec }, 'apply');
  context.show(spec, () => [
    ...(wanted.strictAffinity === undefined ? [] : [`Successfully set StrictAffinity to: ${wanted.strictAffinity}`]),
    ...(wanted.maxBlocksPerHost === undefined
      ? []
      : [`Successfully set MaxBlocksPerHost to: ${wanted.maxBlocksPerHost}`]),
  ]);
}

/** What holds where there is no IPAMConfig. */
const unconfigured: Spec = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 };

function fresh(spec: Spec): Kinds['IPAMConfig'] {
  return { apiVersion: 'projectcalico.org/v3', kind: 'IPAMConfig', metadata: { name: 'default' }, spec };
}

function requireCount(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new CliError('usage', [`--max-blocks-per-host: ${JSON.stringify(text)} is not a number`]);
}
