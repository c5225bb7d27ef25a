// What the API server's refusals are to those above the store. Pure.
import { KubeError } from '../../kube/port.ts';
import type { Kind } from '../../resources/types.ts';
import { StoreError } from '../port.ts';

/** Runs a request; its KubeErrors become the port's errors. */
export async function asStoreError<T>(kind: Kind, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof KubeError ? translated(kind, name, error) : error;
  }
}

function translated(kind: Kind, name: string, cause: KubeError): StoreError {
  switch (cause.code) {
    case 'exists':
      return new StoreError('exists', `${kind} ${name} exists`, { cause });
    case 'conflict':
      return new StoreError('conflict', `${kind} ${name} has changed since it was read`, { cause });
    case 'notFound':
      return new StoreError('missing', `${kind} ${name} does not exist`, { cause });
    case 'invalid': {
      const problems = [{ kind, name, message: cause.message }];
      return new StoreError('invalid', `the API server refuses ${kind} ${name}: ${cause.message}`, { cause, problems });
    }
    case 'forbidden':
    case 'gone':
    case 'unavailable':
      return new StoreError('unavailable', cause.message, { cause });
    default:
      return cause.code satisfies never;
  }
}
