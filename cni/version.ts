// Which versions of the CNI specification are spoken, and which verb needs which.
import { CniError } from './error.ts';

export const versions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type Version = (typeof versions)[number];
export const newest: Version = '1.1.0';

/** The verbs that came after the first version. */
const since: Partial<Record<string, Version>> = { CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' };

/**
 * The version to answer in: exactly the one that was asked for.
 * @throws CniError 1. An absent cniVersion means 0.1.0 by the specification, whose results had another shape.
 */
export function parseVersion(value: unknown, command: string): Version {
  const version = versions.find((known) => known === value);
  const spoken = `Manx speaks ${versions.join(', ')}`;
  if (value === undefined) throw new CniError(1, `the network configuration has no cniVersion; ${spoken}`);
  if (version === undefined) throw new CniError(1, `cniVersion ${JSON.stringify(value)} is not supported; ${spoken}`);
  const first = since[command];
  if (first !== undefined && !isAtLeast(version, first)) {
    throw new CniError(
      1,
      `${command} needs cniVersion ${first} or later, and the network configuration says ${version}`,
    );
  }
  return version;
}

export function isAtLeast(version: Version, other: Version): boolean {
  return versions.indexOf(version) >= versions.indexOf(other);
}
