// Two table layouts: plain columns, as everywhere in manxctl, and calicoctl's box, where its users expect one. Pure.

/** A cell is text, or text with a colour that carries nothing alone. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

export interface Column<Row> {
  readonly head: string;
  /** Numbers stand right, words left. */
  readonly align?: 'left' | 'right';
  readonly cell: (row: Row) => Cell;
}

/** What stands where there is nothing to count or say. */
export const NOTHING = '–';

/** Columns under upper-case heads, `gap` blanks apart, without trailing blanks. No rows: the heads alone. */
export function table<Row>(columns: readonly Column<Row>[], rows: Iterable<Row>, gap = 2): string[] {
  const lines = [
    columns.map(({ head }): Cell => head),
    ...[...rows].map((row) => columns.map(({ cell }) => cell(row))),
  ];
  const widths = columns.map((_, i) => Math.max(...lines.map((cells) => textOf(cells[i]!).length)));
  return lines.map((cells) => {
    const padded = cells.map((cell, i) => pad(cell, widths[i]!, columns[i]!.align ?? 'left'));
    const last = cells.findLastIndex((cell) => textOf(cell) !== '');
    return padded
      .slice(0, last + 1)
      .join(' '.repeat(gap))
      .trimEnd();
  });
}

/** The same with rules around, as calicoctl draws them. */
export function box<Row>(columns: readonly Column<Row>[], rows: Iterable<Row>): string[] {
  const body = [...rows].map((row) => columns.map(({ cell }) => cell(row)));
  const widths = columns.map(({ head }, i) => Math.max(head.length, ...body.map((cells) => textOf(cells[i]!).length)));
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    rule,
    line(columns.map(({ head }, i) => pad(head, widths[i]!, 'left'))),
    rule,
    ...body.map((cells) => line(cells.map((cell, i) => pad(cell, widths[i]!, columns[i]!.align ?? 'left')))),
    rule,
  ];
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text;
}

function pad(cell: Cell, width: number, align: 'left' | 'right'): string {
  const text = textOf(cell);
  const blanks = ' '.repeat(width - text.length);
  const painted = typeof cell === 'string' ? text : cell.paint(text);
  return align === 'right' ? blanks + painted : painted + blanks;
}
