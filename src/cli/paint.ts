// Colour: only on a terminal, never under NO_COLOR, never the only carrier of a fact.
import { styleText } from 'node:util';

export interface Paint {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly faint: (text: string) => string;
}

/** Leaves text as it is. */
export const plain: Paint = { good: (text) => text, bad: (text) => text, faint: (text) => text };

/** styleText itself looks whether the stream is a terminal and at NO_COLOR, FORCE_COLOR and the like. */
export function paintFor(stream: NodeJS.WritableStream): Paint {
  const style = (format: 'green' | 'red' | 'dim') => (text: string) =>
    text === '' ? text : styleText(format, text, { stream, validateStream: true });
  return { good: style('green'), bad: style('red'), faint: style('dim') };
}
