// The codec's public face: bytes to messages and back (README.md says which file does what).
export { AS_TRANS, asPathLength, prependToAsPath } from './as-path.ts';
export {
  type Recipient,
  decodeAttributes,
  encodeAttribute,
  encodeAttributes,
  strongestAction,
  writeAttributes,
} from './attributes.ts';
export { isTransitive } from './attribute-value.ts';
export { codeOfCapability, encodeCapability } from './capability.ts';
export { afiSafi, bitsOfFamily, familyOfAfi } from './family.ts';
export { type Frame, Framer } from './framer.ts';
export {
  HEADER_LENGTH,
  MAX_EXTENDED_LENGTH,
  MAX_LENGTH,
  type MessageType,
  encodeKeepalive,
  encodeMessage,
  messageTypes,
} from './header.ts';
export { decodeNextHop, encodeNextHop } from './next-hop.ts';
export { encodePrefix, nlriPrefixes } from './nlri.ts';
export { NotificationError } from './notification-error.ts';
export {
  decodeNotification,
  describeNotification,
  encodeNotification,
  hardResetData,
  shutdownData,
  shutdownText,
} from './notification.ts';
export { decodeOpen, encodeOpen } from './open.ts';
export { decodeRouteRefresh, encodeRouteRefresh, refreshSubtypes } from './route-refresh.ts';
export { type UpdateTerms, decodeUpdate } from './update.ts';
export { type UpdateParts, encodeEndOfRib, encodeReach, encodeUnreach, encodeUpdate } from './update-encode.ts';
export { Writer } from './writer.ts';
