// The small languages inside resources: names, durations, endpoints, JSON, and guesses at what was meant.
import { expect, test } from 'vitest';
import { parsePrefix } from '#ip';
import {
  type Kinds,
  affinityLabels,
  affinityName,
  blockName,
  formatJson,
  handleName,
  parseDuration,
  parseEndpoint,
  parseJson,
  prefixOfBlock,
} from '../../../src/resources/index.ts';
import { nearest } from '../../../src/resources/suggest.ts';
import { captured } from '../../support/captured.ts';

const blocks = captured('IPAMBlock', 'ipamblocks');
const affinities = captured('BlockAffinity', 'blockaffinities');
const handles = captured('IPAMHandle', 'ipamhandles');

test.each(blocks.map(({ metadata, spec }) => [spec.cidr, metadata.name] as const))(
  'the block %s is called %s, as Calico calls it, and is known by that name',
  (cidr, name) => {
    expect(blockName(cidr)).toBe(name);
    expect(prefixOfBlock(name)).toBe(cidr);
  },
);

test.each(['::/122', 'fd82::/64', 'fd82::40:0:0/96', '0.0.0.0/0'])('the block %s is known by its name', (text) => {
  expect(prefixOfBlock(blockName(parsePrefix(text)))).toBe(text);
});

test.each(['by-hand', '10-0-0-0', '10-0-0-1-26', '10-0-0-0-33', '010-0-0-0-26', '10.0.0.0-26', 'fd82--0-40-122', ''])(
  'no block is called %j',
  (name) => {
    expect(prefixOfBlock(name)).toBeUndefined();
  },
);

test.each(affinities.map((affinity): [string, Kinds['BlockAffinity']] => [affinity.metadata.name, affinity]))(
  'the affinity %s has the name and the labels that Calico gave it',
  (name, { metadata, spec }) => {
    expect(affinityName(spec.node, spec.cidr)).toBe(name);
    expect(affinityLabels(spec.node, spec.cidr)).toEqual(metadata.labels);
  },
);

test.each(handles.map(({ metadata, spec }) => [spec.handleID, metadata.name] as const))(
  'the handle %s is called %s',
  (id, name) => {
    expect(handleName(id)).toBe(name);
  },
);

test('a handle is called by its ID in lower case', () => {
  expect(handleName('Net.ABC')).toBe('net.abc');
});

const cidr = parsePrefix('10.0.0.0/26');

test('an affinity name of 252 bytes stays whole, one of 253 is cut and ends in a hash', () => {
  expect(affinityName('n'.repeat(240), cidr)).toBe(`${'n'.repeat(240)}-10-0-0-0-26`);
  const name = affinityName('n'.repeat(241), cidr);
  // sha256("nnn…n+10-0-0-0-26"), its first 11 digits
  expect(name).toMatch(/^n{228}-10-0-0-0-26-[0-9a-f]{11}$/);
  expect(name).toHaveLength(252);
});

test('two long node names with one beginning have affinities of their own', () => {
  const [a, b] = ['a', 'b'].map((end) => affinityName(`${'n'.repeat(250)}${end}`, cidr));
  expect(a).not.toBe(b);
});

test('an affinity of a virtual owner says so in its labels', () => {
  expect(affinityLabels('lb', cidr, 'virtual')['projectcalico.org/affinity-type']).toBe('virtual');
});

test.each([
  ['2m0s', 120_000],
  ['1h15m30.918s', 4_530_918],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['300ms', 300],
  ['1us', 0.001],
  ['1µs', 0.001],
  ['5ns', 0.000_005],
  ['0', 0],
  ['+3s', 3000],
])('the duration %s has %d ms', (text, ms) => {
  expect(parseDuration(text)).toBeCloseTo(ms, 9);
});

test.each([
  ['90', '"90" is a duration without a unit (as in 90s or 2m0s)'],
  ['', '"" is not a duration (as in 90s or 2m0s)'],
  ['-1s', '"-1s" is a negative duration (as in 90s or 2m0s)'],
  ['2 m', '"2 m" is not a duration (as in 90s or 2m0s)'],
  ['1d', '"1d" is not a duration (as in 90s or 2m0s)'],
  ['.s', '".s" is not a duration (as in 90s or 2m0s)'],
])('%j is refused: %s', (text, why) => {
  expect(() => parseDuration(text)).toThrow(why);
});

test.each([
  ['10.0.0.1', { address: '10.0.0.1' }],
  ['10.0.0.1:1179', { address: '10.0.0.1', port: 1179 }],
  ['fd00::1', { address: 'fd00::1' }],
  ['fd00::1:179', { address: 'fd00::1:179' }],
  ['[FD00::1]:179', { address: 'fd00::1', port: 179 }],
])('the endpoint %s', (text, endpoint) => {
  expect(parseEndpoint(text)).toEqual(endpoint);
});

test.each(['[fd00::1]', '10.0.0.1:', '10.0.0.1:99999', 'tor-a:179', '10.0.0.1:+5', 'fe80::1%eth0'])(
  '%s is no endpoint',
  (text) => {
    expect(() => parseEndpoint(text)).toThrow(JSON.stringify(text));
  },
);

test('JSON keeps integers beyond 2^53 and leaves all other numbers alone', () => {
  const text = '{"a":1795233500172326601,"b":-9007199254740993,"c":1.5,"d":1e400,"e":9007199254740991,"f":"1"}';
  const value = parseJson(text);
  expect(value).toEqual({
    ...{ a: 1_795_233_500_172_326_601n, b: -9_007_199_254_740_993n, c: 1.5 },
    ...{ d: Infinity, e: 9_007_199_254_740_991, f: '1' },
  });
  expect(formatJson({ a: [2n ** 64n - 1n] })).toBe('{"a":[18446744073709551615]}');
});

test('what is no JSON is said to be none', () => {
  expect(() => parseJson('{"a":')).toThrow(/^no JSON: /);
});

test.each([
  ['pasword', 'password'],
  ['PASSWORD', 'password'],
  ['peerip', 'peerIP'],
  ['asNumebr', 'asNumber'],
  ['numAlowedLocalASNumber', 'numAllowedLocalASNumbers'],
  ['colour', undefined],
  ['x', undefined],
])('%s was meant to be %s', (word, meant) => {
  expect(nearest(word, ['password', 'peerIP', 'asNumber', 'node', 'numAllowedLocalASNumbers'])).toBe(meant);
});
