// A second speaker, for comparing: Maps of objects, everything worked out anew each time, straight from the RFCs and
// from nothing in bgp/rib. It knows eBGP and iBGP, local preference, MED, reflection, policies on prefixes, and
// communities that keep routes in; next hops are always reachable, and all sessions are IPv4.
import { type Prefix, containsPrefix, lengthOf } from '#ip';
import type { AsPath, PathAttributes } from '../../../bgp/message.ts';
import type { Policy, Rule } from '../../../bgp/policy/rule.ts';

export interface NaivePeer {
  readonly name: string;
  /** The last octet of 10.0.0.x: address and router ID. */
  readonly host: number;
  readonly asn: number;
  readonly client: boolean;
  readonly importPolicy?: Policy | undefined;
  readonly exportPolicy?: Policy | undefined;
}

export interface NaivePath {
  readonly from: NaivePeer | undefined;
  readonly attributes: PathAttributes;
}

export class NaiveSpeaker {
  readonly asn: number;
  readonly own = new Map<string, PathAttributes>();
  readonly peers = new Map<string, NaivePeer>();
  readonly heard = new Map<string, Map<string, PathAttributes>>();

  constructor(asn: number) {
    this.asn = asn;
  }

  up(peer: NaivePeer): void {
    this.peers.set(peer.name, peer);
    this.heard.set(peer.name, new Map());
  }

  down(name: string): void {
    this.peers.delete(name);
    this.heard.delete(name);
  }

  best(prefix: string): NaivePath | undefined {
    const own = this.own.get(prefix);
    if (own !== undefined) return { from: undefined, attributes: own };
    const usable = [...this.peers.values()].flatMap((from) => {
      const heard = this.heard.get(from.name)!.get(prefix);
      const attributes = heard && this.imported(prefix, heard, from);
      return attributes === undefined ? [] : [{ from, attributes }];
    });
    return this.choose(usable);
  }

  /** What the peer is to know: prefix to attributes. */
  told(name: string): Map<string, PathAttributes> {
    const to = this.peers.get(name)!;
    const told = new Map<string, PathAttributes>();
    const prefixes = new Set([...this.own.keys(), ...[...this.heard.values()].flatMap((table) => [...table.keys()])]);
    for (const prefix of prefixes) {
      const best = this.best(prefix);
      const exported = best && this.exported(prefix, best, to);
      if (exported !== undefined) told.set(prefix, exported);
    }
    return told;
  }

  private isInternal(peer: NaivePeer): boolean {
    return peer.asn === this.asn;
  }

  private imported(prefix: string, heard: PathAttributes, from: NaivePeer): PathAttributes | undefined {
    if (heard.asPath.some(({ asns }) => asns.includes(this.asn))) return undefined;
    if (heard.originatorId === '10.0.0.1' || heard.clusterList?.includes('10.0.0.1' as never)) return undefined;
    return from.importPolicy ? byPolicy(from.importPolicy, prefix, heard) : heard;
  }

  private choose(paths: readonly NaivePath[]): NaivePath | undefined {
    const lowest = (all: readonly NaivePath[], key: (path: NaivePath) => number): readonly NaivePath[] => {
      const least = Math.min(...all.map(key));
      return all.filter((path) => key(path) === least);
    };
    let left = lowest(paths, ({ attributes }) => -(attributes.localPref ?? 100));
    left = lowest(left, ({ attributes }) => lengthOfPath(attributes.asPath));
    left = lowest(left, ({ attributes }) => attributes.origin);
    left = left.filter(
      (path) =>
        !left.some(
          (other) =>
            firstAs(other.attributes.asPath) === firstAs(path.attributes.asPath) &&
            (other.attributes.med ?? 0) < (path.attributes.med ?? 0),
        ),
    );
    left = lowest(left, ({ from }) => (this.isInternal(from!) ? 1 : 0));
    left = lowest(left, ({ from, attributes }) => Number(attributes.originatorId?.split('.')[3] ?? from!.host));
    left = lowest(left, ({ attributes }) => attributes.clusterList?.length ?? 0);
    left = lowest(left, ({ from }) => from!.host);
    return left[0];
  }

