// Runs processes step by step in an order that a chooser decides, and finds all orders with few switches.

/** What can happen next. */
export interface Options {
  /** Processes that wait for their turn. */
  readonly ready: readonly number[];
  /** Whose step was the last. */
  readonly last: number | undefined;
}

/** The next process to make a step; or one that is killed instead of making it; or the end for all. */
export type Choice = { readonly step: number } | { readonly kill: number } | 'stop';

export type Process = (turn: () => Promise<void>) => Promise<void>;

/** Runs until nobody is left or the chooser stops; a process that is killed just never gets its turn again. */
export async function runSchedule(
  processes: readonly Process[],
  choose: (options: Options) => Choice,
): Promise<'done' | 'stopped'> {
  const waiting = new Map<number, () => void>();
  let parked = Promise.withResolvers<void>();
  const failures: unknown[] = [];
  for (const [id, process] of processes.entries()) {
    const turn = (): Promise<void> =>
      new Promise((go) => {
        waiting.set(id, go);
        parked.resolve();
      });
    parked = Promise.withResolvers();
    process(turn)
      .catch((error: unknown) => failures.push(error))
      .finally(() => parked.resolve());
    await parked.promise;
  }
  let last: number | undefined;
  while (waiting.size > 0 && failures.length === 0) {
    const choice = choose({ ready: [...waiting.keys()].sort((a, b) => a - b), last });
    if (choice === 'stop') return 'stopped';
    if ('kill' in choice) {
      waiting.delete(choice.kill);
      continue;
    }
    const go = waiting.get(choice.step)!;
    waiting.delete(choice.step);
    last = choice.step;
    parked = Promise.withResolvers();
    go();
    await parked.promise;
  }
  for (const failure of failures) throw failure;
  return 'done';
}

/**
 * Every order in which at most `switches` times a process is interrupted by another, and at most `kills` processes are
 * killed: calls `run` with a chooser for each of them. Gives how many there were.
 */
export async function everySchedule(
  limits: { readonly switches: number; readonly kills: number },
  run: (choose: (options: Options) => Choice) => Promise<void>,
): Promise<number> {
  let path: { taken: number; of: number }[] = [];
  for (let count = 1; ; count++) {
    let depth = 0;
    let { switches, kills } = limits;
    const replay = path;
    const trace: { taken: number; of: number }[] = [];
    await run(({ ready, last }) => {
      const goesOn = last !== undefined && ready.includes(last);
      const choices: Choice[] = goesOn ? [{ step: last }] : ready.map((id) => ({ step: id }));
      if (goesOn && switches > 0) for (const id of ready) if (id !== last) choices.push({ step: id });
      if (goesOn && kills > 0 && ready.length > 1) choices.push({ kill: last });
      const taken = replay[depth++]?.taken ?? 0;
      trace.push({ taken, of: choices.length });
      const choice = choices[taken]!;
      if (choice !== 'stop' && 'kill' in choice) kills--;
      else if (goesOn && taken > 0) switches--;
      return choice;
    });
    while (trace.length > 0 && trace.at(-1)!.taken + 1 >= trace.at(-1)!.of) trace.pop();
    if (trace.length === 0) return count;
    trace.at(-1)!.taken++;
    path = trace;
  }
}
