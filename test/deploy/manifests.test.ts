// The manifests as they are written: what in them must fit something elsewhere. Rendered and validated they are in
// test/cluster/manifests.test.ts, by kubectl, Helm and a real API server.
import { readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/config.ts';
import { version } from '../../src/version.ts';

const deploy = new URL('../../deploy/', import.meta.url).pathname;

// oxlint-disable-next-line typescript/no-explicit-any -- any field of any kind
type Manifest = any;

async function manifests(...files: string[]): Promise<Manifest[]> {
  const texts = await Promise.all(files.map((file) => readFile(join(deploy, file), 'utf8')));
  return texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS()));
}

const daemonSets = await manifests('manifests/daemonset.yaml', 'uninstall/daemonset.yaml').then((all) =>
  all.filter(({ kind }) => kind === 'DaemonSet'),
);
const [agent] = daemonSets;
const containersOf = ({ spec }: Manifest): Manifest[] => [
  ...spec.template.spec.initContainers,
  ...spec.template.spec.containers,
];
const containers = daemonSets.flatMap(containersOf);
const [config, cni] = await manifests('manifests/config.yaml');

describe('every container', () => {
  test('is of the image that is built from here', () => {
    expect(new Set(containers.map(({ image }) => image))).toEqual(new Set([`localhost/manx:${version}`]));
  });

  test('drops every capability, and adds few', () => {
    for (const { securityContext } of containers) {
      expect(securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(securityContext.privileged).toBeUndefined();
    }
    const added = containers.flatMap(({ securityContext }) => securityContext.capabilities.add ?? []);
    expect(new Set(added)).toEqual(new Set(['NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW']));
  });

  test('mounts what there is', () => {
    for (const daemonSet of daemonSets) {
      const volumes = daemonSet.spec.template.spec.volumes.map(({ name }: Manifest) => name);
      const mounted = containersOf(daemonSet).flatMap(({ volumeMounts = [] }) => volumeMounts);
      expect(new Set(mounted.map(({ name }: Manifest) => name))).toEqual(new Set(volumes));
    }
  });
});

describe('the flags', () => {
  const [manxd] = agent.spec.template.spec.containers;
  const read = readConfig([], { ...config.data, MANX_NODE: 'worker-1' }, 'host');
  const mounts: Manifest[] = manxd.volumeMounts;

  test('are all known, and read as they are meant', () => {
    // A variable that nobody reads changes nothing: each must.
    for (const [name, value] of Object.entries(config.data)) {
      const without = readConfig([], { ...config.data, MANX_NODE: 'worker-1', [name]: '' }, 'host');
      if (value !== 'info') expect(without, name).not.toEqual(read);
    }
  });

  test('name folders that are mounted', () => {
    const { config } = read as unknown as { config: Record<string, string> };
    for (const path of [
      config['conflist'],
      config['conflistFrom'],
      config['sysctls'],
      config['run'],
      config['state'],
    ]) {
      expect(
        mounts.some(({ mountPath }) => path!.startsWith(mountPath)),
        path,
      ).toBe(true);
    }
  });

  test('have the probes ask where the agent answers', () => {
    const [host, port] = config.data.MANX_HEALTH.split(':');
    for (const { httpGet } of [manxd.livenessProbe, manxd.readinessProbe]) {
      expect(httpGet).toMatchObject({ host, port: Number(port) });
    }
  });
});

test('the conflist calls Manx, and is in a version that every runtime takes', () => {
  const conflist = JSON.parse(cni.data['10-manx.conflist']) as object;
  expect(conflist).toMatchObject({ cniVersion: '1.0.0', name: 'k8s-pod-network', plugins: [{ type: 'manx' }] });
});

test('Secrets are read in one namespace only', async () => {
  const rbac = await manifests('manifests/rbac.yaml');
  const roles = rbac.filter(({ rules }) => rules?.some(({ resources }: Manifest) => resources.includes('secrets')));
  expect(roles.map(({ kind, metadata }) => [kind, metadata.namespace])).toEqual([['Role', 'manx-system']]);
});

test('no rule has a wildcard', async () => {
  const rules = (await manifests('manifests/rbac.yaml')).flatMap(({ rules: own = [] }) => own);
  expect(rules.length).toBeGreaterThan(5);
  expect(JSON.stringify(rules)).not.toContain('*');
});

describe('the chart', () => {
  test('has the kinds that kubectl apply -k has', async () => {
    const { resources } = parse(await readFile(join(deploy, 'crds/kustomization.yaml'), 'utf8'));
    const names = await readdir(join(deploy, 'helm/manx/crds'));
    expect(new Set(names)).toEqual(new Set(resources));
    for (const name of names) {
      expect(await readlink(join(deploy, 'helm/manx/crds', name))).toBe(`../../../crds/${name}`);
    }
  });

  test('is of the version that is built from here', async () => {
    const chart = parse(await readFile(join(deploy, 'helm/manx/Chart.yaml'), 'utf8'));
    expect([chart.version, chart.appVersion]).toEqual([version, version]);
  });
});
