// Helm, to see that the chart renders what kubectl applies. Built once from its Go module, at a pinned version, whose
// checksum Go's own database vouches for; kept in $XDG_CACHE_HOME/manx/helm/VERSION.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { isExecutable } from '../../deploy/debian.ts';

const version = 'v3.19.5';
const home = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'manx', 'helm', version);

/** Finds Helm or builds it. What cannot be had is reported, never an error. */
export async function provideHelm(path: string): Promise<{ path: string; missing: ReadonlyMap<string, string> }> {
  if (path.split(delimiter).some((folder) => isExecutable(join(folder, 'helm')))) return { path, missing: new Map() };
  try {
    if (!isExecutable(join(home, 'helm'))) await build();
    return { path: [home, path].join(delimiter), missing: new Map() };
  } catch (error) {
    return { path, missing: new Map([['helm', `Helm ${version}: ${(error as Error).message}`]]) };
  }
}

async function build(): Promise<void> {
  console.error(`manx: building Helm ${version} from its Go module, once; kept in ${home}`);
  await mkdir(home, { recursive: true });
  const scratch = await mkdtemp(join(home, 'build-'));
  try {
    const args = ['install', '-trimpath', '-ldflags', '-s -w', `helm.sh/helm/v3/cmd/helm@${version}`];
    const env = { ...process.env, CGO_ENABLED: '0', GOBIN: scratch };
    const child = spawn('go', args, { cwd: scratch, stdio: ['ignore', 'ignore', 'inherit'], env });
    await new Promise<void>((resolve, reject) => {
      child.once('error', () => reject(new Error('it is built with Go, and there is no go command here')));
      child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`go install ended with ${code}`))));
    });
    await rename(join(scratch, 'helm'), join(home, 'helm'));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
