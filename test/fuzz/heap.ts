// What is really held: memory after everything that can go has gone.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** In octets: objects, and what typed arrays stand on, which is not on the heap. */
export function heldAfterCollection(): { readonly heap: number; readonly buffers: number } {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}
