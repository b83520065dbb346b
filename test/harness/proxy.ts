/** An HTTP CONNECT proxy as offices have them: with a password, with little patience for idle tunnels, with buffers of its own. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ProxyWish {
  /** Where tunnels lead, whatever name they ask for: a port of this machine. Without it to what they ask for. */
  port?: number;
  /** `user:password` it demands. */
  credentials?: string;
  /** Milliseconds without a byte after which a tunnel is cut. */
  idleMs?: number;
  /** Milliseconds that it gathers bytes before it hands them on. */
  bufferMs?: number;
  /** Answers every CONNECT with this; 0: with nothing. */
  refuses?: number;
}

export interface TestProxy {
  /** Without credentials. */
  url: string;
  /** What tunnels were asked for, `host:port`. */
  asked: string[];
  /** Tunnels open now. */
  readonly open: number;
  /** How often a tunnel was cut for being idle. */
  readonly idleCuts: number;
  /** Cuts every tunnel as a restart of the proxy would. */
  cut(): void;
  close(): Promise<void>;
}

export async function startProxy(wish: ProxyWish = {}): Promise<TestProxy> {
  const asked: string[] = [];
  const sockets = new Set<Duplex>();
  let idleCuts = 0;
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on('connect', (request, near: Socket, head: Buffer) => {
    asked.push(request.url ?? '');
    const keep = (socket: Socket, other: () => Socket | undefined) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other()?.destroy();
      });
    };
    let far: Socket | undefined;
    keep(near, () => far);
    if (wish.refuses === 0) return void near.resume().on('end', () => near.end());
    const expected = wish.credentials === undefined ? undefined : `Basic ${Buffer.from(wish.credentials).toString('base64')}`;
    const status = wish.refuses ?? (request.headers['proxy-authorization'] === expected ? 200 : 407);
    if (status !== 200) return void near.end(`HTTP/1.1 ${status} No\r\nproxy-authenticate: Basic realm="x"\r\n\r\n`);
    const { hostname, port } = new URL(`http://${request.url}`);
    far = connect(wish.port === undefined ? { host: hostname, port: Number(port || 80) } : { host: '127.0.0.1', port: wish.port });
    keep(far, () => near);
    far.once('connect', () => near.write('HTTP/1.1 200 Connection established\r\n\r\n'));
    if (head.length > 0) far.write(head);
    pass(near, far, wish.bufferMs);
    pass(far, near, wish.bufferMs);
    if (wish.idleMs === undefined) return;
    near.setTimeout(wish.idleMs, () => {
      idleCuts++;
      near.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    get open() {
      return Math.ceil(sockets.size / 2);
    },
    get idleCuts() {
      return idleCuts;
    },
    cut,
    async close() {
      cut();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function pass(from: Socket, to: Socket, bufferMs: number | undefined): void {
  if (bufferMs === undefined) return void from.pipe(to);
  let held: Buffer[] = [];
  const flush = () => {
    if (!to.destroyed) to.write(Buffer.concat(held));
    held = [];
  };
  from.on('data', (part: Buffer) => {
    if (held.push(part) === 1) setTimeout(flush, bufferMs);
  });
}
