// The agent's log: JSON lines on standard output, one constant message each, values as fields.
import { type Logger, pino } from 'pino';
import type { LogLevel } from './config.ts';

export type Log = Logger;

/** What may stand unwritten while nobody reads standard output; lines beyond that are dropped, the agent goes on. */
const MOST_BYTES_WAITING = 8 << 20;

/**
 * Writing never waits: a stuck log reader must not cost a keepalive.
 * @param flush writes out what is waiting, for the last words of a process
 */
export function createLog(options: { readonly level: LogLevel; readonly node: string }): {
  log: Log;
  readonly flush: () => void;
} {
  const destination = pino.destination({ fd: 1, sync: false, maxLength: MOST_BYTES_WAITING });
  // Standard output is closed: there is no place left to complain to, and routing goes on without it.
  destination.on('error', () => undefined);
  const log = pino(
    {
      level: options.level,
      base: { node: options.node },
      messageKey: 'message',
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return { log, flush: () => flushNow(destination) };
}

function flushNow(destination: { flushSync(): void }): void {
  try {
    destination.flushSync();
  } catch {
    // Not open yet, or closed: nothing can be written, and this is the last thing that the process does.
  }
}
