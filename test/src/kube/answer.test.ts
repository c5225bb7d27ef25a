// What is read out of the API server's answers.
import { describe, expect, it } from 'vitest';
import { namesIn } from '../../../src/kube/answer.ts';

const table = (rows: unknown): object => ({
  kind: 'Table',
  apiVersion: 'meta.k8s.io/v1',
  columnDefinitions: [
    { name: 'Age', type: 'date' },
    { name: 'Name', type: 'string', format: 'name' },
  ],
  rows,
});

describe('the names in an answer', () => {
  it('are the cells of a table’s column of names, wherever it stands', () => {
    expect(namesIn(table([{ cells: ['5m', 'a'], object: null }, { cells: ['6m', 'b'] }]))).toEqual(['a', 'b']);
  });
  it('are none where a table has no rows', () => {
    expect([namesIn(table([])), namesIn(table(null))]).toEqual([[], []]);
  });
  it('are those of the objects where a server makes no tables', () => {
    const list = { kind: 'IPAMBlockList', items: [{ metadata: { name: 'a' } }, { metadata: { name: 'b' } }] };
    expect(namesIn(list)).toEqual(['a', 'b']);
  });
  it.each([
    ['a status', { kind: 'Status', status: 'Failure' }],
    ['a table without a column of names', { ...table([{ cells: ['5m', 'a'] }]), columnDefinitions: [] }],
    ['a row without cells', table([{}])],
    ['an item without a name', { kind: 'IPAMBlockList', items: [{ metadata: {} }] }],
    ['text', 'ok'],
  ])('are not guessed from %s', (_, value) => {
    expect(namesIn(value)).toBeUndefined();
  });
});
