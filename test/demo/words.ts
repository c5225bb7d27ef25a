// What the demo says to its visitor.

export type Say = (line: string) => void;

export const invitation = `
The data centre stays up until Ctrl-C. In another terminal, in this folder:

  npm run demo -- exec worker-1 manxctl node status         what the node is doing
  npm run demo -- exec worker-1 manxctl bgp routes          what it learned, and why it chose so
  npm run demo -- exec worker-1 manxctl fib routes          what is in its kernel
  npm run demo -- exec worker-1 ip route show proto 201     the same, asked of the kernel
  npm run demo -- exec tor birdc -s /run/demo/tor/bird.ctl show route
  npm run demo -- exec web-1 ping 198.51.100.10             from a pod to the host behind the router
  npm run demo -- crash                                     kill an agent (SIGKILL) under a running ping
  npm run demo -- sh worker-2                               look around; edit /run/demo/config/*.yaml and see it take effect
`;

/** A heading, so that long output has parts. */
export function heading(text: string): string {
  return `\n── ${text} ${'─'.repeat(Math.max(0, 100 - text.length))}`;
}
