// prefixAdvertisements: which communities go with which prefixes.
import { type Prefix, containsPrefix } from '#ip';
import type { LargeCommunity } from '../../bgp/message.ts';
import { TextError, parseCommunity } from '../../bgp/text.ts';
import type { BGPConfigurationSpec } from '../resources/types.ts';
import type { Problem } from '../store/port.ts';

export type Community = number | LargeCommunity;

export type Advertisements = readonly { readonly cidr: Prefix; readonly communities: readonly Community[] }[];

/** A community is a value, or the name of one. An unknown name is reported and left out. */
export function readAdvertisements(configuration: BGPConfigurationSpec): {
  advertisements: Advertisements;
  troubles: readonly Problem[];
} {
  const named = new Map((configuration.communities ?? []).map(({ name, value }) => [name, value]));
  const troubles: Problem[] = [];
  const advertisements = (configuration.prefixAdvertisements ?? []).map(({ cidr, communities }) => ({
    cidr,
    communities: communities.flatMap((text): Community[] => {
      const value = readCommunity(named.get(text) ?? text);
      if (value !== undefined) return [value];
      const message = `${cidr}: there is no community named ${JSON.stringify(text)} in spec.communities`;
      troubles.push({ kind: 'BGPConfiguration', name: 'default', path: 'spec.prefixAdvertisements', message });
      return [];
    }),
  }));
  return { advertisements, troubles };
}

/** Everything that goes with a prefix: the communities of each advertisement that contains it. */
export function communitiesFor(advertisements: Advertisements, prefix: Prefix): Community[] {
  const found = advertisements.filter(({ cidr }) => containsPrefix(cidr, prefix));
  const byText = new Map(found.flatMap(({ communities }) => communities.map((value) => [String(value), value])));
  return [...byText.values()];
}

function readCommunity(text: string): Community | undefined {
  try {
    return parseCommunity(text);
  } catch (error) {
    if (error instanceof TextError) return undefined;
    throw error;
  }
}
