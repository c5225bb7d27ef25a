// CNI_COMMAND and its variables, CNI_ARGS.
import { expect, test } from 'vitest';
import { parseEnvironment } from '../../cni/environment.ts';
import { CniError } from '../../cni/error.ts';

const complete = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/run/netns/a',
  CNI_IFNAME: 'eth0',
};

const errorOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

test('all missing variables are named at once, with code 4', () => {
  const error = errorOf(() => parseEnvironment({ CNI_COMMAND: 'ADD', CNI_NETNS: '' })) as CniError;
  expect([error.code, error.message]).toEqual([
    4,
    'ADD needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME in the environment',
  ]);
});

test.each([
  ['CHECK', {}, 'CHECK needs CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME in the environment'],
  ['DEL', {}, 'DEL needs CNI_CONTAINERID, CNI_IFNAME in the environment'],
])('%s says what it needs', (command, variables, message) => {
  expect(errorOf(() => parseEnvironment({ CNI_COMMAND: command, ...variables }))).toMatchObject({ code: 4, message });
});

test.each(['STATUS', 'GC', 'VERSION'])('%s needs no attachment variables, and uses none', (command) => {
  const { containerId, netns, ifname } = parseEnvironment({ ...complete, CNI_COMMAND: command, CNI_IFNAME: '///' });
  expect([containerId, netns, ifname]).toEqual(['', '', '']);
  expect(parseEnvironment({ CNI_COMMAND: command }).command).toBe(command);
});

test.each([['add'], ['LIST'], ['']])('the command %j is code 4', (command) => {
  expect(errorOf(() => parseEnvironment({ ...complete, CNI_COMMAND: command }))).toMatchObject({ code: 4 });
});

test('a missing command says who runs this program', () => {
  expect(errorOf(() => parseEnvironment({}))).toMatchObject({ code: 4, message: /container runtime .* manxctl/ });
});

test.each(['a', 'c0ffee', '0_.-Z', 'a'.repeat(200)])('the container ID %s is accepted', (id) => {
  expect(parseEnvironment({ ...complete, CNI_CONTAINERID: id }).containerId).toBe(id);
});

test.each(['-a', '.a', '_a', 'a/b', 'a b', 'ä', 'a\n'])('the container ID %j is code 4', (id) => {
  expect(errorOf(() => parseEnvironment({ ...complete, CNI_CONTAINERID: id }))).toMatchObject({ code: 4 });
});

test.each(['eth0', 'net1', 'a', 'x'.repeat(15), 'veth.100', 'a-b_c+d'])('the interface name %s is accepted', (name) => {
  expect(parseEnvironment({ ...complete, CNI_IFNAME: name }).ifname).toBe(name);
});

test.each([
  'x'.repeat(16),
  'ääääääää',
  '.',
  '..',
  'a/b',
  'a:b',
  'a b',
  'a\tb',
  'eth%d',
  'a#b',
  "a'b",
  '-a',
  'a;b',
  '$a',
])('the interface name %j is code 4', (name) => {
  expect(errorOf(() => parseEnvironment({ ...complete, CNI_IFNAME: name }))).toMatchObject({ code: 4 });
});

test.each(['/run/netns/x', '/var/run/netns/cni-1c2-3', '/proc/4711/ns/net'])(
  'the namespace %s is accepted',
  (netns) => {
    expect(parseEnvironment({ ...complete, CNI_NETNS: netns }).netns).toBe(netns);
  },
);

test.each(['x', '/run/netns/a b', '/run/netns/a#b', "/run/'x", '/run/x\nlink del dev eth0'])(
  'the namespace %j is code 4 for ADD and forgiven for DEL, which does not use it',
  (netns) => {
    expect(errorOf(() => parseEnvironment({ ...complete, CNI_NETNS: netns }))).toMatchObject({ code: 4 });
    expect(parseEnvironment({ ...complete, CNI_COMMAND: 'DEL', CNI_NETNS: netns }).command).toBe('DEL');
  },
);

test('CNI_ARGS come in any order, with keys that nobody knows', () => {
  const { args } = parseEnvironment({
    ...complete,
    CNI_ARGS: 'K8S_POD_NAME=web-1;IgnoreUnknown=1;Foo=a=b;;K8S_POD_NAMESPACE=default;',
  });
  expect([...args]).toEqual([
    ['K8S_POD_NAME', 'web-1'],
    ['IgnoreUnknown', '1'],
    ['Foo', 'a=b'],
    ['K8S_POD_NAMESPACE', 'default'],
  ]);
});

test('what is no pair in CNI_ARGS is code 4 for ADD and forgiven for DEL', () => {
  const variables = { ...complete, CNI_ARGS: 'K8S_POD_NAME=a;nonsense' };
  expect(errorOf(() => parseEnvironment(variables))).toMatchObject({ code: 4, message: /"nonsense"/ });
  expect(parseEnvironment({ ...variables, CNI_COMMAND: 'DEL' }).args.get('K8S_POD_NAME')).toBe('a');
});

test.each([
  ['1', true],
  ['true', true],
  ['TRUE', true],
  ['0', false],
  ['', false],
])('CNI_NETNS_OVERRIDE=%s means %s', (value, expected) => {
  expect(parseEnvironment({ ...complete, CNI_NETNS_OVERRIDE: value }).mayBeOwnNetns).toBe(expected);
});
