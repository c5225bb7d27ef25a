// Calico's label selectors: `rack == 'a' && !has(spare) || name in {'x', 'y'}`.
//
//   or      = and { "||" and }
//   and     = unary { "&&" unary }
//   unary   = { "!" } ( "(" or ")" | "all()" | "global()" | "has(" label ")" | test )
//   test    = label ( "==" | "!=" | "contains" | "starts with" | "ends with" ) text
//           | label [ "not" ] "in" "{" [ text { "," text } ] "}"
//
// A label that is not there fails every test but != and not in. The words are words only where the grammar expects
// them: a label may be called `in`.
import { ResourceError } from './error.ts';

/** A selector that has been understood. */
export type Selector =
  | { readonly test: 'all' | 'global' }
  | { readonly test: 'and' | 'or'; readonly of: readonly Selector[] }
  | { readonly test: 'not'; readonly of: Selector }
  | { readonly test: 'has'; readonly label: string }
  | { readonly test: Comparison; readonly label: string; readonly value: string }
  | { readonly test: 'in' | 'not in'; readonly label: string; readonly values: ReadonlySet<string> };

type Comparison = '==' | '!=' | 'contains' | 'starts with' | 'ends with';

/**
 * Understands a selector; an empty one selects everything, as all() does.
 * @throws ResourceError that says what was expected, and where (counted from 1)
 */
export function parseSelector(text: string): Selector {
  const scanner = new Scanner(text);
  if (scanner.atEnd()) return { test: 'all' };
  const selector = parseOr(scanner, 0);
  if (!scanner.atEnd()) throw scanner.expected('&&, || or the end');
  return selector;
}

/** Whether something with these labels is selected. */
export function matches(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  switch (selector.test) {
    case 'all':
    case 'global':
      return true;
    case 'and':
      return selector.of.every((part) => matches(part, labels));
    case 'or':
      return selector.of.some((part) => matches(part, labels));
    case 'not':
      return !matches(selector.of, labels);
    case 'has':
      return labelOf(labels, selector.label) !== undefined;
    case 'in':
    case 'not in': {
      const value = labelOf(labels, selector.label);
      return (value !== undefined && selector.values.has(value)) === (selector.test === 'in');
    }
    case '==':
    case '!=':
    case 'contains':
    case 'starts with':
    case 'ends with':
      return compare(selector.test, labelOf(labels, selector.label), selector.value);
    default:
      return selector satisfies never;
  }
}

/** An own property only: labels come from outside, and `constructor` is a fine name for one. */
function labelOf(labels: Readonly<Record<string, string>>, label: string): string | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function compare(test: Comparison, value: string | undefined, wanted: string): boolean {
  if (value === undefined) return test === '!=';
  switch (test) {
    case '==':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case 'contains':
      return value.includes(wanted);
    case 'starts with':
      return value.startsWith(wanted);
    case 'ends with':
      return value.endsWith(wanted);
    default:
      return test satisfies never;
  }
}

/** How deep parentheses may nest: a selector comes from outside, and the stack ends somewhere. */
const DEPTH_LIMIT = 100;

function parseOr(scanner: Scanner, depth: number): Selector {
  const parts = [parseAnd(scanner, depth)];
  while (scanner.take('||')) parts.push(parseAnd(scanner, depth));
  return parts.length === 1 ? parts[0]! : { test: 'or', of: parts };
}

function parseAnd(scanner: Scanner, depth: number): Selector {
  const parts = [parseUnary(scanner, depth)];
  while (scanner.take('&&')) parts.push(parseUnary(scanner, depth));
  return parts.length === 1 ? parts[0]! : { test: 'and', of: parts };
}

function parseUnary(scanner: Scanner, depth: number): Selector {
  let negated = false;
  while (scanner.take('!')) negated = !negated;
  const operand = parseOperand(scanner, depth);
  return negated ? { test: 'not', of: operand } : operand;
}

