/** Faults put into real agents on a real network: `ripcord-miner doctor` and `GET /miners/{hotkey}/why` name the same true cause. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chuteConfigSchema, type WhyCode } from '#protocol';
import { Client } from '../../cli/client.ts';
import { hotkeyIn, hotkeyOf } from '../../dev/hotkeys.ts';
import { ROOT } from '../../dev/network.ts';
import { keyfileText } from '../../miner-agent/identity/keyfile.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

const REFUSED_SEED = '5a'.repeat(32);
const UNLOADED = `require('http').createServer((q, s) => s.writeHead(503).end()).listen(process.env.PORT, '127.0.0.1')`;
/** In the agent's own process, as what lies on the way would do it: a connection with nothing to say is cut. */
const CUTS = `import net from 'node:net'; const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) { this.once('connect', () => setTimeout(() => this.destroy(), 1200)); return connect.apply(this, args); };`;
const CLOCK = `const Real = Date; globalThis.Date = class extends Real { constructor(...a) { if (a.length) super(...a); else super(Real.now() + 120000); }
static now() { return Real.now() + 120000; } };`;

interface Found {
  id: string;
  status: string;
  cause: string;
  fix: string;
}

let network: TestNetwork;
const rigs: Rig[] = [];
beforeAll(async () => {
  network = await startNetwork({ agents: 0, chutes: [], vars: { REFUSED_HOTKEYS: hotkeyOf(REFUSED_SEED).ss58 } });
});
afterAll(async () => {
  await Promise.all(rigs.map((rig) => rig.end()));
  await network?.close();
});

/** A miner's machine: a home, a config, programs of its own in front of the system's. */
class Rig {
  readonly folder: string;
  readonly hotkey: string;
  readonly #env: Record<string, string>;
  #up: ChildProcess | null = null;
  #said = '';

