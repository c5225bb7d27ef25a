// Resources: strict parsing, checking, printing, and the small languages inside them.
export * from './types.ts';
export { ResourceError, type ResourceErrorCode } from './error.ts';
export { type Parsed, type Where, parseResource } from './parse.ts';
export { type ReadText, type Written, readText } from './documents.ts';
export { type Located, checkTogether } from './together.ts';
export { printJson, printYaml, toDocument } from './print.ts';
export { formatJson, parseJson } from './json.ts';
export { formatYaml } from './yaml.ts';
export { isRecord } from './read.ts';
export { type Selector, matches, parseSelector } from './selector.ts';
export { affinityLabels, affinityName, blockName, handleName, prefixOfBlock } from './names.ts';
export { parseDuration } from './duration.ts';
export { type PeerEndpoint, parseEndpoint } from './endpoint.ts';
export { type KindDescription, kindOf, kinds } from './kinds.ts';
export type { Field, Fields, Schema } from './schema.ts';
