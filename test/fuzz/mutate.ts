// What the fuzzer does to a message. Each mutation keeps its header honest (marker and length), because a header that is
// not is thrown away at once and would hide everything behind it; the framer has mutations of its own.
import type { Random } from './random.ts';

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const interesting = [0, 1, 2, 3, 4, 7, 8, 16, 17, 31, 32, 33, 64, 127, 128, 129, 253, 254, 255];

const mutations: readonly Mutation[] = [
  function flipBit(bytes, random) {
    const copy = bytes.slice();
    if (copy.length > 0) copy[random.int(copy.length)]! ^= 1 << random.int(8);
    return copy;
  },
  function setByte(bytes, random) {
    const copy = bytes.slice();
    if (copy.length > 0) copy[random.int(copy.length)] = random.pick(interesting);
    return copy;
  },
  function cutOff(bytes, random) {
    return bytes.slice(0, random.int(bytes.length + 1));
  },
  function takeOut(bytes, random) {
    const at = random.int(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + random.int(8));
    return concat(bytes.subarray(0, at), bytes.subarray(end));
  },
  function putIn(bytes, random) {
    const at = random.int(bytes.length + 1);
    const extra = Uint8Array.from({ length: 1 + random.int(8) }, () => random.pick(interesting));
    return concat(bytes.subarray(0, at), extra, bytes.subarray(at));
  },
  function repeatPart(bytes, random) {
    const at = random.int(bytes.length + 1);
    const end = Math.min(bytes.length, at + 1 + random.int(40));
    return concat(bytes.subarray(0, end), bytes.subarray(at));
  },
];

/** One to four mutations of a body. */
export function mutate(body: Uint8Array, random: Random): Uint8Array {
  let bytes = body;
  for (let left = 1 + random.int(4); left > 0; left--) bytes = random.pick(mutations)(bytes, random);
  return bytes;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
