// One after the other for the same name, side by side for different ones.

export class Serial {
  private readonly tails = new Map<string, Promise<unknown>>();

  /** Runs `work` when everything that was asked for earlier under this name has ended, well or badly. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(name) ?? Promise.resolve();
    const result = before.then(work);
    const tail: Promise<void> = result.then(
      () => this.forget(name, tail),
      () => this.forget(name, tail), // the caller has the error; whoever comes next does not care
    );
    this.tails.set(name, tail);
    return result;
  }

  /** Whether something under this name runs or waits. */
  isBusy(name: string): boolean {
    return this.tails.has(name);
  }

  private forget(name: string, tail: Promise<unknown>): void {
    if (this.tails.get(name) === tail) this.tails.delete(name);
  }
}
