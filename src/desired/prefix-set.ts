// A few prefixes, asked many times whether they have anything to do with another one.
import { type Prefix, addressOf, familyOfPrefix, lengthOf, prefixFrom } from '#ip';

export interface PrefixSet {
  /** It is one of them. */
  has(prefix: Prefix): boolean;
  /** The one that contains it (or is it), the longest of several. */
  containing(prefix: Prefix): Prefix | undefined;
}

export function prefixSet(prefixes: Iterable<Prefix>): PrefixSet {
  const members = new Set(prefixes);
  // Few lengths, however many prefixes: each question costs one look per length.
  const lengths = new Map(
    ([4, 6] as const).map((family) => {
      const mine = [...members].filter((prefix) => familyOfPrefix(prefix) === family);
      return [family, [...new Set(mine.map(lengthOf))].sort((a, b) => b - a)];
    }),
  );
  return {
    has: (prefix) => members.has(prefix),
    containing: (prefix) => {
      const own = lengthOf(prefix);
      for (const length of lengths.get(familyOfPrefix(prefix))!) {
        if (length > own) continue;
        const candidate = prefixFrom(addressOf(prefix), length);
        if (members.has(candidate)) return candidate;
      }
      return undefined;
    },
  };
}
