// Builds the image without Docker:
//
//   node deploy/image/build.ts [--out DIR] [--version VERSION] [--reference NAME:TAG] [--no-gzip]
//
//   manx.oci.tar   for `ctr -n k8s.io images import`, `podman load`, `skopeo copy oci-archive:…`
//   rootfs.tar, Dockerfile   the same for `docker build DIR`
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root, versionOf } from '../bundle.ts';
import { assemble } from './contents.ts';
import { type ImageConfig, dockerfile, ociArchive } from './oci.ts';
import { tar } from './tar.ts';

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist/image') },
    // Of what is built, else as in package.json.
    version: { type: 'string' },
    reference: { type: 'string' },
    // For tests on this machine: half a minute of one processor against 80 MB.
    'no-gzip': { type: 'boolean', default: false },
  },
});
const out = resolve(values.out);
const version = values.version ?? (await versionOf());
const { entries, runtime } = await assemble(version);
const config: ImageConfig = {
  reference: values.reference ?? `localhost/manx:${version}`,
  entrypoint: ['/usr/bin/manxd'],
  environment: { PATH: '/usr/bin:/usr/sbin' },
  labels: {
    'org.opencontainers.image.title': 'manx',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.projectmanx.runtime': runtime,
  },
};
const layer = tar(entries);
const { archive, digest, layerBytes } = ociArchive(config, layer, { compress: !values['no-gzip'] });
await mkdir(out, { recursive: true });
await writeFile(join(out, 'rootfs.tar'), layer);
await writeFile(join(out, 'Dockerfile'), dockerfile(config));
await writeFile(join(out, 'manx.oci.tar'), archive);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const unpacked = layer.reduce((sum, piece) => sum + piece.length, 0);
console.log(`${config.reference} ${digest}`);
console.log(`${megabytes(unpacked)} unpacked, ${megabytes(layerBytes)} as a layer: ${join(out, 'manx.oci.tar')}`);
