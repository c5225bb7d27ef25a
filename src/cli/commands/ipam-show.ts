// `manxctl ipam show`: how many addresses are in use, in calicoctl's boxes, with IPv6 pools counted right.
import { type Address, readAddress } from '#ip';
import {
  type AddressUsage,
  type Borrowed,
  type Configuration,
  type Counts,
  type IpamUsage,
  createIpam,
} from '../../ipam/index.ts';
import { countText } from '../../text.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import { type Column, box } from '../table.ts';
import type { OpenTarget, Target } from '../target.ts';

export interface IpamShowOptions {
  readonly showBlocks?: true;
  readonly showBorrowed?: true;
  readonly showConfiguration?: true;
  readonly ip?: string;
}

export async function ipamShow(context: Context, open: OpenTarget, options: IpamShowOptions): Promise<void> {
  const address = options.ip === undefined ? undefined : requireAddress(options.ip);
  await using target = await open();
  if (address !== undefined) await showAddress(context, target, address);
  else show(context, await usageAt(target), options);
}

function show(context: Context, usage: IpamUsage, options: IpamShowOptions): void {
  if (options.showBorrowed) context.show(usage.borrowed, () => renderBorrowed(usage.borrowed));
  else if (options.showConfiguration) context.show(usage.configuration, () => renderConfiguration(usage.configuration));
  else context.show(usage, () => renderUsage(usage, options.showBlocks ?? false));
}

const counts: ReadonlySet<string> = new Set<keyof Counts>(['total', 'inUse', 'reserved', 'free']);

/** Counts are bigints again, however small: an IPv6 pool has more addresses than a double can count. */
export function readUsage(text: string): IpamUsage {
  return JSON.parse(text, (key, value: unknown, context?: { readonly source?: string }) =>
    counts.has(key) ? BigInt(context?.source ?? 0) : value,
  ) as IpamUsage;
}

async function usageAt(target: Target): Promise<IpamUsage> {
  if (target.at === 'agent') return readUsage(await target.api.getText('/v1/ipam'));
  return createIpam({ store: target.store, node: '' }).usage();
}

function requireAddress(text: string): Address {
  const address = readAddress(text);
  if (address === undefined) throw new CliError('usage', [`${JSON.stringify(text)} is not an address`]);
  return address;
}

async function showAddress(context: Context, target: Target, address: Address): Promise<void> {
  const usage =
    target.at === 'agent'
      ? await target.api.get<AddressUsage>(`/v1/ipam/addresses/${encodeURIComponent(address)}`)
      : await createIpam({ store: target.store, node: '' }).lookUp(address);
  context.show(usage, () => renderAddress(usage));
}

interface Grouping extends Counts {
  readonly grouping: 'IP Pool' | 'Block';
  readonly cidr: string;
}

export function renderUsage(usage: IpamUsage, withBlocks: boolean): string[] {
  const block = (counts: Counts & { cidr: string }): Grouping => ({ grouping: 'Block', ...counts });
  const rows: Grouping[] = usage.pools.flatMap((pool) => [
    { ...pool, grouping: 'IP Pool' },
    ...(withBlocks ? pool.blocks.map(block) : []),
  ]);
  const stray = withBlocks ? usage.blocksOutsidePools.map(block) : [];
  const share = (head: string, count: (row: Grouping) => bigint): Column<Grouping> => ({
    head,
    align: 'right',
    cell: (row) => shareText(count(row), row.total),
  });
  return [
    ...box<Grouping>(
      [
        { head: 'GROUPING', cell: ({ grouping }) => grouping },
        { head: 'CIDR', cell: ({ cidr }) => cidr },
        { head: 'IPS TOTAL', align: 'right', cell: ({ total }) => countingText(total) },
        share('IPS IN USE', ({ inUse }) => inUse),
        share('IPS RESERVED', ({ reserved }) => reserved),
        share('IPS FREE', ({ free }) => free),
      ],
      [...rows, ...stray],
    ),
    ...(stray.length === 0 ? [] : [`${countText(stray.length, 'block')} at the end: in no pool any more.`]),
  ];
}

export function renderBorrowed(borrowed: readonly Borrowed[]): string[] {
  return box(
    [
      { head: 'IP', cell: ({ address }) => address },
      { head: 'BORROWING-NODE', cell: ({ borrowingNode }) => borrowingNode },
      { head: 'BLOCK', cell: ({ block }) => block },
      { head: 'BLOCK OWNER', cell: ({ blockOwner }) => blockOwner ?? '' },
      { head: 'TYPE', cell: ({ type }) => type },
      { head: 'ALLOCATED-TO', cell: ({ allocatedTo }) => allocatedTo },
    ],
    borrowed,
  );
}

export function renderConfiguration(configuration: Configuration): string[] {
  const { strictAffinity, autoAllocateBlocks, maxBlocksPerHost, blockLimit, ipCooldownSeconds } = configuration;
  return box<readonly [string, string]>(
    [
      { head: 'PROPERTY', cell: ([property]) => property },
      { head: 'VALUE', cell: ([, value]) => value },
    ],
    [
      ['StrictAffinity', String(strictAffinity)],
      ['AutoAllocateBlocks', String(autoAllocateBlocks)],
      [
        'MaxBlocksPerHost',
        `${maxBlocksPerHost}${maxBlocksPerHost === blockLimit ? '' : ` (in effect: ${blockLimit})`}`,
      ],
      ['IPCooldownSeconds', String(ipCooldownSeconds)],
    ],
  );
}

export function renderAddress({ address, state, handle, attributes, releasedAt }: AddressUsage): string[] {
  if (state === 'outside every pool') return [`${address} is outside every pool`];
  if (state === 'free') return [`${address} is not assigned`];
  return [
    state === 'in use' ? `IP ${address} is in use` : `IP ${address} was released at ${releasedAt} and rests`,
    `Handle ID: ${handle ?? ''}`,
    'Active Owner Attributes:',
    ...Object.entries(attributes ?? {}).map(([name, value]) => `  ${name}: ${value}`),
  ];
}

/** As C's %.5g: exact below 100,000, five digits and an exponent above. */
export function countingText(count: bigint): string {
  if (count < 100_000n) return String(count);
  const [mantissa, exponent] = Number(count).toExponential(4).split('e+') as [string, string];
  return `${mantissa.replace(/\.?0+$/, '')}e+${exponent.padStart(2, '0')}`;
}

/** "5 (62%)": a half goes to the even neighbour, as in calicoctl. */
function shareText(part: bigint, total: bigint): string {
  const [whole, rest] = [(part * 100n) / total, (part * 100n) % total];
  const up = 2n * rest > total || (2n * rest === total && whole % 2n === 1n);
  return `${countingText(part)} (${up ? whole + 1n : whole}%)`;
}
