// The lab itself: if this fails, nothing that other tests say means anything.
import { expect, test } from 'vitest';
import { startBird } from '../lab/bird.ts';
import { layFabric, hostAddresses } from '../lab/fabric.ts';
import { lacking } from '../lab/needs.ts';

const reason = lacking('bird', 'ping');

test.skipIf(reason)(
  `the host behind the router answers it, and BIRD runs there${reason ? ` (${reason})` : ''}`,
  async () => {
    await using fabric = await layFabric('fabric-');
    const bird = await startBird(fabric.tor, '/run/lab/fabric-bird');
    for (const address of hostAddresses) await fabric.tor.run('ping', ['-c', '1', '-W', '2', address]);
    expect(await bird.birdc('show protocols')).toMatch(/^nodes4 +BGP +--- +start/m);
    await bird.stop();
  },
);
