// bgp/STATEMENTS.md says of each statement which tests prove it; here it is held to the tests that are there.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const page = readFileSync(new URL('../../bgp/STATEMENTS.md', import.meta.url), 'utf8');

interface Row {
  /** "1" to "80", and "A1" to "A7" for the table of attributes. */
  readonly number: string;
  readonly statement: string;
  readonly proofs: readonly { readonly file: string; readonly title: string }[];
}

const proof = /`([\w/-]+\.test\.ts)` “([^”]+)”/g;

function rowsOf(text: string): Row[] {
  const lines = [...text.matchAll(/^\| (A?\d+) \|([^|]+)\|([^|]*)\|[^|]*\|$/gm)];
  return lines.map(([, number, statement, cell]) => ({
    number: number!,
    statement: statement!,
    proofs: [...cell!.matchAll(proof)].map(([, file, title]) => ({ file: file!, title: title! })),
  }));
}

/** What is wrong with a row, given the sources of the tests. */
function objections({ statement, proofs }: Row, source: (file: string) => string | undefined): string[] {
  const found: string[] = [];
  if (proofs.length === 0) found.push('nothing proves it');
  for (const { file, title } of proofs) {
    const text = source(file);
    if (text === undefined) found.push(`there is no ${file}`);
    else if (![`'${title}'`, `"${title}"`, `\`${title}\``].some((quoted) => text.includes(quoted))) {
      found.push(`${file} has no test “${title}”`);
    } else if (/\b(test|it|describe)\.(skip|todo|only|fails)\b/.test(text)) found.push(`${file} leaves tests out`);
  }
  const cited = proofs.some(({ title }) => /RFC \d{4}|\b\d{4} \d|\d{4}\)$|#\d+|statement \d/.test(title));
  if (/RFC \d/.test(statement) && !cited) found.push('no title says where it is written');
  return found;
}

function sourceOf(file: string): string | undefined {
  try {
    return readFileSync(new URL(file, import.meta.url), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const rows = rowsOf(page);

test('the page has a row for each of the 80 statements and each line of the table of attributes, in order', () => {
  const numbers = [...Array.from({ length: 55 }, (_, i) => i + 1), ...Array.from({ length: 7 }, (_, i) => `A${i + 1}`)];
  const rest = Array.from({ length: 25 }, (_, i) => i + 56);
  expect(rows.map(({ number }) => number)).toEqual([...numbers, ...rest].map(String));
});

test.each(rows)('the tests that prove statement $number are there, and say where it is written', (row) => {
  expect(objections(row, sourceOf)).toEqual([]);
});

test.each([
  ['| 1 | A (RFC 1 §1). | | |', ['nothing proves it', 'no title says where it is written']],
  ['| 1 | A. | `a.test.ts` “one” | |', []],
  ['| 1 | A. | `a.test.ts` “on” | |', ['a.test.ts has no test “on”']],
  ['| 1 | A. | `b.test.ts` “one”; `a.test.ts` “two” | x |', ['there is no b.test.ts', 'a.test.ts has no test “two”']],
  ['| 1 | A (RFC 1 §1). | `a.test.ts` “one” | |', ['no title says where it is written']],
  ['| 1 | A. | `c.test.ts` “one” | |', ['c.test.ts leaves tests out']],
])('what is wrong with a row is seen: %s', (line, expected) => {
  const sources: Record<string, string> = { 'a.test.ts': `test('one', …)`, 'c.test.ts': `test.skip('one', …)` };
  expect(objections(rowsOf(line)[0]!, (file) => sources[file])).toEqual(expected);
});
