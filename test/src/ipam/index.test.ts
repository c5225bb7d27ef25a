// A store that is away, seen by IPAM’s callers.
import { describe, expect, it } from 'vitest';
import { createIpam } from '../../../src/ipam/index.ts';
import { StoreError } from '../../../src/store/port.ts';
import { ask } from '../../support/ipam-lab.ts';
import { createMemoryStore, seenThrough } from '../../support/memory-store.ts';

describe('while the store is away', () => {
  const away = seenThrough(createMemoryStore(), {
    before: () => {
      throw new StoreError('unavailable', 'connection refused');
    },
  });
  const ipam = createIpam({ store: away, node: 'w', pause: async () => {} });
  const actions: [string, () => Promise<unknown>][] = [
    ['assign', () => ipam.assign(ask('h'))],
    ['release', () => ipam.release('h')],
    ['ownBlocks', () => ipam.ownBlocks()],
    ['reconcile', () => ipam.reconcile()],
    ['collect', () => ipam.collect(new Set())],
    ['usage', () => ipam.usage()],
  ];
  it.each(actions)('%s says so', async (_, act) => {
    await expect(act()).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the datastore cannot be used: connection refused',
    });
  });
});