function parseOperand(scanner: Scanner, depth: number): Selector {
  if (scanner.take('(')) {
    if (depth === DEPTH_LIMIT) throw scanner.expected(`no more than ${DEPTH_LIMIT} parentheses in one another`);
    const inner = parseOr(scanner, depth + 1);
    if (!scanner.take(')')) throw scanner.expected('")"');
    return inner;
  }
  for (const test of ['all', 'global'] as const) if (scanner.takeCall(test, true)) return { test };
  if (scanner.takeCall('has', false)) {
    const label = scanner.takeLabel();
    if (!scanner.take(')')) throw scanner.expected('")"');
    return { test: 'has', label };
  }
  return parseTest(scanner);
}

function parseTest(scanner: Scanner): Selector {
  const label = scanner.takeLabel();
  for (const test of ['==', '!='] as const) {
    if (scanner.take(test)) return { test, label, value: scanner.takeText() };
  }
  if (scanner.takeWords('contains')) return { test: 'contains', label, value: scanner.takeText() };
  if (scanner.takeWords('starts', 'with')) return { test: 'starts with', label, value: scanner.takeText() };
  if (scanner.takeWords('ends', 'with')) return { test: 'ends with', label, value: scanner.takeText() };
  if (scanner.takeWords('not', 'in')) return { test: 'not in', label, values: parseSet(scanner) };
  if (scanner.takeWords('in')) return { test: 'in', label, values: parseSet(scanner) };
  throw scanner.expected(`==, !=, in, not in, contains, starts with or ends with behind ${label}`);
}

function parseSet(scanner: Scanner): ReadonlySet<string> {
  if (!scanner.take('{')) throw scanner.expected('"{"');
  const values = new Set<string>();
  if (scanner.take('}')) return values;
  do values.add(scanner.takeText());
  while (scanner.take(','));
  if (!scanner.take('}')) throw scanner.expected('"," or "}"');
  return values;
}

/** Steps through the text; blanks between the parts do not count. */
class Scanner {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  atEnd(): boolean {
    this.skipBlanks();
    return this.at === this.text.length;
  }

  /** Takes a sign if it stands here; "!" is not the beginning of "!=". */
  take(sign: string): boolean {
    this.skipBlanks();
    if (!this.text.startsWith(sign, this.at) || (sign === '!' && this.text[this.at + 1] === '=')) return false;
    this.at += sign.length;
    return true;
  }

  /** Takes words with blanks between them if they stand here and the last one ends here. */
  takeWords(...words: readonly string[]): boolean {
    this.skipBlanks();
    return this.takePattern(new RegExp(`${words.join(String.raw`\s+`)}(?![a-zA-Z0-9_./-])`, 'y')) !== undefined;
  }

  /** Takes `name(`, and `)` too for a call without an argument. */
  takeCall(name: string, closed: boolean): boolean {
    this.skipBlanks();
    return this.takePattern(new RegExp(`${name}\\(${closed ? String.raw`\s*\)` : ''}`, 'y')) !== undefined;
  }

  takeLabel(): string {
    this.skipBlanks();
    const label = this.takePattern(/[a-zA-Z0-9_./-]{1,512}/y);
    if (label === undefined) throw this.expected('a label');
    return label;
  }

  /** A text in single or double quotes. There is no way to escape one: a text with both kinds cannot be written. */
  takeText(): string {
    this.skipBlanks();
    const quote = this.text[this.at];
    if (quote !== "'" && quote !== '"') throw this.expected('a text in quotes');
    const end = this.text.indexOf(quote, this.at + 1);
    if (end < 0) throw this.problem(`the quote at position ${this.at + 1} is never closed`);
    const value = this.text.slice(this.at + 1, end);
    this.at = end + 1;
    return value;
  }

  expected(what: string): ResourceError {
    this.skipBlanks();
    const found = this.at === this.text.length ? 'the end' : JSON.stringify(this.text.slice(this.at, this.at + 12));
    return this.problem(`expected ${what} at position ${this.at + 1}, found ${found}`);
  }

  private problem(what: string): ResourceError {
    return new ResourceError('selector', `${JSON.stringify(this.text)} is not a selector: ${what}`);
  }

  private takePattern(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  private skipBlanks(): void {
    while (/\s/.test(this.text[this.at] ?? '')) this.at++;
  }
}
