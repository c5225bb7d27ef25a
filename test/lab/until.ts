// Waiting for a fact of the outside world that announces itself by no event, with a deadline and a reason.

/** Thrown by a look that can never succeed any more: waiting on would only hide why. */
export class Hopeless extends Error {
  override readonly name = 'Hopeless';
}

/** Looks every `everyMs` until `look` returns something truthy. @throws with `what` and the last error at the deadline. */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  withinMs = 10_000,
  everyMs = 20,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen;
      last = seen;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
