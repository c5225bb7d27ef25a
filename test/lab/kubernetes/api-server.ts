// A real API server for tests: kube-apiserver over an etcd of its own, ready in about three seconds.
//
// Without a host it listens on a loopback address that is this process's alone, so test files can run side by side. It
// has no controllers: nothing is garbage collected, namespaces do not go away, and pods are accepted without a service
// account. For these there is cluster.ts.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { readFileSync } from 'node:fs';
import { type Host, type Outcome, type RunOptions, run } from '../host.ts';
import { Hopeless, until } from '../until.ts';
import { makeCertificate } from './certificate.ts';
import { Daemon } from './daemon.ts';
import { writeKubeconfig } from './kubeconfig.ts';

export interface ApiServerOptions {
  /** Where to run, and at which addresses of it to be reached. */
  readonly host?: { readonly host: Host; readonly addresses: readonly [string, ...string[]] };
  /** Who may log in with a token besides `admin`: user → groups. Ask {@link ApiServer.kubeconfigFor} for the rest. */
  readonly users?: Readonly<Record<string, readonly string[]>>;
  /** Controllers will run beside it: pods then need their service account. */
  readonly controllers?: boolean;
  /** More flags for kube-apiserver. */
  readonly flags?: readonly string[];
}

export interface ApiServer extends AsyncDisposable {
  /** https://ADDRESS:6443 */
  readonly url: string;
  readonly address: string;
  readonly port: number;
  /** The file with the authority that the server's certificate fits. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Signs the tokens of service accounts. */
  readonly serviceAccountKeyFile: string;
  /** Of the user admin, who may do everything. */
  readonly kubeconfig: string;
  readonly adminToken: string;
  /** A kubeconfig with the token of this user, for `server` if not this one (a proxy before it). */
  kubeconfigFor(user: string, server?: string): Promise<string>;
  /** A token of a service account that exists, as a pod would get it. */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** Runs kubectl as admin. @throws when it fails, unless mayFail. */
  kubectl(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** kubectl apply of these objects, by the server, so that an object may be there already. */
  apply(...objects: readonly object[]): Promise<void>;
  /** Stops the server alone; etcd keeps what it has. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
  readonly etcd: {
    stop(signal?: NodeJS.Signals): Promise<void>;
    start(): Promise<void>;
    /** Forgets all old versions: whoever wants to go on from one of them is told 410 (after a restart of the server,
     * which has the last ones in its memory too). */
    compact(): Promise<void>;
  };
}

const port = 6443;
let serial = 0;

