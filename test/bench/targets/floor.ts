/** Starts the floor: one workerd with the bare relay, one bare agent. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { start, type Proc } from '../spawn.ts';
import type { IdleEdge } from '../idle/idle.ts';
import type { Target } from './target.ts';

const ROOT = join(import.meta.dirname, '../../..');
const WORKERD = join(ROOT, 'node_modules/.bin/workerd');

/** The same engine settings as the real edge has. */
const config = (port: number) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker) ],
  sockets = [ (name = "http", address = "127.0.0.1:${port}", http = (), service = "main") ],
  v8Flags = [ "--min-semi-space-size=32", "--max-semi-space-size=64" ]
);
const worker :Workerd.Worker = (
  modules = [ (name = "worker.js", esModule = embed "worker.js") ],
  compatibilityDate = "2026-10-20",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [ (name = "RELAY", durableObjectNamespace = "RelayObject") ],
  durableObjectNamespaces = [ (className = "RelayObject", uniqueKey = "floor", enableSql = true) ],
  durableObjectStorage = (inMemory = void)
);
`;

export async function startFloorEdge(): Promise<IdleEdge> {
  const dir = mkdtempSync(join(tmpdir(), 'ripcord-floor-'));
  await build({
    entryPoints: [join(ROOT, 'test/bench/floor/worker.ts')],
    bundle: true,
    format: 'esm',
    external: ['cloudflare:workers'],
    outfile: join(dir, 'worker.js'),
    logLevel: 'error',
  });
  const serve = (port: number) => {
    writeFileSync(join(dir, 'floor.capnp'), config(port));
    return start(WORKERD, ['serve', join(dir, 'floor.capnp'), '--control-fd=3'], {
      channel: 3,
      ready: (line) => line.includes('"listen"'),
    });
  };
  let edge: Proc = await serve(0);
  const { port } = JSON.parse(edge.line) as { port: number };
  return {
    mode: 'floor',
    origin: `http://127.0.0.1:${port}`,
    pid: () => edge.pid,
    restart: async () => {
      await edge.stop();
      edge = await serve(port);
    },
    close: async () => {
      await edge.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export async function startFloor(engine: string): Promise<Target> {
  const edge = await startFloorEdge();
  const agent = await start(process.execPath, [
    join(ROOT, 'test/bench/floor/agent.ts'),
    `${edge.origin.replace('http', 'ws')}/agent/relay`,
    engine,
  ]);
  return {
    name: 'floor',
    origin: edge.origin,
    headers: {},
    processes: [
      { role: 'edge', pid: edge.pid() },
      { role: 'agent', pid: agent.pid },
    ],
    concurrency: Number.POSITIVE_INFINITY,
    version: 'bare relay',
    close: async () => {
      await agent.stop();
      await edge.close();
    },
  };
}
