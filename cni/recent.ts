// The newest names of many: what is forgotten is only looked up the long way.

export class Recent {
  private readonly most: number;
  /** In order of their coming. */
  private readonly names = new Set<string>();

  constructor(most: number) {
    this.most = most;
  }

  add(name: string): void {
    this.names.delete(name);
    this.names.add(name);
    if (this.names.size > this.most) this.names.delete(this.names.values().next().value!);
  }

  delete(name: string): void {
    this.names.delete(name);
  }

  has(name: string): boolean {
    return this.names.has(name);
  }
}
