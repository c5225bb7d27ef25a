// `nft` as a child: a transaction goes in on its standard input, or the listing of our table comes out.
import { execFile } from 'node:child_process';
import { TABLE } from './table.ts';

/** missing: there is no nft here. refused: it, or the kernel, said no. */
export class NftError extends Error {
  override readonly name = 'NftError';
  readonly code: 'missing' | 'refused';

  constructor(code: 'missing' | 'refused', message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A stuck child must not stop us from looking ever again. */
const PATIENCE_MS = 20_000;
/** 100,000 elements are about 2 MB. */
const LISTING_BYTES_MAX = 64 * 2 ** 20;

export interface Nft {
  /** Our table as nft lists it; undefined where there is none. Of other tables nothing is read. @throws NftError */
  list(): Promise<string | undefined>;
  /** All of it or nothing. @throws NftError */
  apply(transaction: string): Promise<void>;
}

/** @param command what `nft` is called, and words before its own: a test's namespace */
export function nftCommand(command: readonly string[] = ['nft']): Nft {
  return {
    list: async () => {
      try {
        return await run([...command, 'list', 'table', ...TABLE.split(' ')], '');
      } catch (error) {
        if (error instanceof NftError && /No such file or directory/.test(error.message)) return undefined;
        throw error;
      }
    },
    // As text: with -j nft opens /dev/stdin anew, which for a socket fails.
    apply: async (transaction) => void (await run([...command, '-f', '-'], transaction)),
  };
}

function run(command: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: PATIENCE_MS, killSignal: 'SIGKILL', maxBuffer: LISTING_BYTES_MAX } as const;
    // English messages, whatever the operator's locale.
    const env = { ...process.env, LC_ALL: 'C' };
    const child = execFile(command[0]!, command.slice(1), { ...options, env }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failure(error, stderr));
    });
    child.stdin?.on('error', () => undefined); // it has ended: its exit code tells
    child.stdin?.end(input);
  });
}

function failure(
  error: Error & { readonly code?: string | number | null; readonly killed?: boolean },
  stderr: string,
): NftError {
  if (error.code === 'ENOENT') return new NftError('missing', 'nft is not installed', { cause: error });
  const said = stderr.split('\n').find((line) => line.trim() !== '');
  const words = error.killed === true ? `did not end within ${PATIENCE_MS / 1000} s` : (said ?? error.message);
  return new NftError('refused', `nft: ${words.trim()}`, { cause: error });
}
