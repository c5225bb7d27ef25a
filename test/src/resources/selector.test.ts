// Calico's selectors: what they mean, and how a wrong one is explained.
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Selector, ResourceError, matches, parseSelector } from '../../../src/resources/index.ts';

const labels = { rack: 'a', 'kubernetes.io/os': 'linux', in: 'word', empty: '', quote: `it's` };

describe('selected', () => {
  test.each([
    ['', true],
    ['all()', true],
    ['all( )', true],
    ['global()', true],
    [`rack == 'a'`, true],
    [`rack == "a"`, true],
    [`rack=='b'`, false],
    [`rack != 'b'`, true],
    [`rack != 'a'`, false],
    [`missing != 'a'`, true],
    [`missing == ''`, false],
    [`empty == ''`, true],
    [`has(rack)`, true],
    [`has( missing )`, false],
    [`!has(missing)`, true],
    [`!!has(rack)`, true],
    [`rack in {'a', 'b'}`, true],
    [`rack in {}`, false],
    [`rack not in {'a'}`, false],
    [`rack not in {}`, true],
    [`missing in {'a'}`, false],
    [`missing not in {'a'}`, true],
    [`kubernetes.io/os contains 'inu'`, true],
    [`kubernetes.io/os starts with 'lin'`, true],
    [`kubernetes.io/os starts  with 'x'`, false],
    [`kubernetes.io/os ends with 'ux'`, true],
    [`missing contains ''`, false],
    [`in == 'word'`, true],
    [`in in {'word'}`, true],
    [`all == 'x'`, false],
    [`quote == "it's"`, true],
    [`rack == 'b' || rack == 'a' && has(in)`, true],
    [`(rack == 'b' || rack == 'a') && has(missing)`, false],
    [`rack == 'a' || rack == 'b' && has(missing)`, true],
    [`!(rack == 'a' && has(missing))`, true],
    [`! rack == 'a'`, false],
    [`constructor == 'x'`, false],
    [`has(toString)`, false],
  ])('%s: %s', (text, expected) => {
    expect(matches(parseSelector(text), labels)).toBe(expected);
  });
});

describe('explained', () => {
  test.each([
    [`rack == a`, 'expected a text in quotes at position 9, found "a"'],
    [`rack == 'a`, 'the quote at position 9 is never closed'],
    [
      `rack = 'a'`,
      'expected ==, !=, in, not in, contains, starts with or ends with behind rack at position 6, found "= \'a\'"',
    ],
    [`rack == 'a' &`, 'expected &&, || or the end at position 13, found "&"'],
    [`rack == 'a' has(x)`, 'expected &&, || or the end at position 13, found "has(x)"'],
    [`(rack == 'a'`, 'expected ")" at position 13, found the end'],
    [`rack in ['a']`, 'expected "{" at position 9, found "[\'a\']"'],
    [`rack in {'a' 'b'}`, 'expected "," or "}" at position 14, found "\'b\'}"'],
    [`has()`, 'expected a label at position 5, found ")"'],
    [`&& has(a)`, 'expected a label at position 1, found "&& has(a)"'],
    [
      `rack starts 'a'`,
      'expected ==, !=, in, not in, contains, starts with or ends with behind rack at position 6, found "starts \'a\'"',
    ],
    [
      `${'('.repeat(200)}all()`,
      'expected no more than 100 parentheses in one another at position 102, found "((((((((((((" '.trim(),
    ],
  ])('%s: %s', (text, why) => {
    expect(() => parseSelector(text)).toThrow(
      new ResourceError('selector', `${JSON.stringify(text)} is not a selector: ${why}`),
    );
  });
});

const label = fc.stringMatching(/^[a-c]$/);
const value = fc.stringMatching(/^[x-z]{0,2}$/);
const { tree } = fc.letrec<{ tree: Selector }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.record({ test: fc.constantFrom('==', '!=', 'contains', 'starts with', 'ends with'), label, value }),
    fc.record({ test: fc.constant('has' as const), label }),
    fc.record({ test: fc.constantFrom('in', 'not in'), label, values: fc.array(value).map((all) => new Set(all)) }),
    fc.record({ test: fc.constant('not' as const), of: tie('tree') }),
    fc.record({ test: fc.constantFrom('and', 'or'), of: fc.array(tie('tree'), { minLength: 2, maxLength: 3 }) }),
  ),
}));

