// The work of the tables, in turns that are over before they have begun: whatever else there is to do, everybody gets on.
import type { Address, Prefix } from '#ip';
import { expect, test } from 'vitest';
import type { ExportTerms } from '../../../bgp/rib/export.ts';
import type { LocalFacts } from '../../../bgp/rib/import.ts';
import type { Member } from '../../../bgp/rib/member.ts';
import { Rib, type NewPeer } from '../../../bgp/rib/rib.ts';

const us = '10.0.0.1' as Address;
const local: LocalFacts = {
  ...{ asn: 64_512, routerId: us, clusterId: us, addresses: new Set([us]), requirePolicy: false },
  interfaceOf: () => undefined,
};
const terms: ExportTerms = {
  ...{ family: 'ipv4-unicast', internal: false, client: false, localAsn: 64_512, clusterId: us, role: undefined },
  ...{ policy: undefined, requirePolicy: false, nextHop: 'auto', self: { address: us }, extendedNextHop: false },
  ...{ sharedInterface: undefined, notNextHop: undefined, longLived: false, fourOctetAs: true, sendLimit: 4096 },
  addPath: 0,
};
const peer: Omit<NewPeer, 'name' | 'address'> = {
  ...{ asn: 65_001, localAsn: 64_512, internal: false, client: false, role: undefined, allowOwnAs: 0 },
  ...{ interface: undefined, importPolicy: undefined, prefixLimit: undefined },
};

class Scene {
  readonly rib = new Rib({
    resolve: () => ({ reachable: true }),
    local: () => local,
    notes: { nearLimit: () => undefined, overLimit: () => undefined },
    deferring: () => false,
  });

  /** Originates 10.0.0.0/24 and so on, now with one MED, now with another. */
  originate(count: number, med: number): void {
    const prefix = (i: number): Prefix => `10.${i >> 8}.${i & 255}.0/24` as Prefix;
    const routes = Array.from({ length: count }, (_, i) => ({ prefix: prefix(i), med }));
    this.rib.originated.apply(routes, 0);
  }

  /** A peer whose terms are its own, so that it has an update group of its own; `got` counts what it is sent. */
  join(number: number): { readonly member: Member; readonly got: () => number } {
    const address = `10.0.1.${number}` as Address;
    const added = this.rib.addPeer({ ...peer, name: `peer-${number}`, address });
    let octets = 0;
    const member = this.rib.tables['ipv4-unicast'].join(added, terms, `group ${number}`, (messages) => {
      octets += messages.length;
      return true;
    });
    return { member, got: () => octets };
  }

  /** A turn in which the time is up from the start. */
  lateTurn(): boolean {
    return this.rib.work(
      () => true,
      () => undefined,
    );
  }
}

test('peers are told everything also when every turn begins too late', () => {
  const scene = new Scene();
  scene.originate(20_000, 1);
  const peers = [1, 2, 3].map((number) => scene.join(number));
  let turns = 0;
  while (scene.lateTurn()) if (++turns > 2000) expect.fail('it never ends');
  for (const { member, got } of peers) {
    expect(member.isContent).toBe(true);
    expect(got()).toBeGreaterThan(20_000 * 4);
  }
});

test('a peer that comes while the routes never rest is told of them', () => {
  const scene = new Scene();
  scene.originate(2000, 1);
  const [first, second] = [scene.join(1), scene.join(2)];
  for (let turn = 0; turn < 500; turn++) {
    if (turn % 5 === 0) scene.originate(2000, turn);
    scene.lateTurn();
  }
  for (const { got } of [first, second]) expect(got()).toBeGreaterThan(2000 * 4);
});
