// One agent of many has the Lease, and who has it knows when it is over.
import { describe, expect, test } from 'vitest';
import { Candidate, LEASE_MS } from '../../../src/kube/lease.ts';
import { MemoryKube } from '../../support/memory-kube.ts';

function electionOf(...names: string[]) {
  const client = new MemoryKube();
  const clock = { now: 0 };
  const told: string[] = [];
  const candidates = names.map((identity) => {
    const changed = (held: boolean) => told.push(`${identity} ${held ? 'won' : 'lost'}`);
    const options = { client, namespace: 'manx-system', name: 'chores', identity, changed };
    return new Candidate({ ...options, candidates: () => names.length }, () => clock.now);
  });
  return { client, clock, told, candidates: candidates as [Candidate, Candidate] };
}

describe('the Lease', () => {
  test('goes to the first', async () => {
    const { candidates, told } = electionOf('a', 'b');
    for (const candidate of candidates) await candidate.step();
    expect(candidates.map(({ held }) => held)).toEqual([true, false]);
    expect(told).toEqual(['a won']);
  });

  test('stays with who renews it', async () => {
    const { candidates, clock } = electionOf('a', 'b');
    for (let rounds = 0; rounds < 10; rounds++) {
      for (const candidate of candidates) await candidate.step();
      clock.now += 15_000;
    }
    expect(candidates.map(({ held }) => held)).toEqual([true, false]);
  });

  test('passes to another when its holder is dead, not before it has run out', async () => {
    const { candidates, clock } = electionOf('a', 'b');
    const [dead, next] = candidates;
    await dead.step();
    await next.step();
    clock.now += LEASE_MS - 1;
    await next.step();
    expect(next.held).toBe(false);
    clock.now += 1;
    await next.step();
    expect(next.held).toBe(true);
  });

  test('is nobody’s while its holder cannot renew it, and has not run out for others', async () => {
    const { candidates, clock, client, told } = electionOf('a', 'b');
    const [holder, other] = candidates;
    await holder.step();
    await other.step();
    client.away = true;
    clock.now += LEASE_MS - 10_000;
    await holder.step();
    client.away = false;
    await other.step();
    expect(candidates.map(({ held }) => held)).toEqual([false, false]);
    expect(told).toEqual(['a won', 'a lost']);
  });

  test('is ours again when the server comes back and nobody has taken it', async () => {
    const { candidates, clock, client } = electionOf('a');
    const [holder] = candidates;
    await holder.step();
    client.away = true;
    clock.now += LEASE_MS;
    await holder.step();
    client.away = false;
    await holder.step();
    expect(holder.held).toBe(true);
  });

  test('is free at once when it is given back', async () => {
    const { candidates } = electionOf('a', 'b');
    const [first, second] = candidates;
    await first.step();
    await first.resign();
    await second.step();
    expect(candidates.map(({ held }) => held)).toEqual([false, true]);
  });

  test('is lost to who has taken it meanwhile', async () => {
    const { candidates, clock } = electionOf('a', 'b');
    const [slept, awake] = candidates;
    await slept.step();
    await awake.step();
    clock.now += LEASE_MS;
    await awake.step();
    await slept.step();
    expect(candidates.map(({ held }) => held)).toEqual([false, true]);
  });
});

test('a thousand that wait ask ten times a second, all together', async () => {
  const { client } = electionOf('a');
  const options = { client, namespace: 'manx-system', name: 'chores', candidates: () => 1000 };
  await new Candidate({ ...options, identity: 'a' }, () => 0).step();
  expect(await new Candidate({ ...options, identity: 'b' }, () => 0).step()).toBe(100_000);
});
