// Where packets to a destination would leave from: the kernel says it of a UDP socket that is connected and never sends.
import { type Socket, createSocket } from 'node:dgram';
import { type Address, type Family, readAddress } from '#ip';

/** Any port will do. */
const PORT = 53;

/** The source address, or why there is none. A name is looked up, which is the one thing here that sends packets. */
export async function sourceTowards(
  destination: string,
  family: Family,
): Promise<Address | { readonly error: string }> {
  const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
  try {
    await connected(socket, destination);
    return readAddress(socket.address().address) ?? { error: 'the kernel names no source' };
  } catch (error) {
    return { error: (error as Error).message };
  } finally {
    socket.close();
  }
}

function connected(socket: Socket, destination: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Without a callback: with one, an error would come there and nowhere else.
    socket.once('error', reject).once('connect', resolve);
    socket.connect(PORT, destination);
  });
}
