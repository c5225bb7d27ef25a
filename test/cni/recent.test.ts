import { expect, test } from 'vitest';
import { Recent } from '../../cni/recent.ts';

test('only so many are remembered, the newest of them', () => {
  const recent = new Recent(2);
  for (const name of ['a', 'b', 'a', 'c']) recent.add(name);
  expect(['a', 'b', 'c'].filter((name) => recent.has(name))).toEqual(['a', 'c']);
  recent.delete('a');
  expect(recent.has('a')).toBe(false);
});
