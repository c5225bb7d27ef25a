// An OCI image of one layer, as the archive that `ctr images import`, `podman load` and `skopeo` take (OCI image spec 1.1:
// image-layout, config, manifest). The reference stands in annotations: containerd's own, and the layout's.
import { gzipSync } from 'node:zlib';
import { sha256, tar } from './tar.ts';

export interface ImageConfig {
  readonly reference: string;
  readonly entrypoint: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

const mediaType = (kind: string): string => `application/vnd.oci.image.${kind}`;
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The archive in pieces, and the digest of its manifest, which is the image's. */
export function ociArchive(
  config: ImageConfig,
  layer: readonly Uint8Array[],
  { compress = true }: { compress?: boolean } = {},
): { archive: Uint8Array[]; digest: string; layerBytes: number } {
  const plain = Buffer.concat(layer);
  // Node writes no time and no name into the gzip header.
  const blob = compress ? gzipSync(plain) : plain;
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const image = json(imageJson(config, sha256(layer)));
  const manifest = json({
    schemaVersion: 2,
    mediaType: mediaType('manifest.v1+json'),
    config: descriptor('config.v1+json', image),
    layers: [descriptor(compress ? 'layer.v1.tar+gzip' : 'layer.v1.tar', blob)],
  });
  const annotations = {
    'io.containerd.image.name': config.reference,
    'org.opencontainers.image.ref.name': config.reference.split(':').at(-1),
  };
  const index = json({
    schemaVersion: 2,
    mediaType: mediaType('index.v1+json'),
    manifests: [{ ...descriptor('manifest.v1+json', manifest), annotations }],
  });
  const file = (path: string, content: Uint8Array) => ({ path, kind: 'file' as const, mode: 0o644, content });
  const archive = tar([
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', index),
    ...[image, manifest, blob].map((content) => file(`blobs/sha256/${sha256([content])}`, content)),
  ]);
  return { archive, digest: `sha256:${sha256([manifest])}`, layerBytes: blob.length };
}

function imageJson({ entrypoint, environment, labels }: ImageConfig, diffId: string): object {
  const created = '1970-01-01T00:00:00Z';
  return {
    created,
    architecture: architectures[process.arch],
    os: 'linux',
    config: {
      Entrypoint: entrypoint,
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      WorkingDir: '/',
      Labels: labels,
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
    history: [{ created, created_by: 'deploy/image' }],
  };
}

function descriptor(kind: string, content: Uint8Array): object {
  return { mediaType: mediaType(kind), digest: `sha256:${sha256([content])}`, size: content.length };
}

/** The same image for those who build with Docker or podman: beside rootfs.tar. */
export function dockerfile({ entrypoint, environment, labels }: ImageConfig): string {
  const pairs = (record: Readonly<Record<string, string>>): string =>
    Object.entries(record)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      .join(' ');
  return [
    'FROM scratch',
    'ADD rootfs.tar /',
    `ENV ${pairs(environment)}`,
    `LABEL ${pairs(labels)}`,
    `ENTRYPOINT ${JSON.stringify(entrypoint)}`,
    '',
  ].join('\n');
}