  private exported(prefix: string, { from, attributes }: NaivePath, to: NaivePeer): PathAttributes | undefined {
    const inside = this.isInternal(to);
    if (from === to) return undefined;
    if (from !== undefined && attributes.communities?.includes(0xffffff02)) return undefined;
    if (from !== undefined && attributes.communities?.includes(0xffffff01) && !inside) return undefined;
    if (from !== undefined && this.isInternal(from) && inside && !from.client && !to.client) return undefined;
    const { med, ...withoutMed } = attributes;
    const offered = !inside && from !== undefined ? withoutMed : { ...withoutMed, ...(med !== undefined && { med }) };
    const passed = to.exportPolicy ? byPolicy(to.exportPolicy, prefix, offered) : offered;
    if (passed === undefined) return undefined;
    if (!inside) {
      const { localPref: _, originatorId: __, clusterList: ___, ...rest } = passed;
      return { ...rest, nextHop: '10.0.0.1' as never, asPath: prepended(rest.asPath, [this.asn]) };
    }
    const nextHop = from === undefined ? ('10.0.0.1' as never) : passed.nextHop;
    const internal = { ...passed, nextHop, localPref: passed.localPref ?? 100 };
    if (from === undefined || !this.isInternal(from)) return internal;
    return {
      ...internal,
      originatorId: passed.originatorId ?? (`10.0.0.${from.host}` as never),
      clusterList: ['10.0.0.1' as never, ...(passed.clusterList ?? [])],
    };
  }
}

function byPolicy(policy: Policy, prefix: string, attributes: PathAttributes): PathAttributes | undefined {
  const rule = policy.rules.find((each) => matches(each, prefix as Prefix, attributes));
  if ((rule?.action ?? policy.otherwise) === 'reject') return undefined;
  let result = attributes;
  for (const operation of rule?.operations ?? []) {
    if (operation.do === 'setLocalPref') result = { ...result, localPref: operation.value };
    if (operation.do === 'setMed') result = { ...result, med: operation.value };
    if (operation.do === 'prependAsPath') result = { ...result, asPath: prepended(result.asPath, operation.asns) };
    if (operation.do === 'addCommunity') {
      const all = new Set([...(result.communities ?? []), operation.value as number]);
      result = { ...result, communities: [...all].sort((a, b) => a - b) };
    }
  }
  return result;
}

function matches({ match = {} }: Rule, prefix: Prefix, attributes: PathAttributes): boolean {
  if (match.communities && !match.communities.every((each) => attributes.communities?.includes(each as number))) {
    return false;
  }
  if (match.prefix === undefined) return true;
  const { cidr, operator } = match.prefix;
  const inside = containsPrefix(cidr, prefix) && lengthOf(prefix) <= (match.prefix.maxLength ?? 32);
  switch (operator) {
    case 'Equal':
      return prefix === cidr;
    case 'NotEqual':
      return prefix !== cidr;
    case 'In':
      return inside;
    case 'NotIn':
      return !inside;
    default:
      throw new Error(operator satisfies never);
  }
}

function prepended(path: AsPath, asns: readonly number[]): AsPath {
  const [first, ...rest] = path;
  if (first?.type === 'sequence') return [{ type: 'sequence', asns: [...asns, ...first.asns] }, ...rest];
  return [{ type: 'sequence', asns }, ...path];
}

function lengthOfPath(path: AsPath): number {
  return path.map(({ type, asns }) => (type === 'set' ? 1 : asns.length)).reduce((a, b) => a + b, 0);
}

function firstAs(path: AsPath): number {
  return path[0]?.type === 'sequence' ? path[0].asns[0]! : 0;
}
