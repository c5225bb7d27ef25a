// IPPool, IPReservation and IPAMConfig: which addresses there are, and how they are given out.
import { familyOfPrefix, lengthOf } from '#ip';
import { unroutablePart } from '../classify.ts';
import type { SpecReport } from '../kinds.ts';
import { type FieldsOf, boolean, choice, integer, list, object, text } from '../schema.ts';
import type { IPAMConfigSpec, IPPoolSpec } from '../types.ts';

const tunnelMode = choice('Never', 'Always', 'CrossSubnet');

export const poolSpec = object({
  cidr: { says: 'the addresses', required: true, schema: text('prefix') },
  blockSize: { says: 'prefix length of a block; 26, or 122 for IPv6', schema: integer(20, 128) },
  ipipMode: { says: 'not in this build', preset: 'Never', schema: tunnelMode },
  vxlanMode: { says: 'not in this build', preset: 'Never', schema: tunnelMode },
  natOutgoing: { says: 'masquerade packets that leave the pools', preset: false, quiet: true, schema: boolean },
  disabled: { says: 'no new addresses from here', preset: false, quiet: true, schema: boolean },
  disableBGPExport: { says: 'do not announce', preset: false, quiet: true, schema: boolean },
  nodeSelector: { says: 'nodes that may use it', preset: 'all()', schema: text('selector') },
  namespaceSelector: { says: 'namespaces that may use it', schema: text('selector') },
  allowedUses: {
    says: 'what its addresses are for',
    preset: ['Workload', 'Tunnel'],
    schema: list(choice('Workload', 'Tunnel', 'LoadBalancer'), { min: 1, unique: true }),
  },
  assignmentMode: {
    says: 'Manual: only for those who ask for this pool',
    preset: 'Automatic',
    schema: choice('Automatic', 'Manual'),
  },
} satisfies FieldsOf<IPPoolSpec>);

const blockSizes = { 4: { min: 20, max: 32, preset: 26 }, 6: { min: 116, max: 128, preset: 122 } } as const;

export function completePool(spec: Partial<IPPoolSpec>): Partial<IPPoolSpec> {
  if (spec.cidr === undefined || spec.blockSize !== undefined) return spec;
  return { ...spec, blockSize: blockSizes[familyOfPrefix(spec.cidr)].preset };
}

export function checkPool(spec: Partial<IPPoolSpec>, report: SpecReport): void {
  for (const field of ['ipipMode', 'vxlanMode'] as const) {
    const mode = spec[field];
    if (mode === undefined || mode === 'Never') continue;
    report([field], `${mode}: this build has no tunnels, and pods of this pool would not be reached (set Never)`);
  }
  const uses = spec.allowedUses ?? [];
  if (uses.includes('LoadBalancer') && uses.length > 1) report(['allowedUses'], 'LoadBalancer stands alone');
  if (spec.cidr === undefined) return;
  const unroutable = unroutablePart(spec.cidr);
  if (unroutable !== undefined) report(['cidr'], `${spec.cidr} overlaps the ${unroutable} range`);
  checkBlockSize(spec, report);
}

function checkBlockSize({ cidr, blockSize }: Partial<IPPoolSpec>, report: SpecReport): void {
  if (cidr === undefined || blockSize === undefined) return;
  const family = familyOfPrefix(cidr);
  const { min, max } = blockSizes[family];
  if (blockSize < min || blockSize > max) {
    report(['blockSize'], `${blockSize} is not a whole number from ${min} to ${max}, as IPv${family} blocks need`);
  } else if (blockSize < lengthOf(cidr)) {
    report(['cidr'], `${cidr} is smaller than one block (blockSize ${blockSize})`);
  }
}

export const reservationSpec = object({
  reservedCIDRs: {
    says: 'addresses and prefixes that are not given out any more',
    required: true,
    schema: list(text('prefixOrAddress')),
  },
});

export const ipamConfigSpec = object({
  strictAffinity: { says: "never borrow from another node's block", preset: false, schema: boolean },
  autoAllocateBlocks: { says: 'claim a block when none is left', preset: true, schema: boolean },
  maxBlocksPerHost: { says: '0: 20', preset: 0, quiet: true, schema: integer(0, 2 ** 31 - 1) },
  ipCooldownSeconds: { says: 'how long a released address rests', schema: integer(0, 1200) },
  kubeVirtVMAddressPersistence: { says: "Calico's, for KubeVirt", schema: choice('Enabled', 'Disabled') },
} satisfies FieldsOf<IPAMConfigSpec>);

export function checkIpamConfig(spec: Partial<IPAMConfigSpec>, report: SpecReport): void {
  if (spec.strictAffinity === false && spec.autoAllocateBlocks === false) {
    report(['autoAllocateBlocks'], 'false needs strictAffinity: true');
  }
  if ((spec.maxBlocksPerHost ?? 0) > 0 && spec.strictAffinity === false) {
    report(['maxBlocksPerHost'], `${spec.maxBlocksPerHost} needs strictAffinity: true`);
  }
}
