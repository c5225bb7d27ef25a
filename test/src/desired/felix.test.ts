// What Felix is asked for and is not here to do: said where an operator would rely on it, and only there.
import { describe, expect, it } from 'vitest';
import { type ClusterView, desiredSpeaker } from '../../../src/desired/index.ts';
import { felixConfiguration as felixFor } from '../../../src/desired/view.ts';
import type { FelixConfigurationSpec } from '../../../src/resources/types.ts';
import { bgpConfiguration, felixConfiguration, node } from '../../support/resources.ts';

function view(more: Partial<ClusterView>): ClusterView {
  const nodes = [node('w1', { ipv4Address: '10.0.0.1/24' })];
  const empty = { pools: [], bgpConfigurations: [], peers: [], filters: [], peerOptions: [], reservations: [] };
  return { nodes, ...empty, ...more };
}

function troubles(more: Partial<ClusterView>): string[] {
  const input = {
    view: view(more),
    node: 'w1',
    ownBlocks: [],
    ownAddresses: [],
    password: () => ({ problem: 'nobody knows it' }),
  };
  return desiredSpeaker(input).troubles.map(({ kind, path, message }) => `${kind} ${path}: ${message}`);
}

describe('a FelixConfiguration', () => {
  it('of one node goes before the cluster’s, field by field', () => {
    const felixConfigurations = [
      felixConfiguration({ natPortRange: '1024:2047', serviceLoopPrevention: 'Drop' }),
      felixConfiguration({ natPortRange: '4096:8191' }, 'node.w1'),
      felixConfiguration({ natPortRange: '1:2' }, 'node.w2'),
    ];
    expect(felixFor(view({ felixConfigurations }), 'w1')).toEqual({
      natPortRange: '4096:8191',
      serviceLoopPrevention: 'Drop',
    });
  });
  it.each<[FelixConfigurationSpec, string]>([
    [{ wireguardEnabled: true }, 'packets between nodes are not encrypted'],
    [{ bpfEnabled: true }, 'kube-proxy'],
    [{ routeSyncDisabled: true }, '--no-fib'],
    [{ interfacePrefix: 'eni' }, 'called cali… all the same, not eni…'],
    [{ routeSource: 'WorkloadIPs' }, 'by their blocks'],
  ])('that asks for %j is answered', (spec, words) => {
    const said = troubles({ felixConfigurations: [felixConfiguration(spec)] });
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(`FelixConfiguration spec.${Object.keys(spec)[0]}: `);
    expect(said[0]).toContain(words);
  });
  it('says nothing to us with what only concerns Felix itself', () => {
    const spec: FelixConfigurationSpec & Record<string, unknown> = {
      ...{ wireguardEnabled: false, interfacePrefix: 'cali', routeSource: 'CalicoIPAM', routeRefreshInterval: '30s' },
      ...{ deviceRouteProtocol: 80, healthPort: 9099, vxlanPort: 4789, bpfLogLevel: 'Debug' },
    };
    expect(troubles({ felixConfigurations: [felixConfiguration(spec)] })).toEqual([]);
  });
});

describe('programClusterRoutes', () => {
  const said = (programClusterRoutes: string): string[] =>
    troubles({ bgpConfigurations: [bgpConfiguration({ programClusterRoutes })] });
  it.each(['Enabled', 'EnabledNoEncapOnly'])('%s is what Manx does', (mode) => expect(said(mode)).toEqual([]));
  it.each(['Disabled', 'EnabledIPIPOnly'])('%s would leave pods without a route, and is not followed', (mode) => {
    expect(said(mode)).toEqual([expect.stringContaining(`BGPConfiguration spec.programClusterRoutes: ${mode} leaves`)]);
  });
});
