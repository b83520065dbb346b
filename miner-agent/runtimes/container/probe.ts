/** Which container engine this machine has: Docker Engine, or the Docker-compatible service of Podman. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Engine } from './engine.ts';

export interface EngineFacts {
  name: 'docker' | 'podman';
  version: string;
  socket: string;
  /** It runs with the rights of an ordinary user, and so does everything in its containers. */
  rootless: boolean;
  /** Folder of its images, for the free space there. */
  root: string;
  cpus: number;
  memoryMb: number;
}

/** Sockets in the order they are tried; `configured` alone where the config names one, else DOCKER_HOST alone where it is set. */
export function engineSockets(configured: string | null, env: NodeJS.ProcessEnv = process.env): string[] {
  if (configured !== null) return [configured.replace(/^unix:\/\//, '')];
  const host = env['DOCKER_HOST'] ?? '';
  // An engine on another machine cannot reach this agent's sockets and folders.
  if (host !== '') return host.startsWith('unix://') ? [host.slice('unix://'.length)] : [];
  const runtime = env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.() ?? 0}`;
  return [
    join(runtime, 'docker.sock'),
    join(homedir(), '.docker', 'run', 'docker.sock'),
    '/var/run/docker.sock',
    join(runtime, 'podman', 'podman.sock'),
    '/run/podman/podman.sock',
  ];
}

/** The first engine that answers, or null. Takes a few seconds at most. */
export async function probeEngine(configured: string | null = null): Promise<EngineFacts | null> {
  for (const socket of engineSockets(configured)) {
    if (!existsSync(socket)) continue;
    const facts = await factsOf(socket).catch(() => null);
    if (facts !== null) return facts;
  }
  return null;
}

async function factsOf(socket: string): Promise<EngineFacts> {
  const engine = new Engine(socket);
  const [version, info] = [await engine.version(), await engine.info()];
  return {
    name: version.components.some((name) => name.startsWith('Podman')) ? 'podman' : 'docker',
    version: version.version,
    socket,
    rootless: info.rootless,
    root: info.root,
    cpus: info.cpus,
    memoryMb: Math.floor(info.memoryBytes / 2 ** 20),
  };
}
