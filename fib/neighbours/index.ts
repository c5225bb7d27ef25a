// The public face of fib/neighbours/: see README.md.
export { type Discovery, type DiscoveryOptions, startDiscovery } from './discovery.ts';
export type { Sighting } from './followed-link.ts';
