// What the API server's answers mean: a Status object and an HTTP status become one KubeError. Pure.
import { isRecord, parseJson } from '../resources/index.ts';
import { KubeError, type KubeErrorCode } from './port.ts';

/** The error that an answer other than 2xx is. */
export function errorOf(status: number, text: string, options: { retryAfterMs?: number | undefined } = {}): KubeError {
  const said = statusObject(text);
  const message = typeof said?.['message'] === 'string' && said['message'] !== '' ? said['message'] : summary(text);
  const { retryAfterMs } = options;
  return new KubeError(codeOf(status, said?.['reason']), message === '' ? `HTTP ${status}` : message, {
    status,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** The error that an ERROR event of a watch carries. */
export function errorOfEvent(object: unknown): KubeError {
  const status = isRecord(object) ? object : {};
  const { code, reason, message } = status;
  const number = typeof code === 'number' ? code : 500;
  const text = typeof message === 'string' && message !== '' ? message : `the watch ends with an error ${number}`;
  return new KubeError(codeOf(number, reason), text, { status: number });
}

/** The names in a table of objects, or in a list of them; undefined when it is neither, or one has no name. */
export function namesIn(value: unknown): string[] | undefined {
  if (!isRecord(value)) return undefined;
  const { kind, columnDefinitions, rows, items } = value;
  const names = kind === 'Table' ? cellsOf(columnDefinitions, rows) : ofItems(items);
  return names?.every((name) => typeof name === 'string') ? names : undefined;
}

function cellsOf(columns: unknown, rows: unknown): unknown[] | undefined {
  if (!Array.isArray(columns)) return undefined;
  const index = columns.findIndex((column: unknown) => isRecord(column) && column['format'] === 'name');
  // No rows are null in Go's words.
  return listOf(rows)?.map((row) => (isRecord(row) && Array.isArray(row['cells']) ? row['cells'][index] : undefined));
}

function ofItems(items: unknown): unknown[] | undefined {
  return listOf(items)?.map((item) =>
    isRecord(item) && isRecord(item['metadata']) ? item['metadata']['name'] : undefined,
  );
}

function listOf(value: unknown): unknown[] | undefined {
  if (value === null) return [];
  return Array.isArray(value) ? value : undefined;
}

function codeOf(status: number, reason: unknown): KubeErrorCode {
  if (status === 409) return reason === 'AlreadyExists' ? 'exists' : 'conflict';
  if (status === 410 || reason === 'Expired' || reason === 'Gone') return 'gone';
  if (status === 404) return 'notFound';
  if (status === 401 || status === 403) return 'forbidden';
  if (status === 429 || status >= 500) return 'unavailable';
  return status >= 400 ? 'invalid' : 'unavailable';
}

function statusObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseJson(text);
    return isRecord(value) ? value : undefined;
  } catch {
    // A proxy in between says it in HTML, or not at all.
    return undefined;
  }
}

function summary(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? '';
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}
