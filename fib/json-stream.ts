// Reading `ip -j`'s answer while it arrives: one array of objects, which for a big table is megabytes on a single line.
// Parsed at once it would hold the event loop for a tenth of a second per 100,000 routes.
import { FibError, wordsOf } from './error.ts';

const [QUOTE, COMMA, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [34, 44, 92, 91, 93, 123, 125];

/** Takes the text of one JSON array after the other, cut anywhere, and gives out its elements as soon as they are whole. */
export class ArrayReader {
  /** What was not given out yet, the separator before it included. */
  private text = '';
  /** How far `text` has been scanned, and what is open there. */
  private position = 0;
  private depth = 0;
  private inString = false;

  /**
   * @returns the objects that became whole, and whether the array that they belong to has ended.
   * @throws FibError for what is no array of objects.
   */
  push(chunk: string): { readonly objects: readonly unknown[]; readonly ended: boolean } {
    this.text += chunk;
    const { end, ended } = this.scan();
    const objects = end === 0 ? [] : parse(this.text.slice(0, end));
    const given = ended ? this.position : end;
    this.text = this.text.slice(given);
    this.position -= given;
    return { objects, ended };
  }

  /** Goes on to the end of the text or of the array. `end`: behind the last whole element. */
  private scan(): { end: number; ended: boolean } {
    const { text } = this;
    let { position, depth, inString } = this;
    let end = 0;
    let ended = false;
    // Character codes in local variables: some nanoseconds a character.
    for (; position < text.length && !ended; position++) {
      const code = text.charCodeAt(position);
      if (inString) {
        if (code === BACKSLASH) position++;
        else if (code === QUOTE) inString = false;
        continue;
      }
      if (depth < 2 && !isAllowed(code, depth)) throw strange(text);
      if (code === QUOTE) inString = true;
      else if (code === OPEN_OBJECT || code === OPEN_ARRAY) depth++;
      else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
        depth--;
        if (depth === 1) end = position + 1;
        ended = depth === 0;
      }
    }
    Object.assign(this, { position, depth, inString });
    return { end, ended };
  }
}

/** Outside of the objects: white space, the array's own brackets, objects and what is between them. */
function isAllowed(code: number, depth: number): boolean {
  if (code <= 32) return true;
  return depth === 0 ? code === OPEN_ARRAY : code === OPEN_OBJECT || code === COMMA || code === CLOSE_ARRAY;
}

function parse(text: string): readonly unknown[] {
  try {
    return JSON.parse(`[${text.replace(/^[\s,[]+/, '')}]`) as unknown[];
  } catch (error) {
    throw strange(text, error);
  }
}

function strange(text: string, cause?: unknown): FibError {
  const why = cause === undefined ? '' : ` (${wordsOf(cause)})`;
  return new FibError('ip-output', `ip -j printed what is no list of objects${why}: ${text.trim().slice(0, 120)}`, {
    cause,
  });
}
