// A watch is a stream of JSON objects, one a line: bytes in, whole lines out. Pure.
//
// Chunks end anywhere, inside a character too: bytes are put together first and decoded after.

/** A line longer than this is no API object: etcd takes 1.5 MB. */
export const LONGEST_LINE = 32 << 20;

export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

export class LineFramer {
  private readonly longest: number;
  private readonly decoder = new TextDecoder('utf-8', { fatal: true });
  /** What came after the last line's end. */
  private pieces: Uint8Array[] = [];
  private waiting = 0;

  constructor(longest = LONGEST_LINE) {
    this.longest = longest;
  }

  /** The lines that end in this chunk; empty ones are nobody's. @throws LineTooLong, TypeError for what is no UTF-8 */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      this.keep(chunk.subarray(from, end));
      const line = this.take();
      if (line.trim() !== '') lines.push(line);
      from = end + 1;
    }
    this.keep(chunk.subarray(from));
    return lines;
  }

  /** Whether a line was cut short. */
  get isInside(): boolean {
    return this.waiting > 0;
  }

  private keep(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.waiting += piece.length;
    if (this.waiting > this.longest) throw new LineTooLong(`a line of more than ${this.longest} bytes`);
    this.pieces.push(piece);
  }

  private take(): string {
    const [first] = this.pieces;
    const bytes = first !== undefined && this.pieces.length === 1 ? first : Buffer.concat(this.pieces);
    this.pieces = [];
    this.waiting = 0;
    return this.decoder.decode(bytes);
  }
}
