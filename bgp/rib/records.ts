// Records of 32-bit integers in pages: the storage beneath every table of rib/.
//
// A record is `stride` integers side by side, so that one cache line serves a lookup, and a page never moves, so that
// growing costs one small allocation and never a copy of what is there: a table of a million routes grows without a
// stall. Record 0 does not exist; 0 stands for "none" wherever an id is stored.

const pageBits = 12;
/** Records in a page. */
export const pageSize = 1 << pageBits;
const pageMask = pageSize - 1;

/** Integers by record and field. Pages come into being when they are first written; unwritten fields are 0. */
export class Column {
  readonly stride: number;
  private readonly pages: (Int32Array | undefined)[] = [];

  constructor(stride = 1) {
    this.stride = stride;
  }

  get(id: number, field = 0): number {
    const page = this.pages[id >>> pageBits];
    return page === undefined ? 0 : page[(id & pageMask) * this.stride + field]!;
  }

  set(id: number, field: number, value: number): void {
    const page = this.pages[id >>> pageBits] ?? this.grow(id >>> pageBits);
    page[(id & pageMask) * this.stride + field] = value;
  }

  add(id: number, field: number, value: number): number {
    const page = this.pages[id >>> pageBits] ?? this.grow(id >>> pageBits);
    return (page[(id & pageMask) * this.stride + field]! += value);
  }

  /**
   * The page of a record, for whoever reads or writes several of its fields: the first is at {@link start}. Only for a
   * record that has been written before.
   */
  page(id: number): Int32Array {
    return this.pages[id >>> pageBits]!;
  }

  /** The same for a record that may not have been written yet. */
  pageFor(id: number): Int32Array {
    return this.pages[id >>> pageBits] ?? this.grow(id >>> pageBits);
  }

  /** Where a record begins in its page. */
  start(id: number): number {
    return (id & pageMask) * this.stride;
  }

  private grow(index: number): Int32Array {
    while (this.pages.length < index) this.pages.push(undefined);
    return (this.pages[index] = new Int32Array(pageSize * this.stride));
  }
}

/** A column whose ids are handed out and taken back. Field 0 of a free record links to the next free one. */
export class Records extends Column {
  private firstFree = 0;
  private next = 1;
  private used = 0;

  /** How many records are in use. */
  get count(): number {
    return this.used;
  }

  /** Every id in use is below this. */
  get end(): number {
    return this.next;
  }

  /** A record with every field 0. */
  claim(): number {
    this.used++;
    const id = this.firstFree;
    if (id === 0) {
      // The page comes into being now: page() relies on that.
      this.pageFor(this.next);
      return this.next++;
    }
    this.firstFree = this.get(id, 0);
    this.set(id, 0, 0);
    return id;
  }

  free(id: number): void {
    const page = this.page(id);
    const start = this.start(id);
    for (let field = 1; field < this.stride; field++) page[start + field] = 0;
    page[start] = this.firstFree;
    this.firstFree = id;
    this.used--;
  }
}

/** A first-in first-out queue of ids whose memory follows its length. */
export class Queue {
  private readonly pages = new Column();
  private head = 0;
  private tail = 0;

  get length(): number {
    return this.tail - this.head;
  }

  push(id: number): void {
    this.pages.set(this.tail++, 0, id);
  }

  /** The oldest id. @throws nothing: the caller has looked at `length`. */
  shift(): number {
    const id = this.pages.get(this.head++);
    // Empty: start over in the pages that exist, rather than walk on into new ones.
    if (this.head === this.tail) this.head = this.tail = 0;
    return id;
  }
}