/** Spelled with every parenthesis, so that nothing depends on what binds tighter. */
function spell(selector: Selector): string {
  switch (selector.test) {
    case 'all':
    case 'global':
      return `${selector.test}()`;
    case 'and':
    case 'or':
      return selector.of.map((part) => `(${spell(part)})`).join(selector.test === 'and' ? '&&' : ' || ');
    case 'not':
      return `!(${spell(selector.of)})`;
    case 'has':
      return `has(${selector.label})`;
    case 'in':
    case 'not in':
      return `${selector.label} ${selector.test} {${[...selector.values].map((one) => `"${one}"`).join(' , ')}}`;
    case '==':
    case '!=':
    case 'contains':
    case 'starts with':
    case 'ends with':
      return `${selector.label} ${selector.test} '${selector.value}'`;
    default:
      return selector satisfies never;
  }
}

interface Written {
  readonly text: string;
  /** The same as an expression of JavaScript. */
  readonly truth: (labels: Readonly<Record<string, string>>) => string;
}

function joined(parts: readonly Written[], operator: '&&' | '||'): Written {
  return {
    text: parts.map(({ text }) => text).join(` ${operator}\t`),
    truth: (labels) => parts.map(({ truth }) => truth(labels)).join(operator),
  };
}

/** Looks into a plain object, as one would who has never read the grammar. */
const naive: Readonly<Record<string, (has: string | undefined, wanted: readonly string[]) => boolean>> = {
  '==': (has, [wanted]) => has === wanted,
  '!=': (has, [wanted]) => has !== wanted,
  contains: (has, [wanted]) => has !== undefined && has.indexOf(wanted!) !== -1,
  'starts with': (has, [wanted]) => has !== undefined && has.slice(0, wanted!.length) === wanted,
  'ends with': (has, [wanted]) => has !== undefined && (wanted === '' || has.slice(-wanted!.length) === wanted),
  in: (has, wanted) => wanted.some((one) => one === has),
  'not  in': (has, wanted) => wanted.every((one) => one !== has),
};
const comparison = fc
  .tuple(label, fc.constantFrom(...Object.keys(naive)), fc.array(value, { minLength: 1, maxLength: 3 }), quote())
  .map(([name, operator, values, mark]): Written => {
    const texts = values.map((one) => `${mark}${one}${mark}`);
    const right = operator.endsWith('in') ? `{${texts.join(',')}}` : texts[0]!;
    return {
      text: `${name} ${operator} ${right}`,
      truth: (labels) => String(naive[operator]!(labels[name], operator.endsWith('in') ? values : [values[0]!])),
    };
  });
const leaf = fc.oneof(
  comparison,
  label.map((name): Written => ({ text: `has(${name})`, truth: (labels) => String(name in labels) })),
  fc.constantFrom('all()', 'global( )').map((text): Written => ({ text, truth: () => 'true' })),
);

function quote(): fc.Arbitrary<string> {
  return fc.constantFrom('"', "'");
}

test('what is spelled out is understood as it was meant', () => {
  fc.assert(
    fc.property(tree, (selector) => {
      expect(parseSelector(spell(selector))).toEqual(selector);
    }),
  );
});

/** A selector as people write it, with no more parentheses than some, and what JavaScript makes of its atoms. */
const written = fc.letrec<{ or: Written; and: Written; unary: Written; atom: Written }>((tie) => ({
  or: fc.array(tie('and'), { minLength: 1, maxLength: 3 }).map((parts) => joined(parts, '||')),
  and: fc.array(tie('unary'), { minLength: 1, maxLength: 3 }).map((parts) => joined(parts, '&&')),
  unary: fc
    .tuple(fc.constantFrom('', '', '!', '!!'), tie('atom'))
    .map(([nots, { text, truth }]) => ({ text: nots + text, truth: (labels) => nots + truth(labels) })),
  atom: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    tie('or').map(({ text, truth }): Written => ({ text: `( ${text} )`, truth: (labels) => `(${truth(labels)})` })),
  ),
}));

test('precedence and every operator agree with JavaScript over a naive reading of the labels', () => {
  fc.assert(
    fc.property(written.or, fc.dictionary(label, value), ({ text, truth }, labels) => {
      expect([text, matches(parseSelector(text), labels)]).toEqual([text, runInNewContext(truth(labels))]);
    }),
    { numRuns: 2000 },
  );
});

test('any text is a selector or a ResourceError', () => {
  fc.assert(
    fc.property(fc.string(), fc.dictionary(label, value), (text, labels) => {
      try {
        expect(typeof matches(parseSelector(text), labels)).toBe('boolean');
      } catch (error) {
        expect(error).toBeInstanceOf(ResourceError);
      }
    }),
  );
});
