// Facts that the rooms tell for the log: a constant message, values as fields.
import type { Log } from '../log.ts';

export type Fact = { readonly message: string; readonly [field: string]: unknown };

/** A fact that carries an error, or what could not be done and why, is a warning. */
export function noteTo(log: Log): (fact: Fact) => void {
  return ({ message, ...fields }) => {
    const isTrouble = fields['error'] !== undefined || fields['reason'] !== undefined;
    log[isTrouble ? 'warn' : 'info'](fields, message);
  };
}
