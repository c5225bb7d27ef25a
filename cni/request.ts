// One call of the plugin, as it travels to the agent and as the agent understands it.
import { type NetworkConfig, decodeConfig, parseConfig } from './config.ts';
import { type Environment, parseEnvironment } from './environment.ts';
import { CniError } from './error.ts';
import { isObject } from './json.ts';
import type { AttachmentKey, Sysctl } from './port.ts';

/** The line that the plugin sends: its CNI_ variables and its standard input. */
export interface PluginRequest {
  readonly env: Readonly<Record<string, string>>;
  /** The network configuration, decoded. */
  readonly config: unknown;
  /** ms since the epoch: when a tombstone was written. What was attached later is none of its business. */
  readonly at?: number;
}

/** The line that comes back: the exit code, and what to print when there is something. */
export interface PluginAnswer {
  readonly exit: 0 | 1;
  readonly print?: object;
}

/**
 * What an agent that may not enter namespaces has the plugin do in the pod's, before it answers: `{"order": …}` is its
 * line, `{"report": …}` the plugin's. The answers are those of the port Namespaces.
 */
export type PluginOrder =
  | {
      readonly do: 'apply';
      readonly netns: string;
      readonly sysctls: readonly Sysctl[];
      readonly lines: readonly string[];
    }
  | { readonly do: 'show'; readonly netns: string; readonly lines: readonly string[] };

/** The plugin at the other end of a call's connection. @throws CniError 11 when it has gone. */
export type PluginEnd = (order: PluginOrder) => Promise<unknown>;

export interface Call extends Environment {
  readonly config: NetworkConfig;
  readonly key: AttachmentKey;
  readonly pod?: { readonly namespace: string; readonly name: string };
  readonly at?: number;
}

/**
 * The request for what a runtime passed. Nothing of the environment but the CNI variables leaves the plugin.
 * @throws CniError 6
 */
export function readRequest(env: Readonly<Record<string, string | undefined>>, stdin: string): PluginRequest {
  const own = Object.entries(env).filter(([name, value]) => name.startsWith('CNI_') && value !== undefined);
  return { env: Object.fromEntries(own) as Record<string, string>, config: decodeConfig(stdin) };
}

/** @throws CniError 6 when the line is no request. */
export function decodeRequest(line: string): PluginRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new CniError(6, `the request is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isObject(value) || !isObject(value['env']))
    throw new CniError(6, 'the request is no object with env and config');
  if (!Object.values(value['env']).every((item) => typeof item === 'string')) {
    throw new CniError(6, 'the request has a variable in env that is no string');
  }
  const env = value['env'] as Record<string, string>;
  const at = value['at'];
  return { env, config: value['config'], ...(typeof at === 'number' && { at }) };
}

/** @throws CniError with code 1, 4, 6 or 7: what every verb needs to be right. */
export function parseCall(request: PluginRequest): Call {
  const environment = parseEnvironment(request.env);
  const config = parseConfig(request.config, environment.command);
  const { containerId, ifname, args } = environment;
  const namespace = args.get('K8S_POD_NAMESPACE');
  const name = args.get('K8S_POD_NAME');
  return {
    ...environment,
    config,
    key: { network: config.name, containerId, ifname },
    // Without a namespace it is not Kubernetes: podman passes K8S_POD_NAME alone.
    ...(namespace && name && { pod: { namespace, name } }),
    ...(request.at !== undefined && { at: request.at }),
  };
}
