// The public face of the library: a BGP-4 speaker that is told what to be and says what came of it.
export { type Address, type Prefix, parseAddress, parsePrefix } from '#ip';
export type * from './message.ts';
export type * from './policy/rule.ts';
export type { RestartOptions } from './restart.ts';
export type { BestPath, BestRoute } from './rib/best.ts';
export type { Resolution, Resolve } from './rib/next-hop-table.ts';
export type { Clock, Connection, DialTarget, Dialer } from './session/index.ts';
export type { RouteQuery } from './routes.ts';
export { type Speaker, type SpeakerEvents, type SpeakerOptions, createSpeaker } from './speaker.ts';
export type * from './status.ts';
export * from './text.ts';
export { peerDefaults } from './wish.ts';
export type * from './wish.ts';
