// The version of this build. A bundle has it written in (deploy/build.ts); from sources it stands in package.json.
import { readFileSync } from 'node:fs';

declare const MANX_VERSION: string;

export const version: string = typeof MANX_VERSION === 'string' ? MANX_VERSION : readVersion();

function readVersion(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
