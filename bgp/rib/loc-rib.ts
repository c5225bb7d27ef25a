// Loc-RIB: which path is best for each prefix. Changes only mark prefixes; they are decided on once per turn, however
// often they changed in between.
import { type View, decide, isEligible } from './decision.ts';
import { pathField, pathFlag, prefixFlag } from './path-table.ts';
import { type PrefixTable, prefixField } from './prefix-table.ts';
import { Queue } from './records.ts';

/** What a decision changed. */
export const decided = {
  nothing: 0,
  /** Another best path, or the same with other attributes: what peers are told. */
  best: 1,
  /** Some of the chosen paths: what the forwarding table holds. A changed best path is always one, too. */
  selection: 2,
} as const;

export class LocRib {
  private readonly prefixes: PrefixTable;
  private readonly view: View;
  private readonly dirty = new Queue();
  private candidates = new Int32Array(16);
  private withBest = 0;
  /** Outcomes of the decision under way. */
  private selectionChanged = false;
  private bestChanged = false;
  multipath = 1;

  constructor(prefixes: PrefixTable, view: View) {
    this.prefixes = prefixes;
    this.view = view;
  }

  /** Prefixes with a best path. */
  get count(): number {
    return this.withBest;
  }

  /** Prefixes that wait to be decided on. */
  get pending(): number {
    return this.dirty.length;
  }

  /** Has the prefix decided on in the next flush. */
  mark(prefix: number): void {
    const flags = this.prefixes.get(prefix, prefixField.flags);
    if ((flags & prefixFlag.dirty) !== 0) return;
    this.prefixes.set(prefix, prefixField.flags, flags | prefixFlag.dirty);
    this.prefixes.retain(prefix);
    this.dirty.push(prefix);
  }

  /** Takes the oldest marked prefix, which the caller decides on and then releases. */
  take(): number {
    return this.dirty.shift();
  }

  /** Chooses among the paths for a prefix. @returns what that changed, of {@link decided}. */
  decide(prefix: number): number {
    const page = this.prefixes.page(prefix);
    const start = this.prefixes.start(prefix);
    const flags = page[start + prefixField.flags]!;
    const before = page[start + prefixField.best]!;
    this.selectionChanged = (flags & prefixFlag.lost) !== 0;
    this.bestChanged = false;
    const first = page[start + prefixField.firstPath]!;
    const best = first !== 0 && this.isSingle(first) ? this.chooseSingle(first) : this.chooseAmong(first);
    page[start + prefixField.flags] = flags & prefixFlag.reported;
    page[start + prefixField.best] = best;
    const hadBest = before !== 0 || (flags & prefixFlag.bestLost) !== 0;
    this.withBest += (best === 0 ? 0 : 1) - (hadBest ? 1 : 0);
    if (this.bestChanged || best !== before || (flags & prefixFlag.bestLost) !== 0)
      return decided.best | decided.selection;
    return this.selectionChanged ? decided.selection : decided.nothing;
  }

  /** The chosen paths of a prefix, the best first. */
  selected(prefix: number): number[] {
    const best = this.prefixes.get(prefix, prefixField.best);
    if (best === 0) return [];
    const others: number[] = [];
    for (const path of this.pathsOf(prefix)) {
      if (path !== best && this.view.paths.hasFlag(path, pathFlag.selected)) others.push(path);
    }
    return [best, ...others];
  }

  *pathsOf(prefix: number): Generator<number> {
    const { paths } = this.view;
    for (let path = this.prefixes.get(prefix, prefixField.firstPath); path !== 0;) {
      yield path;
      path = paths.get(path, pathField.next);
    }
  }

  private isSingle(path: number): boolean {
    return this.view.paths.get(path, pathField.next) === 0;
  }

  private chooseSingle(path: number): number {
    const best = isEligible(this.view, path) ? path : 0;
    this.settle(path, best);
    return best;
  }

  private chooseAmong(first: number): number {
    const { paths } = this.view;
    let count = 0;
    for (let path = first; path !== 0; path = paths.get(path, pathField.next)) {
      if (isEligible(this.view, path)) this.setCandidate(count++, path);
      else this.settle(path, 0);
    }
    const wanted = decide(this.view, this.candidates, count, this.multipath);
    const best = wanted === 0 ? 0 : this.candidates[0]!;
    for (let i = 0; i < count; i++) this.settle(this.candidates[i]!, best, i < wanted);
    return best;
  }

  private setCandidate(index: number, path: number): void {
    if (index === this.candidates.length) {
      const larger = new Int32Array(index * 2);
      larger.set(this.candidates);
      this.candidates = larger;
    }
    this.candidates[index] = path;
  }

  /** Writes the outcome into a path's flags, and notes whether it differs from the last one. */
  private settle(path: number, best: number, chosen = path === best): void {
    const { paths } = this.view;
    const flags = paths.get(path, pathField.flags);
    const changed = (flags & pathFlag.changed) !== 0;
    if (changed && path === best) this.bestChanged = true;
    if (chosen !== ((flags & pathFlag.selected) !== 0) || (chosen && changed)) this.selectionChanged = true;
    const rest = flags & ~(pathFlag.selected | pathFlag.changed);
    paths.set(path, pathField.flags, chosen ? rest | pathFlag.selected : rest);
  }
}
