// The files behind -f: YAML or JSON, a folder of it, or standard input.
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { AnyResource } from '../documents.ts';
import { readText } from '../resources/index.ts';
import type { Problem } from '../store/port.ts';
import { CliError } from './exit.ts';

export interface ReadFiles {
  readonly resources: readonly AnyResource[];
  readonly problems: readonly Problem[];
}

/** Every resource of every file in order, and everything that is wrong. @throws CliError for a file that is not there */
export async function readFiles(names: readonly string[]): Promise<ReadFiles> {
  const files = (await Promise.all(names.map(filesOf))).flat();
  const read = await Promise.all(
    files.map(async (file) => readText(await contentOf(file), file === '-' ? 'standard input' : file)),
  );
  return {
    resources: read.flatMap(({ written }) => written.flatMap(({ resource }) => resource ?? [])),
    problems: read.flatMap(({ problems }) => problems),
  };
}

async function filesOf(name: string): Promise<string[]> {
  if (name === '-') return [name];
  try {
    if (!(await stat(name)).isDirectory()) return [name];
    const inside = (await readdir(name)).filter((file) => /\.(ya?ml|json)$/.test(file)).sort();
    return inside.map((file) => join(name, file));
  } catch (error) {
    throw unreadable(name, error);
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(name: string, cause: unknown): CliError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new CliError('usage', [`${name} cannot be read: ${code === 'ENOENT' ? 'no such file' : message}`]);
}
