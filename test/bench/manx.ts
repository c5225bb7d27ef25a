// The daemon under test, ours: the speaker library as a plain eBGP router between the tester's two sessions.
import type { Address } from '#ip';
import { createSpeaker } from '../../bgp/index.ts';
import { peerDefaults } from '../../bgp/wish.ts';
import { dut, feeder, sink } from './daemons.ts';

const speaker = createSpeaker({ events: { note: (fact) => console.error('manx:', fact.message, fact) } });
speaker.apply({
  asn: dut.asn,
  routerId: dut.address as Address,
  listen: [{ address: dut.address as Address, port: 179 }],
  multipath: 1,
  originated: [],
  peers: Object.entries({ feeder, sink }).map(([name, { address, asn }]) => ({
    ...peerDefaults,
    name,
    kind: 'bench',
    address: address as Address,
    asn,
    families: ['ipv4-unicast'],
    passive: true,
    gracefulRestart: { ...peerDefaults.gracefulRestart, enabled: false },
  })),
});
