// Changes a configuration file as its owner would: only what differs is touched, comments and all other documents stay
// as they are. Pure: text in, text out.
import { isDeepStrictEqual } from 'node:util';
import { type Document, type Node, Scalar, type YAMLMap, type YAMLSeq, isMap, isScalar, isSeq } from 'yaml';
import { formatJson, formatYaml, isRecord, parseJson } from '../resources/index.ts';
import { type YamlDocument, quoteAsGo, readYamlDocuments } from '../resources/yaml.ts';

/** Which of the file's documents, and which item of it when it is a List. */
export interface Place {
  readonly document: number;
  readonly item?: number;
}

type Plain = Readonly<Record<string, unknown>>;

/** The text with one more document at its end. */
export function appendDocument(text: string, added: Plain): string {
  if (text.trim() === '') return formatYaml(added);
  return `${withLineBreak(text)}---\n${formatYaml(added)}`;
}

/**
 * The text with the resource at this place changed. What `from` and `to` agree on stays as it was written.
 * @param from what the place says now, with all defaults; absent: whatever is there, right or wrong
 */
export function changeDocument(text: string, place: Place, from: Plain | undefined, to: Plain): string {
  return rewrite(text, place.document, (document) => {
    const map = place.item === undefined ? document.contents : document.getIn(['items', place.item], true);
    if (isMap(map)) patchMap(document, map, from ?? plainOf(map.toJS(document)), to);
  });
}

/** The text without the resource at this place; undefined when nothing is left of it. */
export function removeDocument(text: string, place: Place): string | undefined {
  const documents = readYamlDocuments(text);
  const items = documents[place.document]?.get('items');
  if (place.item !== undefined && isSeq(items) && items.items.length > 1) {
    return rewrite(text, place.document, (document) => void document.deleteIn(['items', place.item]));
  }
  const slices = slicesOf(text, documents).filter((_, i) => i !== place.document);
  const rest = slices.map(withLineBreak).join('');
  const isLeft = readYamlDocuments(rest).some(({ contents }) => !isNothing(contents));
  return isLeft ? rest : undefined;
}

/** The same for a file of JSON, which has no comments to lose. */
export function changeJson(text: string, place: Place, to: Plain | undefined): string | undefined {
  const value = parseJson(text);
  if (place.item === undefined || !isRecord(value) || !Array.isArray(value['items'])) {
    return to === undefined ? undefined : `${formatJson(to, 2)}\n`;
  }
  const items = value['items'].flatMap((item: unknown, i) =>
    i !== place.item ? [item] : to === undefined ? [] : [to],
  );
  return items.length === 0 ? undefined : `${formatJson({ ...value, items }, 2)}\n`;
}

/** Carries a change out on one document's tree; the text of all others stays as it is. */
function rewrite(text: string, index: number, change: (document: YamlDocument) => void): string {
  const documents = readYamlDocuments(text);
  const document = documents[index]!;
  const slices = slicesOf(text, documents);
  const source = slices[index]!;
  change(document);
  quoteAsGo(document);
  const printed = document.toString({ ...habitsOf(source), lineWidth: 0, singleQuote: true });
  return slices.map((slice, i) => withLineBreak(i === index ? printed : slice)).join('');
}

/** The text of each document, together with the comments in front of it. */
function slicesOf(text: string, documents: readonly YamlDocument[]): string[] {
  return documents.map(({ range }, i) => {
    const start = i === 0 ? 0 : documents[i - 1]!.range[2];
    const slice = text.slice(start, i === documents.length - 1 ? text.length : range[2]);
    return i === 0 ? slice : slice.replace(/^\r?\n/, '');
  });
}

/** How the owner indents: the printer would otherwise do it in its own way throughout. */
function habitsOf(source: string): { indent: number; indentSeq: boolean; flowCollectionPadding: boolean } {
  const indent = /^[^\s#-][^\n]*:[^\S\n]*(?:#[^\n]*)?\n( +)[^\s#-]/m.exec(source)?.[1]?.length ?? 2;
  return {
    indent,
    indentSeq: !/^( *)(?:- )?[^\s#-][^\n]*:[^\S\n]*(?:#[^\n]*)?\n\1- /m.test(source),
    flowCollectionPadding: /[{[] /.test(source),
  };
}

function patchMap(document: Document, map: YAMLMap, from: Plain, to: Plain): void {
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    if (isDeepStrictEqual(from[key], to[key])) continue;
    if (to[key] === undefined) map.delete(key);
    else {
      const patched = patchNode(document, map.get(key, true), from[key], to[key]);
      if (patched !== undefined) map.set(key, patched);
    }
  }
}

function patchSeq(document: Document, seq: YAMLSeq, from: readonly unknown[], to: readonly unknown[]): void {
  seq.items.splice(to.length);
  for (const [i, item] of to.entries()) {
    if (i < from.length && isDeepStrictEqual(from[i], item)) continue;
    const patched = patchNode(document, seq.items[i] as Node | undefined, from[i], item);
    if (patched !== undefined) seq.items[i] = patched;
  }
}

/** Changes a node in place, or gives the one to put there instead. */
function patchNode(document: Document, node: Node | undefined, from: unknown, to: unknown): Node | undefined {
  if (isMap(node) && isRecord(from) && isRecord(to)) {
    patchMap(document, node, from, to);
    return undefined;
  }
  if (isSeq(node) && Array.isArray(from) && Array.isArray(to) && node.items.length === from.length) {
    patchSeq(document, node, from, to);
    return undefined;
  }
  const created = document.createNode(to);
  if (isScalar(node) && created instanceof Scalar) {
    created.comment = node.comment ?? null;
    created.commentBefore = node.commentBefore ?? null;
    created.spaceBefore = node.spaceBefore ?? false;
  }
  return created;
}

function plainOf(value: unknown): Plain {
  return isRecord(value) ? value : {};
}

function isNothing(contents: unknown): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function withLineBreak(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}
