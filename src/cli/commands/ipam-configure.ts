// `manxctl ipam configure`: how addresses are given, with calicoctl's words for what was done.
import type { Kinds } from '../../resources/types.ts';
import type { Context } from '../context.ts';
import { CliError } from '../exit.ts';
import type { Open } from './get.ts';

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
