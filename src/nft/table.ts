// The one nft table that is ours, as a value: printed for nft, and read back from what nft lists.
//
// Both ways through one form, a block's header → its lines, so that a table that is as it should be compares equal
// whatever order and line breaks nft chooses.

/** "chain nat-outgoing" → its lines as nft lists them; of a set also the elements, as one line in a sorted order. */
export type Table = ReadonlyMap<string, readonly string[]>;

/** Address family and name: also the mark by which we know what is ours. */
export const TABLE = 'inet manx';

/** A set of prefixes for {@link Table}. nft lists a prefix of one address bare, and so do we. */
export function intervalSet(family: 4 | 6, prefixes: readonly string[]): string[] {
  return [`type ipv${family}_addr`, 'flags interval', elementsLine(prefixes.map((prefix) => bare(prefix, family)))];
}

function bare(prefix: string, family: 4 | 6): string {
  return prefix.replace(family === 4 ? /\/32$/ : /\/128$/, '');
}

function elementsLine(elements: readonly string[]): string {
  return `elements = { ${[...elements].sort().join(', ')} }`;
}

/**
 * One transaction that makes the table so, or (undefined) takes it away: nft carries out all of it or nothing, and no
 * packet sees a state in between. Adding before deleting forgives a table that is not there.
 */
export function transaction(table: Table | undefined): string {
  const away = `add table ${TABLE}\ndelete table ${TABLE}\n`;
  if (table === undefined) return away;
  const blocks = [...table].map(
    ([header, lines]) => `\t${header} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`,
  );
  return `${away}table ${TABLE} {\n${blocks.join('')}}\n`;
}

/** Reads `nft list table`. What is in there that we never write comes out as a difference, too. */
export function parseTable(text: string): Table {
  const blocks = new Map<string, string[]>();
  let header = '';
  for (const line of unwrapped(text)) {
    const opened = /^(\S.*) \{$/.exec(line);
    if (line === '}' || line === '' || line === `table ${TABLE} {`) continue;
    if (opened === null) (blocks.get(header) ?? blocks.set(header, []).get(header)!).push(line);
    else blocks.set((header = opened[1]!), []);
  }
  return blocks;
}

/** Lines without indentation; the elements of a set, which nft breaks into several, in one. */
function unwrapped(text: string): string[] {
  const joined = text.replaceAll(/elements = \{([^}]*)\}/g, (_, elements: string) =>
    elementsLine(elements.split(',').map((element) => element.trim())),
  );
  return joined.split('\n').map((line) => line.trim());
}

/** The headers of blocks that are in one and not, or otherwise, in the other. */
export function differences(wished: Table | undefined, actual: Table | undefined): string[] {
  if (wished === undefined || actual === undefined) return wished === actual ? [] : [`table ${TABLE}`];
  const headers = new Set([...wished.keys(), ...actual.keys()]);
  return [...headers].filter((header) => wished.get(header)?.join('\n') !== actual.get(header)?.join('\n'));
}
