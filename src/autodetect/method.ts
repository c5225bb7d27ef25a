// How a node finds out its own address, as Calico's IP_AUTODETECTION_METHOD says it. Pure.
import { type Family, type Prefix, familyOfPrefix, readPrefix } from '#ip';

export type Method =
  | { readonly by: 'first-found' }
  /** The address that packets to this destination would leave from; a name is looked up. */
  | { readonly by: 'can-reach'; readonly destination: string }
  /** Regular expressions about names of interfaces; one has to fit, anywhere in the name. */
  | { readonly by: 'interface' | 'skip-interface'; readonly patterns: readonly RegExp[] }
  | { readonly by: 'cidr'; readonly prefixes: readonly Prefix[] }
  /** The InternalIP of the Kubernetes Node. */
  | { readonly by: 'kubernetes-internal-ip' };

/** The method, or why the text is none (a clause that follows the text). */
export function readMethod(text: string, family: Family): { readonly method: Method } | { readonly refused: string } {
  const [name = '', ...rest] = text.split('=');
  const argument = rest.join('=').trim();
  if (name === '' || name === 'first-found') return { method: { by: 'first-found' } };
  if (name === 'kubernetes-internal-ip') return { method: { by: name } };
  if (!isWithArgument(name)) return { refused: `is none of ${forms}` };
  if (argument === '') return { refused: `needs a value behind ${name}=` };
  if (name === 'can-reach') return { method: { by: name, destination: argument } };
  const parts = argument.split(',').map((part) => part.trim());
  return name === 'cidr' ? readPrefixes(parts, family) : readPatterns(name, parts);
}

const forms =
  'first-found, can-reach=DESTINATION, interface=REGEX,…, skip-interface=REGEX,…, cidr=PREFIX,…, kubernetes-internal-ip';

/** As an operator writes it. */
export function methodText(method: Method): string {
  switch (method.by) {
    case 'can-reach':
      return `can-reach=${method.destination}`;
    case 'interface':
    case 'skip-interface':
      return `${method.by}=${method.patterns.map(({ source }) => source).join(',')}`;
    case 'cidr':
      return `cidr=${method.prefixes.join(',')}`;
    case 'first-found':
    case 'kubernetes-internal-ip':
      return method.by;
    default:
      return method satisfies never;
  }
}

function isWithArgument(name: string): name is 'can-reach' | 'interface' | 'skip-interface' | 'cidr' {
  return ['can-reach', 'interface', 'skip-interface', 'cidr'].includes(name);
}

function readPrefixes(parts: readonly string[], family: Family): { method: Method } | { refused: string } {
  const prefixes: Prefix[] = [];
  for (const part of parts) {
    const prefix = readPrefix(part);
    if (prefix === undefined) return { refused: `names ${JSON.stringify(part)}, which is not a prefix` };
    if (familyOfPrefix(prefix) !== family) return { refused: `names ${prefix}, which is not an IPv${family} prefix` };
    prefixes.push(prefix);
  }
  return { method: { by: 'cidr', prefixes } };
}

function readPatterns(
  by: 'interface' | 'skip-interface',
  parts: readonly string[],
): { method: Method } | { refused: string } {
  const patterns: RegExp[] = [];
  for (const part of parts) {
    try {
      patterns.push(new RegExp(part));
    } catch {
      return { refused: `names ${JSON.stringify(part)}, which is not a regular expression` };
    }
  }
  return { method: { by, patterns } };
}
