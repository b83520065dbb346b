/** Starts the floor: one workerd with the bare relay, one bare agent. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { start, type Proc } from '../spawn.ts';
import type { Target } from './target.ts';

const ROOT = join(import.meta.dirname, '../../..');
const WORKERD = join(ROOT, 'node_modules/.bin/workerd');

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ]
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

export async function startFloorEdge(): Promise<{ edge: Proc; port: number; dir: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'ripcord-floor-'));
  await build({
    entryPoints: [join(ROOT, 'test/bench/floor/worker.ts')],
    bundle: true,
    format: 'esm',
    external: ['cloudflare:workers'],
    outfile: join(dir, 'worker.js'),
    logLevel: 'error',
  });
  writeFileSync(join(dir, 'floor.capnp'), CONFIG);
  const edge = await start(WORKERD, ['serve', join(dir, 'floor.capnp'), '--control-fd=3'], {
    channel: 3,
    ready: (line) => line.includes('"listen"'),
  });
  return { edge, port: (JSON.parse(edge.line) as { port: number }).port, dir };
}

export async function startFloor(engine: string): Promise<Target> {
  const { edge, port, dir } = await startFloorEdge();
  const agent = await start(process.execPath, [
    join(ROOT, 'test/bench/floor/agent.ts'),
    `ws://127.0.0.1:${port}/agent/relay`,
    engine,
  ]);
  return {
    name: 'floor',
    origin: `http://127.0.0.1:${port}`,
    headers: {},
    processes: [
      { role: 'edge', pid: edge.pid },
      { role: 'agent', pid: agent.pid },
    ],
    concurrency: Number.POSITIVE_INFINITY,
    version: 'bare relay',
    close: async () => {
      await agent.stop();
      await edge.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
