/**
 * The one way out of a container: an HTTP proxy in the agent (CONNECT, and requests in absolute form) that lets through to
 * named hosts only. It resolves the name itself and connects to the address it looked at, so a name that leads to a private
 * address, now or at the next look-up, leads nowhere.
 */
import { Resolver } from 'node:dns/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { hostIn, isPublic } from './egress-rules.ts';

export interface EgressRules {
  /** Hosts the chute names. */
  hosts: readonly string[];
  /** Hosts the miner forbids all the same. */
  forbidden: readonly string[];
  /** All addresses of a name. Throws if there are none. */
  resolve: (host: string) => Promise<string[]>;
  /** Whether an address may be connected to. */
  reachable: (address: string) => boolean;
  ports: readonly number[];
  limits: typeof EGRESS_LIMITS;
  /** Told once per host. */
  refused: (why: string) => void;
}

export const EGRESS_LIMITS = {
  /** Sockets of one container at a time, both sides of the proxy together. */
  sockets: 256,
  /** Bytes of one container over its life, on both sides of the proxy together: a large model comes through, endless traffic does not. */
  bytes: 4 * 2 ** 40,
  /** Milliseconds to connect, without a byte, and of one connection. */
  connectMs: 10_000,
  idleMs: 120_000,
  lifeMs: 6 * 3_600_000,
  /** Names looked up at a time. */
  lookups: 16,
  /** Refused hosts that are told. */
  told: 50,
};

/** Milliseconds between two looks at how much went through. */
const COUNT_MS = 1_000;

/** What every proxy of an agent has in common. */
export const EGRESS_DEFAULTS = {
  resolve: addressesOf,
  reachable: isPublic,
  ports: [80, 443],
  limits: EGRESS_LIMITS,
};

/**
 * By questions of its own: the system's look-up has four threads for the whole agent, and a name server of a chute's owner that
 * never answers would hold them all.
 */
async function addressesOf(host: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  return found.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
}

/** The proxy of one container. Give it connections with `emit('connection', socket)`; `closeAllConnections` ends it. */
export class Egress {
  readonly server: Server;
  readonly #rules: EgressRules;
  readonly #sockets = new Set<Socket>();
  readonly #told = new Set<string>();
  readonly #counting: NodeJS.Timeout;
  /** Of connections that ended. */
  #bytes = 0;
  #lookups = 0;

  constructor(rules: EgressRules) {
    this.#rules = rules;
    this.#counting = setInterval(() => this.#spent() && this.#drop(), COUNT_MS).unref();
    this.server = createServer({ requestTimeout: rules.limits.lifeMs }, (request, response) => void this.#pass(request, response));
    this.server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.#tunnel(request, socket, head));
    this.server.on('clientError', (_error, socket) => socket.destroy());
  }

  accept(socket: Socket): void {
    if (this.#sockets.size >= this.#rules.limits.sockets) return void socket.destroy();
    this.#hold(socket);
    this.server.emit('connection', socket);
  }

  close(): void {
    clearInterval(this.#counting);
    this.#drop();
  }

  #drop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.server.closeAllConnections();
  }

  async #tunnel(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    client.on('error', () => client.destroy());
    const url = URL.canParse(`http://${request.url ?? ''}`) ? new URL(`http://${request.url ?? ''}`) : null;
    const port = url === null || url.port === '' ? 80 : Number(url.port);
    const address = url === null || url.pathname !== '/' ? null : await this.#way(url.hostname, port);
    if (address === null) return void client.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
    if (client.destroyed) return;
    const remote = connect({ host: address, port });
    this.#hold(remote);
    remote.setTimeout(this.#rules.limits.connectMs);
    let open = false;
    remote.once('connect', () => {
      open = true;
      remote.setTimeout(this.#rules.limits.idleMs);
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) remote.write(head);
      client.pipe(remote);
      remote.pipe(client);
    });
    client.once('close', () => remote.destroy());
    remote.once('close', () => (open ? client.destroy() : client.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n')));
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : null;
    const port = url === null || url.port === '' ? 80 : Number(url.port);
    const address = url?.protocol === 'http:' ? await this.#way(url.hostname, port) : null;
    if (url === null || address === null) return void response.writeHead(403, { 'content-length': 0, connection: 'close' }).end();
    const headers: OutgoingHttpHeaders = { ...request.headers, host: url.host, connection: 'close' };
    for (const name of ['proxy-connection', 'proxy-authorization']) delete headers[name];
    const { method = 'GET' } = request;
    const out = httpRequest({ host: address, port, method, path: url.pathname + url.search, headers, agent: false }, (reply) => {
      const { statusCode = 0 } = reply;
      // The parser takes `099`, which nobody may pass on.
      if (statusCode < 200) return void out.destroy(new Error('no status'));
      response.writeHead(statusCode, reply.headers);
      reply.pipe(response);
      reply.on('close', () => reply.complete || response.destroy());
    });
    out.on('socket', (socket) => this.#hold(socket));
    out.setTimeout(this.#rules.limits.idleMs, () => out.destroy());
    out.on('error', () => response.headersSent && response.destroy());
    out.on('close', () => response.headersSent || response.writeHead(502, { 'content-length': 0 }).end());
    response.on('close', () => out.destroy());
    request.pipe(out);
  }

  /** The address to connect to, or null if there is no way. */
  async #way(host: string, port: number): Promise<string | null> {
    const { hosts, forbidden, ports, resolve, reachable, limits } = this.#rules;
    if (!hostIn(hosts, host)) return this.#refuse(host, 'is not in the egress of its chute.toml');
    if (hostIn(forbidden, host)) return this.#refuse(host, 'is forbidden by the miner');
    if (!ports.includes(port)) return this.#refuse(`${host}:${port}`, `only ports ${ports.join(' and ')} are open`);
    if (this.#spent()) return this.#refuse(host, 'the container has had its share of traffic');
    if (this.#lookups >= limits.lookups) return this.#refuse(host, 'has to wait: too many names are looked up at a time');
    this.#lookups++;
    const addresses = await resolve(host)
      .catch(() => [])
      .finally(() => this.#lookups--);
    const address = addresses.find(reachable);
    return address ?? this.#refuse(host, addresses.length === 0 ? 'has no address' : 'leads to an address that is not public');
  }

  #refuse(host: string, why: string): null {
    const line = `connection refused: ${JSON.stringify(host.slice(0, 253))} ${why}`;
    if (this.#told.has(line) || this.#told.size >= this.#rules.limits.told) return null;
    this.#told.add(line);
    this.#rules.refused(line);
    return null;
  }

  #spent(): boolean {
    let bytes = this.#bytes;
    for (const socket of this.#sockets) bytes += traffic(socket);
    return bytes > this.#rules.limits.bytes;
  }

  /** Bounds a connection of either side. */
  #hold(socket: Socket): void {
    const { idleMs, lifeMs } = this.#rules.limits;
    this.#sockets.add(socket);
    const life = setTimeout(() => socket.destroy(), lifeMs).unref();
    socket.setTimeout(idleMs);
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(life);
      this.#sockets.delete(socket);
      this.#bytes += traffic(socket);
    });
  }
}

function traffic(socket: Socket): number {
  return socket.bytesRead + socket.bytesWritten;
}
