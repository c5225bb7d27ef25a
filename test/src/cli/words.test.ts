// How resources are named on the command line.
import { expect, test } from 'vitest';
import { namedIn, oneNamedIn } from '../../../src/cli/words.ts';

test.each([
  ['ippool', { IPPool: [] }],
  ['ippools a b', { IPPool: ['a', 'b'] }],
  ['ippool/a', { IPPool: ['a'] }],
  ['ippool/a bgppeer/t ippools/b', { IPPool: ['a', 'b'], BGPPeer: ['t'] }],
  ['handle/k8s-pod-network.a/b', { IPAMHandle: ['k8s-pod-network.a/b'] }],
])('%s', (words, expected) => {
  expect(Object.fromEntries(namedIn(words.split(' ')))).toEqual(expected);
});

test.each([
  ['nothing a', 'there is no kind nothing'],
  ['ippool/a b', 'b is not KIND/NAME, as the words before it are'],
  ['ippool/', 'ippool/ is not KIND/NAME, as the words before it are'],
])('%s is refused', (words, why) => {
  expect(() => namedIn(words.split(' '))).toThrow(why);
});

test('what follows the one that is named is left to its command', () => {
  expect(oneNamedIn(['node', 'worker-1', 'a=b'])).toEqual(['Node', 'worker-1', ['a=b']]);
  expect(oneNamedIn(['node/worker-1', 'a=b', 'c-'])).toEqual(['Node', 'worker-1', ['a=b', 'c-']]);
  expect(() => oneNamedIn(['node'])).toThrow('which Node?');
});
