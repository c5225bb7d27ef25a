// What an operator wishes about the node's address of one family: the flags --ip and --ip-method. Pure.
import {
  type Family,
  type InterfaceAddress,
  familyOf,
  hostPrefix,
  parseInterfaceAddress,
  readAddress,
  IpError,
} from '#ip';
import { classOf } from '../resources/classify.ts';
import { type Method, readMethod } from './method.ts';

export type AddressWish =
  /** What the Node says; where it says nothing, `otherwise`. */
  | { readonly from: 'node'; readonly otherwise?: Method }
  | { readonly from: 'none' }
  | { readonly from: 'autodetect'; readonly method: Method }
  | { readonly from: 'given'; readonly address: InterfaceAddress };

export interface AddressFlags {
  /** autodetect, none, an address; absent: what the Node says. */
  readonly ip: string | undefined;
  readonly method: string | undefined;
}

/** As in Calico, IPv4 is looked for where nothing is said, and IPv6 has to be asked for. */
export function readAddressWish(
  { ip, method: text }: AddressFlags,
  family: Family,
): { readonly wish: AddressWish } | { readonly refused: string; readonly of: 'ip' | 'method' } {
  const reading = readMethod(text ?? '', family);
  if ('refused' in reading) return { refused: `${text}: ${reading.refused}`, of: 'method' };
  const { method } = reading;
  if (ip === undefined) return { wish: { from: 'node', ...(family === 4 && { otherwise: method }) } };
  if (ip === 'none') return { wish: { from: 'none' } };
  if (ip === 'autodetect') return { wish: { from: 'autodetect', method } };
  const address = readGiven(ip);
  if (address === undefined || familyOf(address.address) !== family) {
    return { refused: `${ip}: is neither autodetect nor none nor an IPv${family} address`, of: 'ip' };
  }
  if (classOf(address.address) !== 'unicast') return { refused: `${ip}: is not an address that peers reach`, of: 'ip' };
  return { wish: { from: 'given', address } };
}

/** Without a length it is alone on its subnet, until an interface says more. */
function readGiven(text: string): InterfaceAddress | undefined {
  const address = readAddress(text);
  if (address !== undefined) return { address, prefix: hostPrefix(address) };
  try {
    return parseInterfaceAddress(text);
  } catch (error) {
    if (error instanceof IpError) return undefined;
    throw error;
  }
}
