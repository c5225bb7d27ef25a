// Whether a neighbour's paths outlive the end of its session (RFC 4724 §4.2, RFC 8538 §4).
import type { Terms } from '../message.ts';
import { type Words, ceaseCodes, errorCodes } from './cease.ts';

/**
 * @param words the NOTIFICATION that ended the session, said or heard; none when the TCP connection just went away.
 */
export function retains(terms: Terms, words: Words | undefined): boolean {
  // A capability without families only promises End-of-RIB: there is nothing to keep (RFC 4724 §3).
  if (terms.gracefulRestart === undefined || terms.gracefulRestart.families.size === 0) return false;
  if (words === undefined) return true;
  return terms.notificationRestart && !isHardReset(words);
}

function isHardReset({ code, subcode }: Words): boolean {
  return code === errorCodes.cease && subcode === ceaseCodes.hardReset;
}
