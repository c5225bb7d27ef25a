// Passwords in Secrets: each followed by its name, in one namespace, for as long as a session asks for it.
//
// By name, so that the agent's Role need not open the other Secrets of the namespace to it.
import type { KubeObject, Reflect, Reflection } from '../kube/port.ts';
import { isRecord } from '../resources/index.ts';
import type { SecretReference } from '../resources/types.ts';
import type { PasswordReading } from '../store/password-file.ts';

export interface SecretsOptions {
  readonly reflect: Reflect;
  readonly namespace: string;
  /** A Secret that is followed has changed. */
  readonly onChange: () => void;
}

interface Followed {
  readonly reflection: Reflection<KubeObject>;
  asked: boolean;
}

export class Secrets implements AsyncDisposable {
  private readonly options: SecretsOptions;
  private readonly followed = new Map<string, Followed>();
  private readonly ending = new Set<Promise<void>>();

  constructor(options: SecretsOptions) {
    this.options = options;
  }

  /** The password, or why it cannot be had and what to do. Whoever asks is told of changes from now on. */
  read({ secretKeyRef: { name, key } }: SecretReference): PasswordReading {
    const followed = this.followed.get(name) ?? this.follow(name);
    followed.asked = true;
    const { namespace } = this.options;
    const place = `Secret ${name} in namespace ${namespace}`;
    const secret = followed.reflection.get(name, namespace);
    if (secret !== undefined) return passwordIn(secret, key, place);
    const { listed, error } = followed.reflection.status();
    const make = `kubectl -n ${namespace} create secret generic ${name} --from-literal=${key}=…`;
    if (listed) return { problem: `${place} does not exist (${make})` };
    return {
      problem: `${place} cannot be read: ${withRemedy(error ?? 'the API server has not answered yet', namespace)}`,
    };
  }

  /** What nobody has asked for since the last call is not followed any more. */
  sweep(): void {
    for (const [name, followed] of this.followed) {
      if (followed.asked) followed.asked = false;
      else {
        this.followed.delete(name);
        this.end(followed);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const followed of this.followed.values()) this.end(followed);
    this.followed.clear();
    await Promise.all(this.ending);
  }

  private follow(name: string): Followed {
    const { reflect, namespace, onChange } = this.options;
    const path = { group: '', version: 'v1', plural: 'secrets', namespace };
    const reflection = reflect<KubeObject>(path, { fieldSelector: `metadata.name=${name}` });
    reflection.watch(onChange);
    const followed = { reflection, asked: true };
    this.followed.set(name, followed);
    return followed;
  }

  private end({ reflection }: Followed): void {
    const ended = Promise.resolve(reflection[Symbol.asyncDispose]()).finally(() => this.ending.delete(ended));
    this.ending.add(ended);
  }
}

function passwordIn(secret: KubeObject, key: string, place: string): PasswordReading {
  const data = isRecord(secret['data']) ? secret['data'] : {};
  const value = data[key];
  if (typeof value !== 'string') {
    const keys = Object.keys(data);
    return {
      problem: `${place} has no key ${key} (${keys.length === 0 ? 'it is empty' : `it has ${keys.join(', ')}`})`,
    };
  }
  const bytes = Buffer.from(value, 'base64');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes) || text.includes('\0')) return { problem: `key ${key} of ${place} is no text` };
  // `--from-file` takes the line break at the end along; a router's configuration never has one.
  return { password: text.replace(/\r?\n$/, '') };
}

function withRemedy(error: string, namespace: string): string {
  return /forbidden/i.test(error)
    ? `${error} (the agent's service account needs list and watch of secrets in ${namespace})`
    : error;
}