/** Starts both and resolves when the server says that it is ready. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  // The lab's /run is memory and goes with the run, however it ends.
  await mkdir('/run/lab', { recursive: true });
  const folder = await mkdtemp('/run/lab/kubernetes-');
  const server = new RunningApiServer(folder, options);
  try {
    await server.begin();
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return server;
}

class RunningApiServer implements ApiServer {
  readonly url: string;
  readonly address: string;
  readonly port = port;
  readonly adminToken = newToken();
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly serviceAccountKeyFile: string;
  readonly kubeconfig: string;
  private readonly folder: string;
  private readonly addresses: readonly string[];
  private readonly host: Host | undefined;
  private readonly tokens = new Map<string, string>();
  private readonly users: Readonly<Record<string, readonly string[]>>;
  private readonly server: Daemon;
  private readonly database: Daemon;
  private readonly etcdUrl: string;

  constructor(folder: string, { host, users = {}, controllers = false, flags = [] }: ApiServerOptions) {
    this.folder = folder;
    this.host = host?.host;
    this.users = { admin: ['system:masters'], ...users };
    this.addresses = host?.addresses ?? [loopbackAddress()];
    this.address = this.addresses[0]!;
    this.url = `https://${this.address.includes(':') ? `[${this.address}]` : this.address}:${port}`;
    this.certificateFile = `${folder}/tls.crt`;
    this.keyFile = `${folder}/tls.key`;
    this.serviceAccountKeyFile = `${folder}/service-accounts.key`;
    this.kubeconfig = `${folder}/admin.kubeconfig`;
    const inside = host === undefined ? this.address : '127.0.0.1';
    this.etcdUrl = `http://${inside}:2379`;
    this.database = new Daemon(folder, etcdCommand(folder, inside), this.host);
    this.server = new Daemon(
      folder,
      this.serverCommand([...(controllers ? [] : ['--disable-admission-plugins', 'ServiceAccount']), ...flags]),
      this.host,
    );
    for (const user of Object.keys(this.users)) this.tokens.set(user, user === 'admin' ? this.adminToken : newToken());
  }

  async begin(): Promise<void> {
    await Promise.all([this.database.start(), this.writeFiles()]);
    await this.start();
  }

  async start(): Promise<void> {
    await this.server.start();
    await this.answers();
  }

  async stop(signal?: NodeJS.Signals): Promise<void> {
    await this.server.stop(signal);
  }

  readonly etcd = {
    stop: (signal?: NodeJS.Signals): Promise<void> => this.database.stop(signal),
    start: (): Promise<void> => this.database.start(),
    compact: async (): Promise<void> => {
      const range = { key: Buffer.from('/').toString('base64') };
      const { header } = (await this.askEtcd('range', range)) as { header: { revision: string } };
      await this.askEtcd('compaction', { revision: header.revision, physical: true });
    },
  };

  async kubeconfigFor(user: string, server = this.url): Promise<string> {
    const token = this.tokens.get(user);
    if (token === undefined) throw new Error(`startApiServer was not told of a user ${user}`);
    const file = `${this.folder}/${serial++}.kubeconfig`;
    return writeKubeconfig(file, { server, certificateFile: this.certificateFile, token });
  }

  async serviceAccountToken(namespace: string, name: string): Promise<string> {
    return (await this.kubectl(['create', 'token', '-n', namespace, name])).stdout.trim();
  }

  kubectl(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    // Its cache of what the server can do is of no use here, where each server is new, and would go to $HOME.
    const own = ['--kubeconfig', this.kubeconfig, '--cache-dir', `${this.folder}/kubectl`];
    return (this.host ?? { run }).run('kubectl', [...own, ...args], options);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await this.kubectl(['apply', '--server-side', '-f', '-'], { input });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await this.database.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  private async writeFiles(): Promise<void> {
    const names = ['localhost', 'kubernetes.default.svc', '127.0.0.1', '10.96.0.1', ...this.addresses];
    const lines = Object.entries(this.users).map(
      ([user, groups], index) => `${this.tokens.get(user)!},${user},${index + 1},"${groups.join()}"\n`,
    );
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(this.serviceAccountKeyFile, privateKey.export({ type: 'pkcs1', format: 'pem' }));
    await writeFile(`${this.folder}/tokens.csv`, lines.join(''));
    await makeCertificate(this.folder, names);
    const access = { server: this.url, certificateFile: this.certificateFile, token: this.adminToken };
    await writeKubeconfig(this.kubeconfig, access);
  }

  private serverCommand(flags: readonly string[]): readonly [string, ...string[]] {
    return [
      'kube-apiserver',
      ...[
        '--etcd-servers',
        this.etcdUrl,
        '--secure-port',
        String(port),
        '--bind-address',
        this.host ? '::' : this.address,
      ],
      ...['--advertise-address', this.address, '--service-cluster-ip-range', '10.96.0.0/16,fd96::/108'],
      ...['--tls-cert-file', this.certificateFile, '--tls-private-key-file', this.keyFile],
      ...[
        '--authorization-mode',
        'Node,RBAC',
        '--enable-admission-plugins',
        'NodeRestriction',
        '--token-auth-file',
        `${this.folder}/tokens.csv`,
      ],
      ...['--service-account-issuer', 'https://kubernetes.default.svc'],
      ...['--service-account-key-file', this.serviceAccountKeyFile],
      ...['--service-account-signing-key-file', this.serviceAccountKeyFile],
      ...['--allow-privileged', '--kubelet-preferred-address-types', 'InternalIP'],
      ...flags,
    ];
  }

  private async answers(): Promise<void> {
    const ca = readFileSync(this.certificateFile);
    const agent = new Agent({ ca, keepAlive: true });
    try {
      await until(
        'the API server is ready',
        async () => {
          for (const each of [this.server, this.database]) {
            if (each.ended) throw new Hopeless(`${each.name} ended: ${await each.lastWords()}`);
          }
          return this.host === undefined ? ready(agent, this.url, this.adminToken) : this.readyInHost();
        },
        60_000,
        50,
      );
    } finally {
      agent.destroy();
    }
  }

  private async readyInHost(): Promise<boolean> {
    return (await this.kubectl(['get', '--raw', '/readyz'], { mayFail: true })).code === 0;
  }

  /** One call of etcd's JSON gateway, from where etcd listens. */
  private async askEtcd(call: string, body: object): Promise<unknown> {
    const program = `fetch(${JSON.stringify(`${this.etcdUrl}/v3/kv/${call}`)}, { method: 'POST', body: ${JSON.stringify(
      JSON.stringify(body),
    )} }).then(async (answer) => { process.stdout.write(await answer.text()); process.exitCode = answer.ok ? 0 : 1; })`;
    const { stdout } = await (this.host ?? { run }).run(process.execPath, ['-e', program]);
    return JSON.parse(stdout);
  }
}

function etcdCommand(folder: string, address: string): readonly [string, ...string[]] {
  const peer = `http://${address}:2380`;
  const client = `http://${address}:2379`;
  return [
    'etcd',
    ...['--data-dir', `${folder}/etcd`, '--unsafe-no-fsync', '--log-level', 'warn', '--name', 'etcd'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `etcd=${peer}`],
  ];
}

/** One of 127.0.0.0/8 that no other test file of the run uses: made of the process's number. */
function loopbackAddress(): string {
  return `127.${100 + (serial++ % 100)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
}

function newToken(): string {
  return randomBytes(16).toString('hex');
}

function ready(agent: Agent, url: string, token: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/readyz`, { agent, headers: { authorization: `Bearer ${token}` } }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode === 200));
    });
    asked.once('error', reject).end();
  });
}
