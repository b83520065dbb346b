/**
 * A container engine for tests: Docker's API on a Unix socket, processes for containers. It isolates nothing; it is there to
 * be spoken to, to answer like the real one, and to fail on demand.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CreateBody } from '../../../miner-agent/runtimes/container/settings.ts';
import { API_VERSION, lineProblems, replyProblems, requestProblems, routeOf } from './document.ts';
import type { Route } from './document.ts';

/** An image that can be pulled. */
export interface StandInImage {
  command: string[];
  /** Without these it is not given. */
  login?: { username: string; password: string };
  /** What it has once it is here, if not what its name says. */
  digest?: string;
  /** Bytes of its layers. */
  layers?: number[];
  /** Paths it declares as volumes. */
  volumes?: string[];
}

/** What goes wrong with requests that match, `times` times. */
export interface Fault {
  match: RegExp;
  times: number;
  how: 'hang' | 'cut' | { status: number; message: string };
}

interface Container {
  id: string;
  name: string;
  body: CreateBody;
  status: 'created' | 'running' | 'exited';
  exitCode: number;
  outOfMemory: boolean;
  child: ChildProcess | null;
  frames: Buffer[];
  /** Called with a frame, or null at the end. */
  readers: Set<(frame: Buffer | null) => void>;
  ended: Promise<void>;
}

export class StandInEngine {
  /** Everything that did not fit Docker's document, of either side. */
  readonly problems: string[] = [];
  /** `METHOD /path` of every request, without the version. */
  readonly requests: string[] = [];
  readonly created: { name: string; body: CreateBody }[] = [];
  readonly faults: Fault[] = [];
  readonly images = new Set<string>();
  readonly #containers = new Map<string, Container>();
  readonly #sockets = new Set<Socket>();
  readonly #pullable: Record<string, StandInImage>;
  #server: Server | null = null;
  readonly socket: string;

  constructor(socket: string, pullable: Record<string, StandInImage>) {
    this.socket = socket;
    this.#pullable = pullable;
  }

