// Messages written by hand, byte by byte: independent of the codec's own writers, so that a test never proves an
// encoder with its decoder.
import { NotificationError } from '../../../bgp/codec/index.ts';

/** Bytes from hex digits; spaces and line breaks are free, "# …" runs to the end of the line. */
export function hex(text: string): Uint8Array {
  const digits = text.replaceAll(/#.*/g, '').replaceAll(/\s/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${text}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** A number as so many octets, in hex. */
export function number(value: number, octets: number): string {
  return value.toString(16).padStart(octets * 2, '0');
}

/** A header with the right length in front of a body in hex. */
export function message(type: number, body = ''): Uint8Array {
  const bytes = hex(body);
  return hex(`${'ff'.repeat(16)} ${number(19 + bytes.length, 2)} ${number(type, 1)} ${toHex(bytes)}`);
}

/** Flags in hex, code in decimal, value in hex; the length in two octets when the flags say so. */
export function attribute(flags: string, code: number, value = ''): string {
  const { length } = hex(value);
  const extended = (Number.parseInt(flags, 16) & 0x10) !== 0;
  return `${flags} ${number(code, 1)} ${number(length, extended ? 2 : 1)} ${value}`;
}

/** The body of an UPDATE from three parts in hex. */
export function updateBody(parts: { withdrawn?: string; attributes?: string; announced?: string }): Uint8Array {
  const { withdrawn = '', attributes = '', announced = '' } = parts;
  const behindLength = (part: string): string => `${number(hex(part).length, 2)} ${part}`;
  return hex(`${behindLength(withdrawn)} ${behindLength(attributes)} ${announced}`);
}

/** The NOTIFICATION that an act ends in: "3/1", and its data in hex. */
export function notificationOf(act: () => unknown): { kind: string; data: string; reason: string } {
  try {
    act();
  } catch (error) {
    if (!(error instanceof NotificationError)) throw error;
    return { kind: `${error.code}/${error.subcode}`, data: toHex(error.data), reason: error.reason };
  }
  throw new Error('no NOTIFICATION');
}

/** Only its kind. */
export function kindOf(act: () => unknown): string {
  return notificationOf(act).kind;
}
