// The session room's public face.
export { ceaseCodes, errorCodes } from './cease.ts';
export { systemClock } from './clock.ts';
export { placeOf } from './place.ts';
export type * from './port.ts';
export { Session } from './session.ts';
export type { SessionStatus } from './status.ts';
export { type Listener, type TransportOptions, createDialer, listen } from './transport.ts';
export { type TransportCode, TransportError } from './transport-error.ts';
