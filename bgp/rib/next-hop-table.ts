// The distinct next hops of all paths as integers, each with what the kernel's side says about it: reachable, at what
// cost, through which interface. Asked once per next hop, not per path, and again when told that answers may differ.
import type { Address } from '#ip';

/** What resolving a next hop tells. */
export interface Resolution {
  readonly reachable: boolean;
  /** The IGP's cost to it; 0 when it is not known. */
  readonly cost?: number;
  /** The interface that it is on, for a next hop on a connected network. */
  readonly interface?: string;
}

export type Resolve = (nextHop: Address) => Resolution;

interface NextHop {
  readonly address: Address;
  resolution: Resolution;
  uses: number;
}

export class NextHopTable {
  private readonly resolve: Resolve;
  private readonly ids = new Map<Address, number>();
  private readonly entries: (NextHop | undefined)[] = [undefined];
  private readonly free: number[] = [];

  constructor(resolve: Resolve) {
    this.resolve = resolve;
  }

  /** The id of a next hop, held for one more user. */
  claim(address: Address): number {
    const known = this.ids.get(address);
    if (known !== undefined) {
      this.entries[known]!.uses++;
      return known;
    }
    const id = this.free.pop() ?? this.entries.length;
    this.entries[id] = { address, resolution: this.resolve(address), uses: 1 };
    this.ids.set(address, id);
    return id;
  }

  release(id: number): void {
    const entry = this.entries[id]!;
    if (--entry.uses > 0) return;
    this.ids.delete(entry.address);
    this.entries[id] = undefined;
    this.free.push(id);
  }

  /** What is known about a next hop, or what is said about one that no path has. */
  ask(address: Address): Resolution {
    const id = this.ids.get(address);
    return id === undefined ? this.resolve(address) : this.entries[id]!.resolution;
  }

  resolution(id: number): Resolution {
    return this.entries[id]!.resolution;
  }

  reachable(id: number): boolean {
    return this.entries[id]!.resolution.reachable;
  }

  cost(id: number): number {
    return this.entries[id]!.resolution.cost ?? 0;
  }

  /** Asks for all of them again. @returns those whose answer differs. */
  resolveAll(): ReadonlySet<number> {
    const changed = new Set<number>();
    for (const [id, entry] of this.entries.entries()) {
      if (entry === undefined) continue;
      const before = entry.resolution;
      entry.resolution = this.resolve(entry.address);
      if (!sameResolution(before, entry.resolution)) changed.add(id);
    }
    return changed;
  }
}

function sameResolution(a: Resolution, b: Resolution): boolean {
  return a.reachable === b.reachable && (a.cost ?? 0) === (b.cost ?? 0) && a.interface === b.interface;
}
