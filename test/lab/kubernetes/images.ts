// The two images of the lab: what holds a pod's namespaces, and a pod that answers HTTP with its client's address.
import { readFile, writeFile } from 'node:fs/promises';
import { ociArchive } from '../../../deploy/image/oci.ts';
import { tar } from '../../../deploy/image/tar.ts';

export interface Image {
  /** What pods call it by. */
  readonly reference: string;
  /** For `ctr images import`. */
  readonly archive: string;
}

const whoami = `#!/bin/busybox sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s' "$REMOTE_ADDR" "$HOSTNAME"
`;

/** Packs both around this statically linked busybox. */
export async function packLabImages(folder: string, busybox: string): Promise<{ pause: Image; echo: Image }> {
  const layer = tar([
    { path: 'bin/busybox', kind: 'file', mode: 0o755, content: await readFile(busybox) },
    { path: 'www/cgi-bin/whoami', kind: 'file', mode: 0o755, content: Buffer.from(whoami) },
    ...['dev', 'etc', 'proc', 'sys', 'tmp'].map((path) => ({ path, kind: 'folder' as const, mode: 0o755 })),
  ]);
  const pack = async (name: string, entrypoint: readonly string[]): Promise<Image> => {
    const reference = `manx.test/${name}:1`;
    const { archive } = ociArchive({ reference, entrypoint, environment: {}, labels: {} }, layer, { compress: false });
    await writeFile(`${folder}/${name}.tar`, archive);
    return { reference, archive: `${folder}/${name}.tar` };
  };
  return {
    pause: await pack('pause', ['/bin/busybox', 'sleep', '1000000000']),
    // The port alone, without an address: it then listens for both families.
    echo: await pack('echo', ['/bin/busybox', 'httpd', '-f', '-p', '8080', '-h', '/www']),
  };
}