  constructor(name: string, { config = '', module = '', seed = '' }: { config?: string; module?: string; seed?: string } = {}) {
    this.folder = network.folder.folder('rigs', name);
    const keyFile = join(this.folder, 'hotkey');
    if (seed !== '') writeFileSync(keyFile, keyfileText(Buffer.from(seed, 'hex')), { mode: 0o600 });
    this.hotkey = hotkeyIn(keyFile).ss58;
    const lines = [`api = "${network.api}"`, `hotkey = "${keyFile}"`, `name = "${name}"`, `data = "${join(this.folder, 'data')}"`, config];
    writeFileSync(join(this.folder, 'miner.toml'), `${lines.join('\n')}\n`);
    mkdirSync(join(this.folder, 'bin'));
    this.#env = {
      HOME: this.folder,
      PATH: `${join(this.folder, 'bin')}:${dirname(process.execPath)}:/usr/bin:/bin`,
      // No engine of the machine that runs the tests.
      DOCKER_HOST: 'tcp://nowhere',
      ...(module === '' ? {} : { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(module)}` }),
    };
    rigs.push(this);
  }

  program(name: string, text: string): void {
    writeFileSync(join(this.folder, 'bin', name), text);
    chmodSync(join(this.folder, 'bin', name), 0o755);
  }

  up(): ChildProcess {
    this.#up = this.#run('up', '--drain', '0');
    this.#up.stdout?.on('data', (part: Buffer) => (this.#said += part.toString()));
    this.#up.stderr?.on('data', (part: Buffer) => (this.#said += part.toString()));
    return this.#up;
  }

  said(): string {
    return this.#said;
  }

  async doctor(): Promise<{ code: number | null; of: (id: string) => Found | undefined; text: string }> {
    const child = this.#run('doctor');
    let text = '';
    child.stdout?.on('data', (part: Buffer) => (text += part.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    const { checks, ...rest } = JSON.parse(text) as { checks: Found[] };
    expect(rest).toEqual({});
    for (const check of checks) expect(Object.keys(check)).toEqual(['id', 'status', 'cause', 'fix']);
    return { code, of: (id) => checks.find((check) => check.id === id), text };
  }

  /** As the edge tells everybody. */
  async why(): Promise<WhyCode[]> {
    const reply = await fetch(`${network.api}/miners/${this.hotkey}/why`);
    const { agents = [] } = (await reply.json()) as { agents?: { reasons: { code: WhyCode }[] }[] };
    return agents.flatMap((agent) => agent.reasons.map((reason) => reason.code));
  }

  tells(...codes: WhyCode[]): Promise<unknown> {
    return until(
      `why says ${codes.join(', ')}`,
      async () => {
        const said = await this.why();
        if (codes.every((code) => said.includes(code))) return true;
        throw new Error(`it says ${said.join(', ')}; ${this.said().slice(-500)}`);
      },
      { deadlineMs: 60_000, everyMs: 200 },
    );
  }

  async end(): Promise<void> {
    if (this.#up === null || this.#up.exitCode !== null || this.#up.signalCode !== null) return;
    this.#up.kill('SIGTERM');
    await once(this.#up, 'exit');
  }

  #run(command: string, ...flags: string[]): ChildProcess {
    const args = [join(ROOT, 'miner-agent/bin.ts'), command, '--config', join(this.folder, 'miner.toml'), '--json', ...flags];
    return spawn(process.execPath, args, { cwd: this.folder, env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
  }
}

const because = (status: string, code: string) => ({ status, cause: expect.stringMatching(`^${code}: `), fix: expect.stringMatching(/./) });

/** Resolves when the first test has seen the empty board. */
const nobodyAsks = Promise.withResolvers<void>();

test.concurrent('no demand, a wrong clock, a connection that is cut', async () => {
  const [clock, cut] = [new Rig('clock', { module: CLOCK }), new Rig('cut', { module: CUTS })];
  clock.up();
  cut.up();
  await clock.tells('wrong_clock', 'no_demand');
  const ofClock = await clock.doctor().finally(nobodyAsks.resolve);
  await cut.tells('socket_cut');
  const ofCut = await cut.doctor();
  expect(ofClock.of('clock')).toMatchObject(because('FAIL', 'wrong_clock'));
  expect(ofClock.of('demand')).toMatchObject(because('WARN', 'no_demand'));
  expect(ofCut.of('proxy')).toMatchObject(because('FAIL', 'socket_cut'));
  expect([ofClock.code, ofCut.code]).toEqual([1, 1]);
  await cut.end();
});

test.concurrent('a hotkey that is refused: the agent, doctor and why say so', async () => {
  const rig = new Rig('refused', { seed: REFUSED_SEED });
  const [exit] = (await once(rig.up(), 'exit')) as [number];
  expect([exit, rig.said()]).toEqual([1, expect.stringContaining('This network does not take this hotkey')]);
  const { code, of } = await rig.doctor();
  expect([code, of('hotkey_accepted')]).toEqual([1, expect.objectContaining(because('FAIL', 'refused'))]);
  const reply = await fetch(`${network.api}/miners/${rig.hotkey}/why`);
  expect(await reply.json()).toMatchObject({ detail: 'This network refuses the hotkey.' });
});

test.concurrent('VRAM short, disk full, a start that always fails, a model that does not load, an engine that hangs, a price too high', async () => {
  await nobodyAsks.promise;
  const client = new Client(network);
  const node = join(dirname(process.execPath), 'node');
  const chutes = {
    vram: { command: ['true'], gpu: { min_vram_gb: 640 } },
    disk: { command: ['true'], disk_gb: 16_384 },
    crash: { command: ['false'] },
    unloaded: { command: [node, '-e', UNLOADED], start_timeout: 1 },
    image: { image: `registry.example/x@sha256:${'ab'.repeat(32)}`, port: 80 },
  };
  for (const [name, fields] of Object.entries(chutes)) await client.deploy(chuteConfigSchema.parse({ name, min: 1, ...fields }), null);

  const hung = await hangingEngine(join(network.folder.folder('hung'), 'd.sock'));
  const rig = new Rig('troubled', { config: `engine_socket = "${hung.path}"\nmax_instances = 8\n[allow]\nall = true` });
  rig.program('nvidia-smi', '#!/bin/sh\necho "GPU-1, NVIDIA GeForce RTX 4090, 24564, 570.1, 00000000:01:00.0, 4, 16, 450.00, [N/A]"\n');
  const dear = new Rig('dear', { config: 'min_usd_per_hour = 1000\n[allow]\nall = true' });
  rig.up();
  dear.up();
  await Promise.all([
    rig.tells('vram_short', 'disk_full', 'start_failed', 'engine_unhealthy', 'engine_down'),
    dear.tells('pays_too_little'),
  ]);
  const [ofRig, ofDear] = await Promise.all([rig.doctor(), dear.doctor()]);
  expect(ofRig.of('vram')).toMatchObject(because('WARN', 'vram_short'));
  expect(ofRig.of('disk')).toMatchObject(because('FAIL', 'disk_full'));
  expect(ofRig.of('starts')).toMatchObject(because('WARN', 'start_failed'));
  expect(ofRig.of('models')).toMatchObject({ cause: expect.stringMatching(/^engine_unhealthy: /) });
  expect(ofRig.of('engine')).toMatchObject(because('FAIL', 'engine_down'));
  expect(ofDear.of('price')).toMatchObject(because('WARN', 'pays_too_little'));
  expect(ofRig.code).toBe(1);
  hung.server.close();
});

/** A Unix socket that is answered by nobody. */
async function hangingEngine(path: string): Promise<{ path: string; server: Server }> {
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  server.listen(path);
  await once(server, 'listening');
  return { path, server: server.unref() };
}
