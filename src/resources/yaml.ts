// YAML that keeps 64-bit numbers, read strictly and printed as Calico's and Kubernetes' own tools print it.
import { Document, LineCounter, type ParsedNode, Scalar, parseAllDocuments, visit } from 'yaml';

/** A document as it was written: its tree with places, and what is wrong with it as YAML. */
export type YamlDocument = Document.Parsed<ParsedNode>;

/** The documents of a text; an empty text has none. Nothing is thrown: errors are in the documents. */
export function readYamlDocuments(text: string, lineCounter = new LineCounter()): readonly YamlDocument[] {
  const documents = parseAllDocuments(text, { intAsBigInt: true, merge: true, prettyErrors: false, lineCounter });
  return Array.isArray(documents) ? documents : [];
}

/** What the document says as plain data. @throws ReferenceError for aliases that would grow beyond bounds */
export function yamlValue(document: YamlDocument): unknown {
  return narrow(document.toJS({ maxAliasCount: 100 }));
}

/** Prints plain data: keys in order, bigints as numbers, lists not indented. */
export function formatYaml(value: unknown): string {
  const document = new Document(sorted(value), { compat: 'yaml-1.1', aliasDuplicateObjects: false });
  quoteAsGo(document);
  return document.toString({ indentSeq: false, lineWidth: 0, singleQuote: true });
}

/** Go's printer puts a text that would read as something else in double quotes, any other that needs it in single. */
export function quoteAsGo(document: Document): void {
  const { tags, compat } = document.schema;
  const others = [...tags, ...(compat ?? [])].filter(({ tag }) => tag !== 'tag:yaml.org,2002:str');
  visit(document, {
    Scalar(_key, node) {
      const { value } = node;
      if (typeof value !== 'string' || node.type !== undefined) return;
      const ambiguous = others.some((tag) => tag.default && 'test' in tag && tag.test?.test(value));
      if (ambiguous) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
}

/** The same with keys in order at all depths; runs of digits in keys count as numbers, as in Go's printer. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => compareKeys(a, b)).map(([key, item]) => [key, sorted(item)]));
}

function compareKeys(a: string, b: string): number {
  const [as, bs] = [a.split(/(\d+)/), b.split(/(\d+)/)];
  for (let i = 0; i < Math.min(as.length, bs.length); i++) {
    const [left, right] = [as[i]!, bs[i]!];
    if (left === right) continue;
    const numeric = i % 2 === 1 ? Number(left) - Number(right) : 0;
    return numeric || (left < right ? -1 : 1);
  }
  return as.length - bs.length;
}

/** Every integer was read as a bigint; those that a double holds exactly are numbers. */
function narrow(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(narrow);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, narrow(item)]));
}
