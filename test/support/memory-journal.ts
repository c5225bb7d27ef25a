// A journal of IPAM in memory: what write() has taken outlives whoever wrote it.
import type { JournalPort, JournalState } from '../../src/ipam/journal.ts';

export interface MemoryJournal extends JournalPort {
  state: JournalState | undefined;
  writes: number;
}

export function memoryJournal(): MemoryJournal {
  const port = {
    state: undefined as JournalState | undefined,
    writes: 0,
    read: async () => structuredClone(port.state),
    write: async (state: JournalState) => {
      port.state = structuredClone(state);
      port.writes++;
    },
  };
  return port;
}
