// Which NOTIFICATIONs a message may lead to, whatever is in it: RFC 4271 §6.1-6.3, 5492, 7313, 9234; 7606 for UPDATE.
import type { Message } from '../../bgp/index.ts';

type MessageType = Message['type'];

const byType: Readonly<Record<MessageType, RegExp>> = {
  open: /^(1\/[123]|2\/[0-9]+)$/,
  update: /^3\/(1|2|9|10)$/,
  notification: /^1\/2$/,
  keepalive: /^1\/2$/,
  routeRefresh: /^7\/1$/,
};

/** Whether a message of this type with this body may be answered with "3/1" and the like. */
export function mayEndIn(words: string, type: MessageType, body: Uint8Array): boolean {
  // RFC 7606 §5.2: an UPDATE without reachable NLRI has nothing that could be treated as withdrawn, so any of its
  // errors may end the session.
  const strict = type === 'update' && !announcesAnything(body);
  return (strict ? /^3\/\d+$/ : byType[type]).test(words);
}

/** A naive look: is there anything behind the attributes, or an MP_REACH_NLRI among them? */
function announcesAnything(body: Uint8Array): boolean {
  const u16 = (at: number): number => (body[at] ?? 0) * 256 + (body[at + 1] ?? 0);
  const start = 4 + u16(0);
  const end = start + u16(start - 2);
  for (let at = start; at + 3 <= end;) {
    if (body[at + 1] === 14) return true;
    at += (body[at]! & 0x10) === 0 ? 3 + body[at + 2]! : 4 + u16(at + 2);
  }
  return end < body.length;
}
