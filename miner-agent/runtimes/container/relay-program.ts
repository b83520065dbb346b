/**
 * The program of the relay container: joins Unix sockets in a folder of the agent with the loopback of a network namespace
 * that has nothing else. It runs under the agent's own Node, as the text of this function, so it names nothing outside itself.
 */
export interface RelayPlan {
  /** Connections to this socket go to a port of the loopback: calls. */
  calls: { socket: string; port: number };
  /** Connections to a port of the loopback go to a socket, behind which the agent is. */
  forwards: { port: number; socket: string }[];
}

function relay(plan: RelayPlan): void {
  const net = process.getBuiltinModule('node:net');
  const serve = (from: object, to: object, then: () => void) => {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (inner) => {
      const outer = net.connect({ port: 0, ...to, allowHalfOpen: true });
      const drop = () => {
        inner.destroy();
        outer.destroy();
      };
      inner.on('error', drop).on('close', drop);
      outer.on('error', drop).on('close', drop);
      inner.pipe(outer);
      outer.pipe(inner);
    });
    server.maxConnections = 1024;
    server.on('error', (error) => {
      console.error(error.message);
      process.exit(1);
    });
    server.listen(from, then);
  };
  const loopback = (port: number) => ({ host: '127.0.0.1', port });
  let missing = plan.forwards.length;
  // The socket for calls comes last: once it is there, everything is.
  const calls = () => serve({ path: plan.calls.socket }, loopback(plan.calls.port), () => {});
  if (missing === 0) calls();
  for (const { port, socket } of plan.forwards) serve(loopback(port), { path: socket }, () => --missing === 0 && calls());
  process.on('SIGTERM', () => process.exit(0));
}

/** Arguments of Node that make it a relay. */
export function relayArguments(plan: RelayPlan): string[] {
  return ['-e', `(${relay.toString()})(${JSON.stringify(plan)})`];
}
