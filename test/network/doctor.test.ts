/** Faults put into real agents on a real network: `ripcord-miner doctor` and `GET /miners/{hotkey}/why` name the same true cause. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { Rig, type RigWish } from '../harness/rig.ts';

const REFUSED_SEED = '5a'.repeat(32);
const UNLOADED = `require('http').createServer((q, s) => s.writeHead(503).end()).listen(process.env.PORT, '127.0.0.1')`;
/** In the agent's own process, as what lies on the way would do it: a connection with nothing to say is cut. */
const CUTS = `import net from 'node:net'; const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) { this.once('connect', () => setTimeout(() => this.destroy(), 1200)); return connect.apply(this, args); };`;
const CLOCK = `const Real = Date; globalThis.Date = class extends Real { constructor(...a) { if (a.length) super(...a); else super(Real.now() + 120000); }
static now() { return Real.now() + 120000; } };`;

let network: TestNetwork;
const rigs: Rig[] = [];
beforeAll(async () => {
  network = await startNetwork({ agents: 0, chutes: [], vars: { REFUSED_HOTKEYS: hotkeyOf(REFUSED_SEED).ss58 } });
});
afterAll(async () => {
  await Promise.all(rigs.map((rig) => rig.end()));
  await network?.close();
});

const rigOf = (name: string, wish?: RigWish): Rig => {
  const rig = new Rig(network, name, wish);
  rigs.push(rig);
  return rig;
};
const because = (status: string, code: string) => ({ status, cause: expect.stringMatching(`^${code}: `), fix: expect.stringMatching(/./) });

/** Resolves when the first test has seen the empty board. */
const nobodyAsks = Promise.withResolvers<void>();

test.concurrent('no demand, a wrong clock, a connection that is cut', async () => {
  const [clock, cut] = [
    rigOf('clock', { module: CLOCK, config: 'drain_seconds = 0' }),
    rigOf('cut', { module: CUTS, config: 'drain_seconds = 0' }),
  ];
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
  const rig = rigOf('refused', { seed: REFUSED_SEED });
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
  const rig = rigOf('troubled', { config: `drain_seconds = 0\nengine_socket = "${hung.path}"\nmax_instances = 8\n[allow]\nall = true` });
  rig.program('nvidia-smi', '#!/bin/sh\necho "GPU-1, NVIDIA GeForce RTX 4090, 24564, 570.1, 00000000:01:00.0, 4, 16, 450.00, [N/A]"\n');
  const dear = rigOf('dear', { config: 'drain_seconds = 0\nmin_usd_per_hour = 1000\n[allow]\nall = true' });
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
