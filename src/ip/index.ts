// `#ip`: addresses, prefixes and ranges of both families. A leaf: it imports nothing.
export * from './address.ts';
export * from './prefix.ts';
export * from './range.ts';
