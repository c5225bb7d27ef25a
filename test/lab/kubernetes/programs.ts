// The Kubernetes of the tests: kube-apiserver, kubelet and the others, of one pinned version.
//
// They come from the folder that KUBEBUILDER_ASSETS names, as far as it has them. The rest is built once from the Go
// module in module/, where versions and checksums are pinned, into $XDG_CACHE_HOME/manx/kubernetes/VERSION. A program is
// moved there when it is complete, so a build that was killed leaves nothing half, and the next one goes on after it.
import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export const programs = [
  'kube-apiserver',
  'kubectl',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
] as const;

export interface KubernetesProvision {
  /** What PATH must be to find them. */
  readonly path: string;
  /** 'kubernetes' → why it cannot be had. */
  readonly missing: ReadonlyMap<string, string>;
}

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'manx', 'kubernetes');
const module = new URL('module/', import.meta.url).pathname;

/** The release that module/go.mod pins, like v1.34.4. */
export function pinnedVersion(): string {
  const line = /^(?:require |\t)k8s\.io\/kubernetes (v\S+)/m.exec(readFileSync(join(module, 'go.mod'), 'utf8'));
  return line![1]!;
}

/** Finds the programs or builds them. What cannot be had is reported, never an error. */
export async function provideKubernetes(path: string): Promise<KubernetesProvision> {
  const version = pinnedVersion();
  const own = join(cache, version);
  const given = process.env['KUBEBUILDER_ASSETS'];
  const folders = given === undefined ? [own] : [given, own];
  const absent = programs.filter((program) => !folders.some((folder) => isExecutable(join(folder, program))));
  try {
    if (absent.length > 0) await build(absent, version, own);
  } catch (error) {
    return { path, missing: new Map([['kubernetes', `Kubernetes ${version}: ${(error as Error).message}`]]) };
  }
  return { path: [...folders, path].join(delimiter), missing: new Map() };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function build(names: readonly string[], version: string, home: string): Promise<void> {
  console.error(
    `manx: building Kubernetes ${version} from its Go module, once: ${names.join(', ')}. ` +
      `Six minutes for all on two cores; kept in ${home}`,
  );
  await mkdir(home, { recursive: true });
  const scratch = await mkdtemp(join(home, 'build-'));
  try {
    for (const name of names) {
      const start = Date.now();
      await go([
        'build',
        '-trimpath',
        '-ldflags',
        linkerFlags(version),
        '-o',
        scratch,
        `k8s.io/kubernetes/cmd/${name}`,
      ]);
      await rename(join(scratch, name), join(home, name));
      console.error(`manx: ${name} is built, ${Math.round((Date.now() - start) / 1000)} s`);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Without the version, clients of a server take it for v0.0.0-master and complain. */
function linkerFlags(version: string): string {
  return `-s -w -X k8s.io/component-base/version.gitVersion=${version}`;
}

function go(args: readonly string[]): Promise<void> {
  const child = spawn('go', args, {
    cwd: module,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
  });
  return new Promise((resolve, reject) => {
    child.once('error', () => reject(new Error('it is built with Go, and there is no go command here')));
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`go build ended with ${code}`))));
  });
}
