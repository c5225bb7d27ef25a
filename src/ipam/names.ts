// TEMPORARY until src/resources lands.
import { createHash } from 'node:crypto';
import type { Prefix } from '#ip';
export const dashed = (cidr: Prefix): string => cidr.replaceAll(/[.:/]/g, '-');
export const blockName = dashed;
export const affinityName = (node: string, cidr: Prefix): string => `${node}-${dashed(cidr)}`;
export const handleName = (id: string): string => id.toLowerCase();
export const affinityLabels = (node: string, cidr: Prefix): Record<string, string> => ({
  'projectcalico.org/affinity-type': 'host',
  'projectcalico.org/hostname-hash': createHash('sha3-256').update(node).digest('hex'),
  'projectcalico.org/ip-version': cidr.includes(':') ? '6' : '4',
});
export interface Selector {
  text: string;
}
export const parseSelector = (text: string): Selector => ({ text });
export function matches(s: Selector, labels: Readonly<Record<string, string>>): boolean {
  if (s.text === '' || s.text === 'all()') return true;
  const m = /^\s*([\w./-]+)\s*==\s*'([^']*)'\s*$/.exec(s.text);
  if (!m) throw new Error(`temporary selector cannot do ${s.text}`);
  return labels[m[1]!] === m[2];
}
export function parseDuration(text: string): number {
  const m = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text)!;
  return ((Number(m[1] ?? 0) * 60 + Number(m[2] ?? 0)) * 60 + Number(m[3] ?? 0)) * 1000;
}
