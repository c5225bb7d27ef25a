// The store that other tests rely on keeps the port's promises.
import { describe, expect, it } from 'vitest';
import { createMemoryStore } from './memory-store.ts';
import { node } from './resources.ts';

describe('the store in memory', () => {
  it('refuses to create what exists', async () => {
    const store = createMemoryStore(node('a'));
    await expect(store.create('Node', node('a'))).rejects.toMatchObject({ code: 'exists' });
  });
  it('refuses an old version', async () => {
    const store = createMemoryStore(node('a'));
    const old = (await store.get('Node', 'a'))!;
    await store.update('Node', old);
    await expect(store.update('Node', old)).rejects.toMatchObject({ code: 'conflict' });
    await expect(store.delete('Node', old)).rejects.toMatchObject({ code: 'conflict' });
  });
  it('knows a resource that was made anew from the one before it', async () => {
    const store = createMemoryStore(node('a'));
    const old = (await store.get('Node', 'a'))!;
    await store.delete('Node', old);
    await expect(store.update('Node', old)).rejects.toMatchObject({ code: 'missing' });
    await store.create('Node', node('a'));
    await expect(store.update('Node', old)).rejects.toMatchObject({ code: 'conflict' });
  });
  it('gives copies', async () => {
    const store = createMemoryStore(node('a', {}, { rack: 'a' }));
    const copy = (await store.get('Node', 'a'))!;
    Object.assign(copy.metadata.labels!, { rack: 'b' });
    expect((await store.get('Node', 'a'))!.metadata.labels).toEqual({ rack: 'a' });
  });
  it('hints at a change, and only at kinds that are watched', async () => {
    const store = createMemoryStore();
    const hints: string[] = [];
    const stop = store.watch(['Node'], () => hints.push('Node'));
    store.watch(['IPPool'], () => hints.push('IPPool'));
    await store.create('Node', node('a'));
    await Promise.resolve();
    stop();
    await store.create('Node', node('b'));
    await Promise.resolve();
    expect(hints).toEqual(['Node']);
  });
});
