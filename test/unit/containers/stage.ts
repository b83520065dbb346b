/** A container runtime on a stand-in engine, ready to start instances. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import http from 'node:http';
import { NO_SECRETS, chuteConfigSchema } from '#protocol';
import type { ChuteConfig, Device, Secrets } from '#protocol';
import { freePort } from '../../../dev/ports.ts';
import { CONTAINERS_DEFAULTS, Containers } from '../../../miner-agent/runtimes/container/containers.ts';
import type { ContainersOptions } from '../../../miner-agent/runtimes/container/containers.ts';
import { probeEngine } from '../../../miner-agent/runtimes/container/probe.ts';
import type { EngineFacts } from '../../../miner-agent/runtimes/container/probe.ts';
import type { Endpoint } from '../../../miner-agent/runtimes/endpoint.ts';
import type { Forward, Runtime } from '../../../miner-agent/runtimes/runtime.ts';
import { StandInEngine } from '../../harness/engine/stand-in.ts';
import type { StandInImage } from '../../harness/engine/stand-in.ts';

export const DIGEST = `sha256:${'a'.repeat(64)}`;
export const IMAGE = `registry.example/team/app@${DIGEST}`;

/** Serves 200 with its PORT's owner, tells what it sees, ends when told. */
export const SERVER = `
const http = require('node:http');
console.log('first byte');
console.error('on stderr');
http.createServer((q, r) => r.end('hello ' + q.url)).listen(process.env.PORT, '127.0.0.1');
`;

/** For engines that hang. */
export const HASTY = { engineTimes: { callMs: 200, workMs: 500, removeMs: 300, pullIdleMs: 300 } };
const watchTimes = { lookMs: 200, againMs: 10, diskMs: 20, outputMs: 1_000 };

export interface Started {
  runtime: Runtime;
  lines: string[];
  progress: string[];
  ended: string[];
  aborter: AbortController;
}

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), 'rc-'));
  readonly engine: StandInEngine;
  readonly #runtimes: Runtime[] = [];
  #count = 0;
  constructor(images: Record<string, StandInImage> = { [IMAGE]: { command: [process.execPath, '-e', SERVER] } }) {
    this.engine = new StandInEngine(join(this.folder, 'e.sock'), images);
  }

  async containers(options: Partial<ContainersOptions> = {}): Promise<Containers> {
    const facts = options.facts ?? (await this.facts());
    const places = { dataFolder: join(this.folder, 'd'), cacheFolder: join(this.folder, 'c'), agent: 'hotkey/name' };
    return new Containers({ ...CONTAINERS_DEFAULTS, watchTimes, ...places, freeBytes: async () => null, ...options, facts });
  }

  async facts(): Promise<EngineFacts> {
    const facts = await probeEngine(this.engine.socket);
    if (facts === null) throw new Error('the stand-in engine does not answer');
    return facts;
  }

  async make(
    containers: Containers,
    config: Partial<ChuteConfig> = {},
    more: { secrets?: Secrets; devices?: Device[]; forwards?: Forward[]; account?: string } = {},
  ): Promise<Started> {
    const instance = `ins_${++this.#count}`;
    const folder = join(this.folder, 'd', 'work', instance);
    mkdirSync(folder, { recursive: true });
    const started = { lines: [] as string[], progress: [] as string[], ended: [] as string[], aborter: new AbortController() };
    const runtime = containers.runtime({
      instance,
      spec: {
        chute: 'c',
        name: 'a/b',
        account: more.account ?? 'acc',
        version: 'f'.repeat(64),
        config: chuteConfigSchema.parse({ name: 'b', image: IMAGE, port: await freePort(), start_timeout: 10, memory_mb: 512, ...config }),
        code: null,
      },
      devices: more.devices ?? [],
      secrets: more.secrets ?? NO_SECRETS,
      forwards: more.forwards ?? [],
      folder,
      code: () => Promise.reject(new Error('no code')),
      weights: () => null,
      progress: (detail) => started.progress.push(detail),
      log: (source, text) => started.lines.push(`${source}: ${text}`),
      ended: (detail) => started.ended.push(detail),
      signal: started.aborter.signal,
    });
    this.#runtimes.push(runtime);
    return { ...started, runtime };
  }

  async close(): Promise<void> {
    this.engine.faults.length = 0;
    await Promise.all(this.#runtimes.map((runtime) => runtime.stop(0)));
    await this.engine.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function up({ runtime }: Started): Promise<Endpoint> {
  await runtime.prepare();
  await runtime.start();
  await runtime.ready();
  const endpoint = runtime.endpoint();
  if (endpoint === null) throw new Error('no endpoint');
  return endpoint;
}

export function get(endpoint: Endpoint, path: string): Promise<string> {
  const { socketPath } = endpoint;
  return new Promise((resolve, reject) => {
    const request = http.get(socketPath === null ? { port: endpoint.url.port, path } : { socketPath, path }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
    });
    request.on('error', reject);
  });
}
