// Asking an FRR daemon through its vty socket, as vtysh does: a command ends with a zero byte, its answer with three
// zeros and a status. vtysh itself would want PAM, which an unpacked package has not configured.
import { once } from 'node:events';
import { connect } from 'node:net';

/** Runs the commands in order in one vty; what the last one printed. */
export async function vty(socketPath: string, ...commands: readonly string[]): Promise<string> {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  let answer = '';
  for (const command of commands) {
    socket.write(`${command}\0`);
    answer = await readAnswer(socket);
  }
  socket.destroy();
  return answer;
}

async function readAnswer(socket: NodeJS.ReadableStream): Promise<string> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf('\0\0\0');
    if (end >= 0 && bytes.length >= end + 4) return bytes.subarray(0, end).toString();
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
}
