// Passwords of sessions: files in the configuration folder, read with every look and never shown. What cannot be had is
// missing here, and then there is no session: never one without. A Secret is Kubernetes'; beside a folder there is none.
import type { ClusterView } from '../desired/index.ts';
import type { SecretReference } from '../resources/types.ts';
import { readPassword } from '../store/password-file.ts';

export type Passwords = (where: { readonly file: string } | SecretReference) => string | undefined;

/** Reads every file that the configuration names. */
export async function readPasswords(
  folder: string,
  { peerOptions }: ClusterView,
): Promise<{ readonly password: Passwords; readonly problems: readonly string[] }> {
  const files = [...new Set(peerOptions.flatMap(({ spec }) => spec.passwordFile ?? []))];
  const readings = await Promise.all(files.map(async (file) => [file, await readPassword(folder, file)] as const));
  const known = new Map(
    readings.flatMap(([file, reading]) => ('password' in reading ? [[file, reading.password]] : [])),
  );
  return {
    password: (where) => ('file' in where ? known.get(where.file) : undefined),
    problems: readings.flatMap(([, reading]) => ('problem' in reading ? [reading.problem] : [])),
  };
}
