/**
 * The relay of one instance: a container of ours that holds its network namespace, and the sockets by which the agent gets
 * into it. It is there before the chute's container, so that from its first instruction the chute finds its proxy.
 */
import { chmodSync, mkdirSync, realpathSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartFailed } from '../runtime.ts';
import type { Forward } from '../runtime.ts';
import type { Engine } from './engine.ts';
import type { OwnLimits } from './own-limits.ts';
import { relayArguments } from './relay-program.ts';
import { relayContainer } from './settings.ts';
import type { Mount } from './settings.ts';

const REPO = 'ripcord.invalid/relay';
// Podman 4 knows no other tag of what is imported.
const TAG = 'latest';
/** Where its container has the folder of sockets. */
const SOCKETS = '/s';
/** A name in the file system that a socket may have, on Linux. */
const SOCKET_PATH_BYTES = 107;

const UP_MS = 30_000;
const POLL_MS = 10;
/** Connections into the agent per port. */
const CONNECTIONS = 256;

/** Brings the empty image that relays are made of onto the engine; its name. What runs in it is mounted. */
export async function relayImage(engine: Engine): Promise<string> {
  const name = `${REPO}:${TAG}`;
  // Two empty blocks: the end of an archive without files.
  if ((await engine.image(name)) === null) await engine.importImage(Buffer.alloc(1024), REPO, TAG);
  return name;
}

export interface RelayOptions {
  engine: Engine;
  image: string;
  /** Container name. */
  name: string;
  labels: Record<string, string>;
  /** Made here; nobody but the agent and its relay may enter it. */
  folder: string;
  /** The port calls go to. */
  port: number;
  forwards: readonly Forward[];
  /** As the engine counts users. */
  user: string;
  own: OwnLimits;
  signal: AbortSignal;
}

export interface Relay {
  id: string;
  /** Leads to the port of the instance. */
  socketPath: string;
  /** Ends the agent's side. */
  close(): void;
}

/** Starts it. Throws `StartFailed` or what the engine says; what was begun is to be removed by name. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const { engine, folder, forwards, signal } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const socketPath = join(folder, 'in');
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES - 4)
    throw new StartFailed(`the path of the data folder is too long for a socket in it (${folder}); give --data a shorter one`);
  const ends = await Promise.all(forwards.map((forward) => listen(forward, join(folder, String(forward.port)))));
  const close = () => ends.forEach((end) => end.close());
  try {
    const command = [
      process.execPath,
      ...relayArguments({
        calls: { socket: join(SOCKETS, 'in'), port: options.port },
        forwards: forwards.map(({ port }) => ({ port, socket: join(SOCKETS, String(port)) })),
      }),
    ];
    const mounts = [...nodeMounts(), { Type: 'bind' as const, Source: folder, Target: SOCKETS, ReadOnly: false }];
    const { image, labels, name, user, own } = options;
    const id = await engine.create(name, relayContainer({ image, user, command, mounts, own, labels }));
    await engine.start(id);
    await untilThere(engine, id, socketPath, signal);
    return { id, socketPath, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** This Node and every library it has loaded, read-only where they are here. */
export function nodeMounts(): Mount[] {
  const report: unknown = process.report.getReport();
  const loaded = typeof report === 'object' && report !== null && 'sharedObjects' in report ? report.sharedObjects : [];
  const libraries = (Array.isArray(loaded) ? loaded : []).filter((f): f is string => typeof f === 'string' && f.startsWith('/'));
  const files = [process.execPath, ...libraries].filter((file) => !file.endsWith('.node'));
  return [...new Set(files)].map((file) => ({ Type: 'bind', Source: realpathSync(file), Target: file, ReadOnly: true }));
}

/** The agent's end of a forward. */
async function listen(forward: Forward, path: string): Promise<{ close(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    forward.accept(socket);
  });
  server.maxConnections = CONNECTIONS;
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  chmodSync(path, 0o600);
  return {
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Resolves once it takes calls: by then it takes everything. */
async function untilThere(engine: Engine, id: string, socketPath: string, signal: AbortSignal): Promise<void> {
  for (let waited = 0; !(await connects(socketPath)); waited += POLL_MS) {
    signal.throwIfAborted();
    if (waited % 1_000 === 0 && waited > 0) {
      const state = await engine.state(id);
      if (!state.running) throw new StartFailed(`the relay of the instance ended (exit code ${state.exitCode} ${state.error})`);
    }
    if (waited > UP_MS) throw new StartFailed('the relay of the instance does not come up');
    await sleep(POLL_MS);
  }
}

function connects(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
