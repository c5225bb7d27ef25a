// Passwords of sessions: files in the configuration folder, read with every look, or Secrets, followed while anybody asks
// for them. What cannot be had comes with the reason, and then there is no session: never one without.
import type { ClusterView } from '../desired/index.ts';
import type { SecretReference } from '../resources/types.ts';
import { type PasswordReading, readPassword } from '../store/password-file.ts';

export type Passwords = (where: { readonly file: string } | SecretReference) => PasswordReading;

/** Reads every file that the configuration names; Secrets are asked for when they are needed. */
export async function readPasswords(
  folder: string,
  { peerOptions }: ClusterView,
  secret: (reference: SecretReference) => PasswordReading = withoutSecrets,
): Promise<Passwords> {
  const files = [...new Set(peerOptions.flatMap(({ spec }) => spec.passwordFile ?? []))];
  const readings = await Promise.all(files.map(async (file) => [file, await readPassword(folder, file)] as const));
  const known = new Map<string, PasswordReading>(readings);
  return (where) =>
    'file' in where ? (known.get(where.file) ?? { problem: `${where.file} has not been read` }) : secret(where);
}

function withoutSecrets({ secretKeyRef: { name, key } }: SecretReference): PasswordReading {
  const remedy = 'put it into a file and name that in PeerOptions passwordFile';
  return { problem: `Secret ${name}, key ${key}: without Kubernetes there are no Secrets; ${remedy}` };
}
