// A kernel in memory behind cni/'s ports: links and routes by the few `ip` lines that attaching uses.
import type { HostBatch, HostSysctls, LineAnswer, Namespaces } from '../../../cni/port.ts';

interface FakeLink {
  readonly netns: string;
  readonly ifname: string;
  readonly mac: string;
}

export class FakeKernel {
  /** The host's end → the pod's. */
  readonly links = new Map<string, FakeLink>();
  /** Prefix → how `ip -j` shows the route. */
  readonly routes = new Map<string, { dev: string; protocol: string }>();
  readonly netnses = new Set<string>();
  /** Interfaces of pods that are none of ours: "netns ifname". */
  readonly foreign = new Set<string>();
  readonly log: string[] = [];
  /** Lines that match are refused with the text. */
  refusal: { pattern: RegExp; error: string } | undefined;
  refusals = 0;
  /** Awaited before each line: for tests that hold the kernel up. */
  hold: (line: string) => Promise<void> = async () => undefined;
  /** How many `link add` run or wait at this moment, and the most there ever were. */
  private plugging = 0;
  mostAtOnce = 0;

  readonly batch: HostBatch = {
    run: async (lines) => {
      const answers: LineAnswer[] = [];
      for (const line of lines) {
        if (line.startsWith('link add')) this.mostAtOnce = Math.max(this.mostAtOnce, ++this.plugging);
        await this.hold(line);
        if (line.startsWith('link add')) this.plugging--;
        this.log.push(line);
        answers.push(this.execute(line));
      }
      return answers;
    },
  };

  readonly sysctls: HostSysctls = { write: async () => undefined };

  readonly namespaces: Namespaces = {
    identify: async (netns) => (netns === 'own' ? 'own' : this.netnses.has(netns) ? 'pod' : 'none'),
    apply: async (netns, _sysctls, lines) => {
      for (const line of lines) this.log.push(`${netns}: ${line}`);
      return lines.map((line) => this.refused(line) ?? { ok: true });
    },
    show: async (netns, lines) => lines.map((line) => this.show(netns, line)),
  };

  private execute(line: string): LineAnswer {
    const refused = this.refused(line);
    if (refused) return refused;
    const words = line.split(' ');
    const after = (word: string, from = 0): string => words[words.indexOf(word, from) + 1]!;
    if (line.startsWith('link add')) {
      const peer = words.indexOf('peer');
      const link = { netns: after('netns'), ifname: after('name', peer), mac: after('address', peer) };
      if (this.links.has(words[2]!) || this.podLink(link.netns, link.ifname))
        return failure('RTNETLINK answers: File exists');
      this.links.set(words[2]!, link);
    } else if (line.startsWith('link del dev')) {
      if (!this.removeLink(words[3]!)) return failure(`Cannot find device "${words[3]}"`);
    } else if (/^route (add|replace)/.test(line)) {
      if (words[1] === 'add' && this.routes.has(words[2]!)) return failure('RTNETLINK answers: File exists');
      this.routes.set(words[2]!, { dev: after('dev'), protocol: after('proto') });
    }
    return { ok: true };
  }

  private refused(line: string): LineAnswer | undefined {
    if (!this.refusal?.pattern.test(line)) return undefined;
    this.refusals++;
    return failure(this.refusal.error);
  }

  removeLink(name: string): boolean {
    for (const [prefix, { dev }] of this.routes) if (dev === name) this.routes.delete(prefix);
    return this.links.delete(name);
  }

  private podLink(netns: string, ifname: string): object | undefined {
    const index = [...this.links.values()].findIndex((link) => link.netns === netns && link.ifname === ifname);
    if (index >= 0) {
      const { mac } = [...this.links.values()][index]!;
      return { ifname, address: mac, ifindex: 100 + index, link_index: 200 + index };
    }
    return this.foreign.has(`${netns} ${ifname}`)
      ? { ifname, address: '02:00:00:00:00:99', ifindex: 2, link_index: 3 }
      : undefined;
  }

  private show(netns: string | undefined, line: string): readonly unknown[] {
    const words = line.split(' ');
    if (line.startsWith('link show') && netns !== undefined) {
      const link = this.podLink(netns, words[3]!);
      return link ? [link] : [];
    }
    if (line.startsWith('link show')) {
      const index = [...this.links.keys()].indexOf(words[3]!);
      return index < 0 ? [] : [{ ifname: words[3], ifindex: 200 + index, link_index: 100 + index }];
    }
    const route = this.routes.get(words.at(-1)!);
    return route ? [{ dst: words.at(-1), ...route }] : [];
  }
}

function failure(error: string): LineAnswer {
  return { ok: false, error };
}
