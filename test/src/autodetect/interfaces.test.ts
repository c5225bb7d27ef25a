// The host as this process sees it: real interfaces of the namespace that the tests run in.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readInterfaces } from '../../../src/autodetect/interfaces.ts';
import { sourceTowards } from '../../../src/autodetect/source.ts';

const ip = (line: string): void => void execFileSync('ip', line.split(' '));
const name = `det${process.pid % 100_000}`;

beforeAll(() => {
  ip(`link add ${name} type veth peer name ${name}p`);
  ip(`link set ${name}p up`);
  ip(`addr add 198.18.7.1/24 dev ${name}`);
  ip(`addr add 198.18.7.2/24 dev ${name}`);
  ip(`addr add fd18:7::1/64 dev ${name} nodad`);
  ip(`addr add fd18:7::2/64 dev ${name} nodad preferred_lft 0`);
  ip(`link set ${name} up`);
});
afterAll(() => ip(`link del ${name}`));

test('addresses come in the kernel’s order, deprecated ones marked', async () => {
  const found = (await readInterfaces()).find((one) => one.name === name)!;
  const texts = found.addresses.map(({ address, fleeting }) => `${address}${fleeting ? ' fleeting' : ''}`);
  expect(texts.filter((text) => text.startsWith('198.'))).toEqual(['198.18.7.1', '198.18.7.2']);
  expect(texts).toContain('fd18:7::1');
  expect(texts).toContain('fd18:7::2 fleeting');
});

test('interfaces come in the order of their numbers: lo is the first', async () => {
  const names = (await readInterfaces()).map((one) => one.name);
  expect(names.indexOf('lo')).toBeLessThan(names.indexOf(name));
});

test('the kernel says where packets would leave from, and no packet does', async () => {
  expect(await sourceTowards('198.18.7.99', 4)).toBe('198.18.7.1');
  expect(await sourceTowards('fd18:7::99', 6)).toBe('fd18:7::1');
  expect(await sourceTowards('fd18:7::99', 4)).toHaveProperty('error');
});
