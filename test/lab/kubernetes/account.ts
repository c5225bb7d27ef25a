// The account of a pod as its kubelet lays it out: the token, the server's authority and the namespace in a folder that is
// replaced as a whole, by renaming one link. Clients look in /var/run/secrets; the lab's /run is its own.
import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import type { ApiServer } from './api-server.ts';

const folder = '/run/secrets/kubernetes.io/serviceaccount';
let serial = 0;

/** Whoever starts from now on is in a pod with this account; who runs already finds another token. */
export async function layAccount(server: ApiServer, namespace: string, token: string): Promise<void> {
  const version = `..${++serial}`;
  await mkdir(`${folder}/${version}`, { recursive: true });
  await copyFile(server.certificateFile, `${folder}/${version}/ca.crt`);
  await writeFile(`${folder}/${version}/namespace`, namespace);
  await writeFile(`${folder}/${version}/token`, token);
  await symlink(version, `${folder}/..data_tmp`);
  await rename(`${folder}/..data_tmp`, `${folder}/..data`);
  for (const name of ['ca.crt', 'namespace', 'token']) {
    await symlink(`..data/${name}`, `${folder}/${name}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
