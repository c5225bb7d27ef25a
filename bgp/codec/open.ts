// OPEN (RFC 4271 §4.2): its fields, and its optional parameters in both formats (RFC 9072).
//
// Here is what makes an OPEN unreadable. Whether its numbers suit us (AS, identifier, hold time, role) is for
// session/ to judge, which knows what was configured.
import type { Capability, Open } from '../message.ts';
import { decodeCapability, encodeCapability } from './capability.ts';
import { MAX_LENGTH, encodeMessage } from './header.ts';
import { NotificationError } from './notification-error.ts';
import { Malformed, Reader, octets } from './reader.ts';
import { Writer, concat } from './writer.ts';

const VERSION = 4;
const CAPABILITIES = 2;
/** As a length and as a type: "the real length follows, in two octets" (RFC 9072 §2). */
const EXTENDED = 255;
const EMPTY = new Uint8Array(0);

/**
 * Reads the body of an OPEN.
 * @throws NotificationError 2/1 for a version other than 4, 2/4 for a parameter that does not carry capabilities, 2/0
 *   for parameters or capabilities that are cut off or malformed.
 */
export function decodeOpen(body: Uint8Array): Open {
  try {
    return readOpen(new Reader(body));
  } catch (error) {
    if (error instanceof Malformed) throw new NotificationError(2, 0, EMPTY, error.message);
    throw error;
  }
}

function readOpen(reader: Reader): Open {
  const version = reader.u8();
  if (version !== VERSION) {
    throw new NotificationError(2, 1, Uint8Array.of(0, VERSION), `the peer speaks version ${version}`);
  }
  const [asn, holdSeconds, routerId] = [reader.u16(), reader.u16(), reader.u32()];
  const capabilities = readParameters(reader);
  return { type: 'open', version, asn, holdSeconds, routerId, capabilities };
}

/** RFC 5492 §4: capabilities in one parameter or in many. */
function readParameters(reader: Reader): Capability[] {
  const length = reader.u8();
  const extended = length !== 0 && reader.peek() === EXTENDED;
  const parameters = extended ? readExtended(reader) : reader.slice(length);
  reader.end();
  return parameters.all((r) => readParameter(r, extended)).flat();
}

/** RFC 9072 §2: told by the first type alone; the octet before it, if it is not 0, then says nothing. */
function readExtended(reader: Reader): Reader {
  reader.u8();
  return reader.slice(reader.u16());
}

function readParameter(reader: Reader, extended: boolean): Capability[] {
  const type = reader.u8();
  const value = reader.slice(extended ? reader.u16() : reader.u8());
  if (type !== CAPABILITIES) {
    throw new NotificationError(2, 4, EMPTY, `optional parameter ${type} does not carry capabilities`);
  }
  return value.all(decodeCapability);
}

/**
 * A whole message, all capabilities in one parameter, in the longer format only when it takes more than 255 octets
 * (RFC 9072 §2).
 * @throws RangeError when a number does not fit its field, or everything together does not fit 4096 octets.
 */
export function encodeOpen(open: Open): Uint8Array {
  const body = new Writer()
    .u8(open.version)
    .u16(open.asn)
    .u16(open.holdSeconds)
    .u32(open.routerId)
    .bytes(encodeParameters(concat(open.capabilities.map(encodeCapability))));
  const message = encodeMessage('open', body.finish());
  // RFC 8654 §4: an OPEN is never longer.
  if (message.length > MAX_LENGTH) throw new RangeError(`an OPEN of ${octets(message.length)} is longer than 4096`);
  return message;
}

function encodeParameters(capabilities: Uint8Array): Uint8Array {
  const { length } = capabilities;
  const writer = new Writer();
  if (length === 0) return writer.u8(0).finish();
  if (length + 2 <= 255)
    writer
      .u8(length + 2)
      .u8(CAPABILITIES)
      .u8(length);
  else
    writer
      .u8(EXTENDED)
      .u8(EXTENDED)
      .u16(length + 3)
      .u8(CAPABILITIES)
      .u16(length);
  return writer.bytes(capabilities).finish();
}
