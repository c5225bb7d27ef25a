// A naive kernel for the tests of fib/: a list of routes, and `ip route` lines applied to it word by word. It knows the
// surprises that matter: `replace` does not ask whose route it replaces, metric 0 in an IPv4 `del` means any, IPv6 has no
// metric 0 and joins what is appended.
import type { Address, Prefix } from '#ip';
import type { Batch, Dump, KernelNextHop, KernelRoute, LineResult } from '../../fib/port.ts';
import { FibError } from '../../fib/error.ts';

interface Hop extends KernelNextHop {
  readonly owner: number;
}

interface Held {
  readonly prefix: Prefix;
  readonly metric: number;
  readonly kind: KernelRoute['kind'];
  readonly protocol: number;
  readonly hops: readonly Hop[];
}

export class ModelKernel implements Batch, Dump {
  held: Held[] = [];
  readonly lines: string[] = [];
  dumps = 0;
  /** Prefixes that the kernel takes no route for, and its words. */
  readonly refusing = new Map<string, string>();
  /** Set: `ip` does not work. */
  broken: string | undefined;
  /** Set: the next run is carried out, but nobody hears of it, as `ip` ends. */
  unheard = false;
  /** Set: the next dump is interrupted, and misses these prefixes. */
  missing: readonly string[] | undefined;
  /** Set: every dump is. */
  alwaysMissing: readonly string[] | undefined;
  /** Called behind every line. */
  watch: () => void = () => undefined;

  run(lines: readonly string[]): Promise<readonly LineResult[]> {
    if (this.broken !== undefined) return Promise.reject(new FibError('ip-ended', this.broken));
    const results = lines.map((line) => {
      this.lines.push(line);
      const error = this.apply(line);
      this.watch();
      return error === undefined ? { ok: true as const } : { ok: false as const, error };
    });
    if (this.unheard) {
      this.unheard = false;
      return Promise.reject(new FibError('ip-ended', 'ip was killed by SIGKILL'));
    }
    return Promise.resolve(results);
  }

  routes(visit: (routes: readonly KernelRoute[]) => void): Promise<{ complete: boolean }> {
    if (this.broken !== undefined) return Promise.reject(new FibError('ip-ended', this.broken));
    this.dumps++;
    const missing = this.missing ?? this.alwaysMissing;
    this.missing = undefined;
    for (const route of this.show()) if (!missing?.includes(route.prefix)) visit([route]);
    return Promise.resolve({ complete: missing === undefined });
  }

  links(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  show(): KernelRoute[] {
    return this.held.map(({ prefix, metric, kind, protocol, hops }) => ({
      ...{ prefix, metric, kind },
      // The kernel shows a joined route under the first one's protocol.
      protocol: hops[0]?.owner ?? protocol,
      nextHops: hops.map(({ via, dev }) => ({ ...(via !== undefined && { via }), ...(dev !== undefined && { dev }) })),
    }));
  }

  /** What a person at the keyboard does; returns the error, if any. */
  apply(line: string): string | undefined {
    const [object, verb, ...words] = line.split(' ');
    if (object !== 'route') throw new Error(`the model does not know: ${line}`);
    const kind = words[0] === 'blackhole' ? 'blackhole' : 'unicast';
    const prefix = words[kind === 'blackhole' ? 1 : 0] as Prefix;
    const v6 = prefix.includes(':');
    const metric = Number(after(words, 'metric') ?? 0);
    const protocol = Number(after(words, 'proto') ?? 3);
    const hops = hopsIn(words).map((hop): Hop => ({ ...hop, owner: protocol }));
    if (verb === 'del') return this.delete(prefix, v6 && metric === 0 ? 1024 : metric, protocol, hops, v6);
    const route: Held = { prefix, metric: v6 && metric === 0 ? 1024 : metric, kind, protocol, hops };
    const refusal = this.refusing.get(prefix);
    if (refusal !== undefined) return refusal;
    const at = this.held.findIndex((one) => one.prefix === prefix && one.metric === route.metric);
    if (verb === 'append' && v6 && at >= 0) {
      const group = this.held[at]!;
      this.held[at] = { ...group, hops: [...group.hops, ...hops] };
    } else if (verb === 'append' || at < 0) this.held.push(route);
    else if (verb === 'replace') this.held[at] = route;
    else return 'RTNETLINK answers: File exists';
    return undefined;
  }

  private delete(
    prefix: string,
    metric: number,
    protocol: number,
    hops: readonly Hop[],
    v6: boolean,
  ): string | undefined {
    const matching = this.held.filter(
      (one) => one.prefix === prefix && (one.metric === metric || (!v6 && metric === 0)),
    );
    for (const route of matching.sort((a, b) => a.metric - b.metric)) {
      const left = route.hops.filter((hop) => !hops.some((named) => hop.owner === protocol && isSame(named, hop)));
      const hit = v6 && hops.length > 0 ? left.length < route.hops.length : route.protocol === protocol;
      if (!hit || (!v6 && hops.length > 0 && !hops.every((hop, i) => isSame(hop, route.hops[i])))) continue;
      const at = this.held.indexOf(route);
      if (v6 && hops.length > 0 && left.length > 0) this.held[at] = { ...route, protocol: left[0]!.owner, hops: left };
      else this.held.splice(at, 1);
      return undefined;
    }
    return 'RTNETLINK answers: No such process';
  }
}

function isSame(named: KernelNextHop, hop: KernelNextHop | undefined): boolean {
  return named.via === hop?.via && (named.dev === undefined || named.dev === hop?.dev);
}

function hopsIn(words: readonly string[]): KernelNextHop[] {
  const starts = words.flatMap((word, i) => (word === 'nexthop' ? [i] : []));
  const parts = starts.length > 0 ? starts.map((at, i) => words.slice(at, starts[i + 1])) : [words];
  return parts.flatMap((part) => {
    const via = after(part, 'via') === 'inet6' ? after(part, 'inet6') : after(part, 'via');
    const dev = after(part, 'dev');
    if (via === undefined && dev === undefined) return [];
    return [{ ...(via !== undefined && { via: via as Address }), ...(dev !== undefined && { dev }) }];
  });
}

function after(words: readonly string[], key: string): string | undefined {
  const at = words.indexOf(key);
  return at < 0 ? undefined : words[at + 1];
}
