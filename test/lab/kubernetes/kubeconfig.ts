// What a client of the API server needs to know, as a file that kubectl and every client library read.
import { writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';

export interface Access {
  readonly server: string;
  readonly certificateFile: string;
  readonly token: string;
}

/** Writes a kubeconfig and gives its path back. */
export async function writeKubeconfig(file: string, { server, certificateFile, token }: Access): Promise<string> {
  const text = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': certificateFile } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
  await writeFile(file, text);
  return file;
}
