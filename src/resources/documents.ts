// A YAML (or JSON) text as resources: several documents, Lists taken apart, every problem with file, line and path.
import { type Node, LineCounter, isCollection, isMap, isPair, isScalar, isSeq } from 'yaml';
import type { Problem } from '../store/port.ts';
import { type Rough, type Where, identityOf, parseResource, problemAt } from './parse.ts';
import { type Path, isRecord } from './read.ts';
import type { Kind, Kinds } from './types.ts';
import { type YamlDocument, readYamlDocuments, yamlValue } from './yaml.ts';

/** A resource, or what should be one, and where it stands. */
export interface Written {
  readonly resource?: Kinds[Kind];
  /** What is right in one that is wrong. */
  readonly rough?: Rough;
  /** As far as the text says them, also when the rest is wrong. */
  readonly kind?: string;
  readonly name?: string;
  readonly where: Where;
  /** Which of the text's documents, and which of its items when that is a List; counted from 0. */
  readonly document: number;
  readonly item?: number;
}

export interface ReadText {
  readonly written: readonly Written[];
  /** Of each by itself; checkTogether finds those between them. */
  readonly problems: readonly Problem[];
}

/** Reads a text; `file` goes into the problems. Documents without content are skipped. Never throws. */
export function readText(text: string, file?: string): ReadText {
  const lines = new LineCounter();
  const problems: Problem[] = [];
  const written: Written[] = [];
  for (const [i, document] of readYamlDocuments(text, lines).entries()) {
    const read = readDocument(document, i, lines, file);
    problems.push(...read.problems);
    written.push(...read.written);
  }
  return { written, problems };
}

function readDocument(document: YamlDocument, index: number, lines: LineCounter, file: string | undefined): ReadText {
  const noYaml = (offset: number, message: string): Problem =>
    problemAt({}, { ...fileOf(file), line: lines.linePos(offset).line }, [], `no YAML: ${message}`);
  const complaints = [...document.errors, ...document.warnings];
  if (complaints.length > 0) {
    return { written: [], problems: complaints.map(({ pos, message }) => noYaml(pos[0], message)) };
  }
  const root = document.contents as Node | null;
  if (root === null || (isScalar(root) && root.value === null)) return { written: [], problems: [] };
  try {
    return readValue(yamlValue(document), root, index, lines, file);
  } catch (error) {
    // The library's answer to aliases that grow without end.
    if (!(error instanceof ReferenceError)) throw error;
    return { written: [], problems: [noYaml(document.range[0], error.message)] };
  }
}

function fileOf(file: string | undefined): { file?: string } {
  return file === undefined ? {} : { file };
}

function readValue(
  value: unknown,
  root: Node,
  document: number,
  lines: LineCounter,
  file: string | undefined,
): ReadText {
  const items = listItems(value);
  const whereOf = (item?: number): Where => {
    const prefix = item === undefined ? [] : ['items', item];
    const line = lineOf(root, prefix, lines);
    return {
      ...fileOf(file),
      ...(line !== undefined && { line }),
      lineOf: (path) => lineOf(root, [...prefix, ...path], lines),
    };
  };
  const parts = items?.map((part, item) => ({ part, item })) ?? [{ part: value, item: undefined }];
  const read = parts.map(({ part, item }) => {
    const where = whereOf(item);
    const { problems, ...parsed } = parseResource(part, where);
    const place = { document, ...(item !== undefined && { item }), where, ...identityOf(part) };
    return { written: { ...place, ...parsed }, problems };
  });
  return { written: read.map(({ written }) => written), problems: read.flatMap(({ problems }) => problems) };
}

/** The items of a List of Kubernetes or of one of a kind ("BGPPeerList"). */
function listItems(value: unknown): readonly unknown[] | undefined {
  if (!isRecord(value) || typeof value['kind'] !== 'string' || !value['kind'].endsWith('List')) return undefined;
  return Array.isArray(value['items']) ? value['items'] : undefined;
}

/** The line of the key that the path ends in, or of the nearest thing around it that was written. */
function lineOf(root: Node, path: Path, lines: LineCounter): number | undefined {
  let offset = root.range?.[0];
  let node: unknown = root;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number' && node.items[part] !== undefined) {
      node = node.items[part];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

function startOf(node: unknown): number | undefined {
  if (isPair(node)) return (node.key as Node).range?.[0];
  return isCollection(node) || isScalar(node) ? node.range?.[0] : undefined;
}
