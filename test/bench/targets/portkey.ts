/**
 * Starts `@portkey-ai/gateway` as pass-through: no key check, no billing. Installed once, beside the bench and out of git.
 * The overrides are the newest pair with which its streams work: a plain install answers every SSE with 500.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { start } from '../spawn.ts';
import type { Target } from './target.ts';

const PEERS = join(import.meta.dirname, '../.peers');
const VERSION = '1.15.2';
const MANIFEST = {
  private: true,
  dependencies: { '@portkey-ai/gateway': VERSION },
  overrides: { hono: '4.9.7', '@hono/node-server': '1.12.2' },
};

async function install(): Promise<string> {
  const script = join(PEERS, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  if (existsSync(script)) return script;
  mkdirSync(PEERS, { recursive: true });
  writeFileSync(join(PEERS, 'package.json'), JSON.stringify(MANIFEST, null, 2));
  await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--omit=dev'], {
    cwd: PEERS,
    timeout: 180_000,
  });
  return script;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(origin: string, deadline: number): Promise<void> {
  for (;;) {
    const ok = await fetch(origin, { signal: AbortSignal.timeout(1000) }).then(
      (r) => r.ok,
      () => false,
    );
    if (ok) return;
    if (Date.now() > deadline) throw new Error('portkey does not answer');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function startPortkey(engine: string): Promise<Target> {
  const script = await install();
  const port = await freePort();
  const gateway = await start(process.execPath, [script, '--headless', `--port=${port}`], {
    env: { TRUSTED_CUSTOM_HOSTS: '127.0.0.1', NODE_ENV: 'production' },
  });
  const origin = `http://127.0.0.1:${port}`;
  await answers(origin, Date.now() + 20_000);
  return {
    name: 'portkey',
    origin,
    headers: {
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${engine}/v1`,
      authorization: 'Bearer unused',
    },
    processes: [{ role: 'gateway', pid: gateway.pid }],
    concurrency: Number.POSITIVE_INFINITY,
    version: `@portkey-ai/gateway ${VERSION}, hono 4.9.7, @hono/node-server 1.12.2`,
    close: () => gateway.stop(),
  };
}