  async listen(): Promise<void> {
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve) => this.#server?.listen(this.socket, resolve));
  }

  /** Every connection breaks; with `down`, no new one is taken until `listen`. Containers run on. */
  async lose(down: boolean): Promise<void> {
    if (down) this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    await sleep(0);
  }

  async close(): Promise<void> {
    await this.lose(true);
    await Promise.all([...this.#containers.values()].map((container) => this.#end(container, 'SIGKILL')));
  }

  /** Names of containers that are there. */
  names(): string[] {
    return [...this.#containers.values()].map((c) => c.name);
  }

  /** As the kernel does when memory is out. */
  killForMemory(name: string): void {
    const container = this.#find(name);
    if (container === null) return;
    container.outOfMemory = true;
    container.child?.kill('SIGKILL');
  }

  pidOf(name: string): number {
    return this.#find(name)?.child?.pid ?? 0;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://engine');
    const path = url.pathname.replace(/^\/v1\.\d+/, '');
    const line = `${request.method} ${path}`;
    this.requests.push(line);
    const fault = this.faults.find((f) => f.times > 0 && f.match.test(line));
    if (fault !== undefined) {
      fault.times--;
      if (fault.how === 'hang') return;
      if (fault.how === 'cut') return void request.socket.destroy();
    }
    const route = routeOf(request.method ?? '', path);
    if (route === null) {
      this.problems.push(`${line} is not in the document`);
      return void response.writeHead(404).end('{"message":"page not found"}');
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    const isTar = request.headers['content-type'] === 'application/tar';
    const body: unknown = raw.length === 0 || isTar ? undefined : JSON.parse(raw.toString());
    const reply = (status: number, value?: unknown) => this.#reply(route, response, line, status, value);
    const wrong = requestProblems(route, url.searchParams, body);
    this.problems.push(...wrong.map((problem) => `${line}: ${problem}`));
    if (wrong.length > 0) return reply(route.operation.responses['400'] === undefined ? 500 : 400, { message: wrong.join('; ') });
    if (typeof fault?.how === 'object') return reply(fault.how.status, { message: fault.how.message });
    await this.#answer(route, line, url.searchParams, body, request, response, reply);
  }

  #reply(route: Route, response: ServerResponse, line: string, status: number, value?: unknown): void {
    // Read back as it is sent: a field that is undefined is none.
    const text = value === undefined ? '' : JSON.stringify(value);
    const sent: unknown = text === '' ? undefined : JSON.parse(text);
    this.problems.push(...replyProblems(route, status, sent).map((problem) => `reply ${status} to ${line}: ${problem}`));
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  }

  async #answer(
    route: Route,
    line: string,
    query: URLSearchParams,
    body: unknown,
    request: IncomingMessage,
    response: ServerResponse,
    reply: (status: number, value?: unknown) => void,
  ): Promise<void> {
    switch (line.split(' ')[0] + ' ' + route.path) {
      case 'GET /version':
        return reply(200, {
          Version: '28.2.2',
          ApiVersion: API_VERSION,
          MinAPIVersion: '1.24',
          Os: 'linux',
          Components: [{ Name: 'Engine', Version: '28.2.2' }],
        });
      case 'GET /info':
        return reply(200, {
          DockerRootDir: '/',
          NCPU: 4,
          MemTotal: 8 * 2 ** 30,
          SecurityOptions: ['name=seccomp,profile=builtin'],
          CgroupVersion: '2',
        });
      case 'GET /distribution/{name}/json': {
        const denied = this.#denial(route.name, request);
        if (denied !== null) return reply(401, { message: denied });
        return reply(200, { Descriptor: { digest: route.name.split('@')[1] ?? '' }, Platforms: [] });
      }
      case 'POST /images/create':
        return this.#pull(query, request, response);
      case 'GET /images/{name}/json': {
        if (!this.images.has(route.name)) return reply(404, { message: `No such image: ${route.name}` });
        const digest = this.#pullable[route.name]?.digest;
        const repoDigest = digest === undefined ? route.name : `${route.name.split('@')[0]}@${digest}`;
        const volumes = Object.fromEntries((this.#pullable[route.name]?.volumes ?? []).map((path) => [path, {}]));
        return reply(200, {
          Id: `sha256:${'1'.repeat(64)}`,
          RepoDigests: route.name.includes('@') ? [repoDigest] : [],
          Size: 1024,
          Config: { Volumes: volumes },
        });
      }
      case 'DELETE /images/{name}':
        return this.images.delete(route.name) ? reply(200, [{ Untagged: route.name }]) : reply(404, { message: 'No such image' });
      case 'GET /containers/json': {
        const filters = JSON.parse(query.get('filters') ?? '{}') as { label?: string[] };
        const has = (c: Container) =>
          (filters.label ?? []).every((l) => Object.entries(c.body.Labels).some(([k, v]) => l === k || l === `${k}=${v}`));
        return reply(
          200,
          [...this.#containers.values()]
            .filter(has)
            .map((c) => ({ Id: c.id, Names: [`/${c.name}`], Labels: c.body.Labels, State: c.status })),
        );
      }
      case 'POST /containers/create':
        return this.#create(query.get('name') ?? '', body as CreateBody, reply);
    }
    const container = this.#find(route.name);
    if (container === null) return reply(404, { message: `No such container: ${route.name}` });
    switch (line.split(' ')[0] + ' ' + route.path) {
      case 'GET /containers/{id}/json':
        return reply(200, { Id: container.id, Name: `/${container.name}`, State: stateOf(container) });
      case 'POST /containers/{id}/start':
        return this.#start(container, reply);
      case 'POST /containers/{id}/stop':
        if (container.status !== 'running') return reply(304);
        await this.#stop(container, Number(query.get('t') ?? 10) * 1000);
        return reply(204);
      case 'POST /containers/{id}/wait':
        if (container.status === 'running') await container.ended;
        return reply(200, { StatusCode: container.exitCode });
      case 'GET /containers/{id}/logs':
        return follow(container, response);
      case 'DELETE /containers/{id}':
        if (container.status === 'running' && query.get('force') !== 'true') return reply(409, { message: 'the container is running' });
        await this.#end(container, 'SIGKILL');
        this.#containers.delete(container.id);
        return reply(204);
    }
  }

  async #pull(query: URLSearchParams, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const say = (line: object) => {
      this.problems.push(...lineProblems(line).map((problem) => `line of a pull: ${problem}`));
      response.write(`${JSON.stringify(line)}\r\n`);
    };
    response.writeHead(200, { 'content-type': 'application/json' });
    const name = query.get('fromImage');
    if (name === null) {
      this.images.add(`${query.get('repo')}:${query.get('tag')}`);
      say({ status: `sha256:${'0'.repeat(64)}` });
      return void response.end();
    }
    const image = this.#pullable[name];
    // As Docker does: what is here is given without asking.
    const denied = this.images.has(name) ? null : this.#denial(name, request);
    if (image === undefined || denied !== null) {
      const message = denied ?? 'unknown';
      say({ errorDetail: { message }, error: message });
      return void response.end();
    }
    const layers = image.layers ?? [1000];
    for (const i of layers.keys()) say({ status: 'Pulling fs layer', progressDetail: {}, id: `layer${i}` });
    for (const [i, total] of layers.entries()) {
      say({ status: 'Downloading', progressDetail: { current: Math.floor(total / 2), total }, id: `layer${i}` });
      say({ status: 'Pull complete', progressDetail: {}, id: `layer${i}` });
    }
    say({ status: `Digest: ${name.split('@')[1]}` });
    this.images.add(name);
    response.end();
  }

  /** What a registry says to who may not have this image; null: it is given. */
  #denial(name: string, request: IncomingMessage): string | null {
    const image = this.#pullable[name];
    if (image === undefined) return `manifest for ${name} not found`;
    const auth = request.headers['x-registry-auth'];
    const given =
      typeof auth === 'string' && auth.length % 4 === 0
        ? (JSON.parse(Buffer.from(auth, 'base64url').toString()) as { username: string; password: string })
        : null;
    const { login } = image;
    const fits = login === undefined || (given?.username === login.username && given.password === login.password);
    return fits ? null : 'pull access denied, authentication required';
  }

  #create(name: string, body: CreateBody, reply: (status: number, value?: unknown) => void): void {
    if (this.#find(name) !== null) return reply(409, { message: `Conflict. The container name "/${name}" is already in use` });
    if (!this.images.has(body.Image)) return reply(404, { message: `No such image: ${body.Image}` });
    const id = randomBytes(32).toString('hex');
    this.created.push({ name, body });
    this.#containers.set(id, {
      id,
      name,
      body,
      status: 'created',
      exitCode: 0,
      outOfMemory: false,
      child: null,
      frames: [],
      readers: new Set(),
      ended: Promise.resolve(),
    });
    reply(201, { Id: id, Warnings: [] });
  }

  #start(container: Container, reply: (status: number, value?: unknown) => void): void {
    const { body } = container;
    const [program = '', ...args] = [...(body.Entrypoint ?? this.#pullable[body.Image]?.command ?? []), ...(body.Cmd ?? [])];
    // A process sees the machine's folders: what a mount would bring to a path is named by where it is.
    const writable = body.HostConfig.Mounts.filter((m) => !m.ReadOnly);
    const here = (text: string) => writable.reduce((t, m) => t.replaceAll(`"${m.Target}/`, `"${m.Source}/`), text);
    const env = Object.fromEntries(body.Env.map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)]));
    const child = spawn(program, args.map(here), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    container.child = child;
    child.once('error', (error) => reply(404, { message: `exec: ${error.message}` }));
    child.once('spawn', () => {
      container.status = 'running';
      container.ended = new Promise((resolve) => child.once('close', () => resolve()));
      child.once('close', (code, signal) => {
        container.status = 'exited';
        container.exitCode = code ?? 128 + (signal === 'SIGKILL' ? 9 : 15);
        for (const reader of container.readers) reader(null);
      });
      for (const [kind, stream] of [
        [1, child.stdout],
        [2, child.stderr],
      ] as const)
        stream?.on('data', (bytes: Buffer) => {
          const head = Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]);
          head.writeUInt32BE(bytes.length, 4);
          const frame = Buffer.concat([head, bytes]);
          container.frames.push(frame);
          for (const reader of container.readers) reader(frame);
        });
      reply(204);
    });
  }

  async #stop(container: Container, graceMs: number): Promise<void> {
    container.child?.kill('SIGTERM');
    const kill = setTimeout(() => container.child?.kill('SIGKILL'), graceMs);
    await container.ended;
    clearTimeout(kill);
  }

  async #end(container: Container, signal: NodeJS.Signals): Promise<void> {
    container.child?.kill(signal);
    if (container.status === 'running') await container.ended;
  }

  #find(name: string): Container | null {
    return [...this.#containers.values()].find((c) => c.id === name || c.name === name) ?? null;
  }
}

function stateOf(container: Container): object {
  const { status, exitCode, outOfMemory } = container;
  return { Status: status, Running: status === 'running', OOMKilled: outOfMemory, ExitCode: exitCode, Error: '' };
}

function follow(container: Container, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/vnd.docker.multiplexed-stream' });
  response.flushHeaders();
  for (const frame of container.frames) response.write(frame);
  if (container.status === 'exited') return void response.end();
  const reader = (frame: Buffer | null) => (frame === null ? response.end() : response.write(frame));
  container.readers.add(reader);
  response.once('close', () => container.readers.delete(reader));
}
