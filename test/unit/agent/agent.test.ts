/** The whole agent in this process against a scripted edge and real programs. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FRAME, LIMITS, encodeJson, encodeU64, frame, openBlobSchema, chuteConfigSchema } from '../../../functions/protocol/index.ts';
import { challengeSeed, type Manifest } from '#protocol';
import { checkPossession, ManifestBuilder } from '#protocol/challenge/possession.ts';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { checkWork, type Work } from '#protocol/challenge/work.ts';
import { AgentRefused, runAgent } from '../../../miner-agent/agent.ts';
import { checkConfig, readConfig } from '../../../miner-agent/config.ts';
import type { Flags } from '../../../miner-agent/config.ts';
import type { AgentEvent } from '../../../miner-agent/display.ts';
import { createHotkeyFile } from '../../../miner-agent/identity/hotkey.ts';
import { SocketEdge, parse, until } from './socket-edge.ts';
import { packTar } from './tar-double.ts';

vi.setConfig({ testTimeout: 30_000 });

/** A program as a developer would deploy it: echoes, streams, crashes on demand. */
const PROGRAM = `
import http from 'node:http';
console.log('hello from the program');
console.error('and from its other side');
http.createServer(async (q, s) => {
  if (q.url === '/health') return s.end('ok');
  if (q.url === '/nothing') { s.statusCode = 404; return s.end(); }
  if (q.url === '/env') return s.end(JSON.stringify({ env: process.env, cwd: process.cwd() }));
  if (q.url === '/crash') { console.error('out of luck'); process.exit(7); }
  if (q.url === '/slow') { s.write('begun'); q.socket.on('close', () => console.log('cut off')); return; }
  if (q.url === '/redirect') { s.writeHead(302, { location: '/env' }); return s.end(); }
  if (q.url === '/big') { const part = Buffer.alloc(100_000, 'x'); for (let i = 0; i < 30; i++) if (!s.write(part)) await new Promise((r) => s.once('drain', r)); return s.end(); }
  if (q.url === '/stream') { for (let i = 0; i < 40; i++) { s.write('token ' + i + ' '); await new Promise((r) => setTimeout(r, 5)); } return s.end(); }
  const parts = []; for await (const p of q) parts.push(p);
  s.setHeader('x-asked', JSON.stringify(q.rawHeaders)); s.end(Buffer.concat(parts));
}).listen(Number(process.env.PORT), process.env.HOST);
`;
const CODE = gzipSync(packTar([{ name: 'main.mjs', body: PROGRAM }]));
const SHA = createHash('sha256').update(CODE).digest('hex');
const MANIFEST = manifestOf('main.mjs', PROGRAM);
const VERSION = 'f'.repeat(64);

function manifestOf(path: string, text: string): Manifest {
  const builder = new ManifestBuilder();
  builder.begin(path);
  builder.write(Buffer.from(text));
  builder.end();
  const made = builder.done();
  if (made === null) throw new Error('nothing was written');
  return { root: made.root, leaves: made.leaves };
}

function offer(fields: object = {}) {
  return {
    chute: 'cht_1',
    name: 'demo/echo',
    version: VERSION,
    need: 1,
    urgency: 900,
    bounty_nanousd: 0,
    gpu: null,
    runtime: 'command',
    code: SHA,
    owner: 'acc_demo',
    since: 0,
    ...fields,
  };
}

function grant(config: object = {}, fields: object = {}) {
  const full = chuteConfigSchema.parse({
    name: 'echo',
    command: ['node', 'main.mjs'],
    concurrency: 4,
    start_timeout: 20,
    env: { COLOUR: 'blue' },
    ...config,
  });
  return {
    type: 'grant',
    ref: 'c1',
    instance: 'ins_1',
    deadlineMs: 30_000,
    spec: {
      chute: 'cht_1',
      name: 'demo/echo',
      account: 'acc_demo',
      version: VERSION,
      config: full,
      code: { sha256: SHA, bytes: CODE.byteLength },
      ...fields,
    },
  };
}

let edge: SocketEdge;
let stop: AbortController;
let events: AgentEvent[];
let running: Promise<void>;
let data: string;

beforeEach(async () => {
  edge = await new SocketEdge().start();
  stop = new AbortController();
  events = [];
  running = Promise.resolve();
  data = mkdtempSync(join(tmpdir(), 'agent-'));
});

afterEach(async () => {
  stop.abort();
  await running.catch(() => {});
  await edge.stop();
});

function up(flags: Flags = { allowAccount: ['demo'] }): void {
  const hotkeyFile = join(data, 'hotkey');
  const hotkey = createHotkeyFile(hotkeyFile);
  const config = checkConfig(
    readConfig({ api: edge.origin, hotkey: hotkeyFile, name: 'rig', data: join(data, 'd'), drain: '5', ...flags }),
  );
  running = runAgent({ config, hotkey, tell: (e) => events.push(e), signal: stop.signal });
  running.catch(() => {});
}

/** Serves the agent's request for the code, from the offset it asks. */
async function serveCode(bytes: Buffer = CODE): Promise<void> {
  const open = await until('a blob request', () => edge.frames.find((f) => f.type === FRAME.OPEN));
  const ask = openBlobSchema.parse(parse(open));
  expect(ask).toEqual({ blob: SHA, instance: 'ins_1', offset: 0 });
  edge.send(
    frame(FRAME.HEAD, open.stream, encodeJson({ status: 200, headers: [] })),
    frame(FRAME.DATA, open.stream, bytes),
    frame(FRAME.END, open.stream),
  );
}

async function live(config: object = {}, fields: object = {}): Promise<void> {
  edge.items = [offer()];
  await until('a claim', () => edge.up.find((m) => m.type === 'claim'));
  edge.say(grant(config, fields));
  await serveCode();
  await until('a live instance', () => edge.reports().find((r) => r.state === 'live'));
}

const state = (name: string) => until(`state ${name}`, () => edge.reports().find((r) => r.state === name));
const processesOf = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.pid'));

describe('agent', () => {
  it('claims, fetches, starts, serves and leaves cleanly', async () => {
    up();
    await live();
    const answer = await edge.call(
      2,
      1,
      {
        headers: [
          ['content-type', 'text/x'],
          ['connection', 'x-gone'],
          ['x-gone', '1'],
          ['accept-encoding', 'br'],
          ['host', 'evil'],
        ],
      },
      'over and out',
    );
    expect(answer).toMatchObject({ status: 200, end: { bytes: 12, sha256: createHash('sha256').update('over and out').digest('hex') } });
    expect(answer.body.toString()).toBe('over and out');
    const asked =
      (parse(edge.of(2, FRAME.HEAD)[0] ?? frame(FRAME.HEAD, 0)) as { headers: [string, string][] }).headers.find(
        ([n]) => n === 'x-asked',
      )?.[1] ?? '';
    expect(asked).toContain('text/x');
    expect(asked).not.toMatch(/x-gone|accept-encoding|evil/);
    const { body } = await edge.call(4, 2, { method: 'GET', path: '/env' });
    const seen = JSON.parse(body.toString()) as { env: Record<string, string>; cwd: string };
    expect(
      Object.keys(seen.env)
        .filter((k) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(k))
        .sort(),
    ).toEqual(['COLOUR', 'HOME', 'HOST', 'LANG', 'PATH', 'PORT', 'RIPCORD_INSTANCE', 'TMPDIR']);
    expect(seen.cwd).toContain('ins_1');
    expect((await edge.call(6, 3, { method: 'GET', path: '/redirect' })).status).toBe(302);
    await until('log lines', () =>
      edge.up.some((m) => m.type === 'log' && m.lines.some((l) => l.source === 'err' && l.text === 'and from its other side')),
    );
    const folder = join(data, 'd');
    expect(processesOf(folder)).toHaveLength(1);
    stop.abort();
    await running;
    await until('the close', () => edge.closes.length > 0);
    expect(edge.closes).toEqual([1000]);
    expect(
      edge
        .reports()
        .map((r) => r.state)
        .filter((s, i, all) => s !== all[i - 1]),
    ).toEqual(['starting', 'live', 'draining', 'stopped']);
    expect(processesOf(folder)).toEqual([]);
    expect(existsSync(join(folder, 'work', 'ins_1'))).toBe(false);
  });

  it('lets a running call end before it leaves', async () => {
    up();
    await live();
    edge.open(2, 1, { path: '/stream', method: 'GET' });
    await until('the first token', () => edge.body(2).byteLength > 0);
    stop.abort();
    await until('the end', () => edge.of(2, FRAME.END)[0]);
    expect(edge.body(2).toString()).toMatch(/token 39 $/);
    await running;
    expect(edge.up.some((m) => m.type === 'drain')).toBe(true);
  });

  it('goes on with a stream after the socket broke, byte for byte', async () => {
    up();
    await live();
    edge.open(2, 1, { path: '/big', method: 'GET' });
    await until('a window', () => edge.body(2).byteLength === LIMITS.windowBytes);
    edge.socket.terminate();
    const hello = await until('the next hello', () => edge.up.filter((m) => m.type === 'hello')[1]);
    const [held] = hello.type === 'hello' ? hello.streams : [];
    expect(held).toMatchObject({ stream: 2, kept: 0 });
    expect(held?.produced).toBeGreaterThanOrEqual(LIMITS.windowBytes);
    expect(edge.logins[1]?.sessionKey).toBe(edge.logins[0]?.sessionKey);
    edge.frames = [];
    edge.send(frame(FRAME.RESUME, 2, encodeU64(200_000, 400_000)));
    await until('the credit used', () => edge.body(2).byteLength === 200_000);
    for (let at = 500_000; at <= 3_000_000; at += 500_000) {
      edge.send(
        frame(FRAME.ACK, 2, Uint8Array.from([...encodeU64(200_000 + edge.body(2).byteLength), 1]), 1),
        frame(FRAME.CREDIT, 2, encodeU64(at)),
      );
      await until(`bytes to ${at}`, () => edge.body(2).byteLength === at - 200_000);
    }
    const end = await until('the receipt', () => edge.of(2, FRAME.END)[0]);
    expect(edge.of(2, FRAME.HEAD)).toHaveLength(1);
    expect(parse(end)).toMatchObject({ bytes: 3_000_000, sha256: createHash('sha256').update(Buffer.alloc(3_000_000, 'x')).digest('hex') });
  });

  it('cancels the engine when the edge does', async () => {
    up();
    await live();
    edge.open(2, 1, { path: '/slow', method: 'GET' });
    await until('the first byte', () => edge.body(2).toString() === 'begun');
    edge.send(frame(FRAME.RESET, 2, encodeJson({ code: 'cancelled' })));
    await until('the engine to see it', () => edge.up.some((m) => m.type === 'log' && m.lines.some((l) => l.text === 'cut off')));
  });

  it('reports a crash with its exit code and last line, and fails the call', async () => {
    up();
    await live();
    const { end } = await edge.call(2, 1, { path: '/crash' });
    expect(end).toMatchObject({ code: 'engine_unreachable' });
    expect((await state('failed')).detail).toBe('exit code 7: out of luck');
    edge.open(4, 2, {});
    await until('stale', () => edge.of(4, FRAME.RESET)[0]);
  });

  it.each([
    ['a program that is not there', { command: ['no-such-program'] }, /exit code 127/],
    ['a program that never gets healthy', { health: '/nothing', start_timeout: 1, command: ['node', 'main.mjs'] }, /not healthy after 1 s/],
    ['a program that ends at once', { command: ['node', '-e', 'console.log("bye")'] }, /exit code 0: bye/],
  ])('fails the start of %s', async (_what, config, detail) => {
    up();
    edge.items = [offer()];
    await until('a claim', () => edge.up.find((m) => m.type === 'claim'));
    edge.say(grant({ ...config }));
    await serveCode();
    expect((await state('failed')).detail).toMatch(detail);
    expect(processesOf(join(data, 'd'))).toEqual([]);
  });

  it('refuses code that does not have its hash', async () => {
    up();
    edge.items = [offer()];
    await until('a claim', () => edge.up.find((m) => m.type === 'claim'));
    edge.say(grant());
    const wrong = Buffer.from(CODE);
    wrong[20] = (wrong[20] ?? 0) ^ 1;
    await serveCode(wrong);
    expect((await state('failed')).detail).toMatch(/SHA-256/);
  });

  it('starts nothing whose files are not those of the manifest', async () => {
    up();
    edge.items = [offer()];
    await until('a claim', () => edge.up.find((m) => m.type === 'claim'));
    edge.say(grant({}, { code: { sha256: SHA, bytes: CODE.byteLength, manifest: { ...MANIFEST, root: '0'.repeat(64) } } }));
    await serveCode();
    expect((await state('failed')).detail).toMatch(/^the code folder is not what the version's manifest names/);
    expect(processesOf(join(data, 'd'))).toEqual([]);
  });

  it('proves its CPU and its files', async () => {
    up();
    await live({}, { code: { sha256: SHA, bytes: CODE.byteLength, manifest: MANIFEST } });
    const pulse = { round: 10, randomness: 'ab'.repeat(32) };
    const { hotkey = '' } = edge.logins[0] ?? {};
    const asked = { type: 'challenge', ...pulse, withinMs: 10_000, steps: 4 };
    const work = { kind: 'pow.mm' as const, profile: 'mm-128', target: 'agt_1/cpu0', id: 'chl_1' };
    edge.say({ ...asked, ...work, device: 'cpu0', instance: null });
    const commit = await until('a commit', () => edge.up.find((m) => m.type === 'commit'));
    edge.say({ type: 'sample', id: 'chl_1', round: 12, randomness: 'cd'.repeat(32), token: 'one', withinMs: 10_000 });
    const files = { kind: 'fs' as const, profile: 'fs', target: 'ins_1', id: 'chl_2' };
    edge.say({ ...asked, ...files, device: null, instance: 'ins_1', token: 'two' });
    await until('both openings', () => edge.openings.length === 2);
    const opening = (id: string) => edge.openings.find(({ url }) => url === `/challenges/${id}`);
    expect([opening('chl_1')?.token, opening('chl_2')?.token]).toEqual(['Bearer one', 'Bearer two']);
    const seedOf = (of: typeof work | typeof files) => challengeSeed({ ...of, ...pulse, hotkey });
    const done: Work = { ...asked, ...work, seed: seedOf(work) };
    expect(checkWork(done, commit.root, 'cd'.repeat(32), opening('chl_1')?.bytes ?? Buffer.of(), new Tiles(4))).toBeNull();
    expect(checkPossession({ ...MANIFEST, seed: seedOf(files) }, opening('chl_2')?.bytes ?? Buffer.of())).toBeNull();
    edge.say({ ...asked, ...work, id: 'chl_3', device: 'GPU-1', instance: null });
    expect(await until('a decline', () => edge.up.find((m) => m.type === 'decline'))).toMatchObject({ id: 'chl_3' });
    expect(edge.reports().at(-1)).toMatchObject({ state: 'live', devices: [] });
  });

  it('takes nothing of strangers, says why, and refuses a grant it never asked for', async () => {
    up({});
    edge.items = [offer()];
    const skip = await until('a reason', () => events.find((e) => e.event === 'skip'));
    expect(skip).toMatchObject({ chute: 'demo/echo', reason: expect.stringMatching(/nobody allowed it.*--allow-account demo/) });
    edge.say(grant());
    expect((await state('failed')).detail).toMatch(/refused by the miner/);
    expect(edge.up.some((m) => m.type === 'claim')).toBe(false);
    expect(edge.frames).toEqual([]);
  });

  it('stops an instance with notice', async () => {
    up();
    await live();
    edge.say({ type: 'stop', instance: 'ins_1', reason: 'scaled_down', noticeMs: 1000 });
    expect((await state('stopped')).detail).toBe('scaled_down');
    expect(processesOf(join(data, 'd'))).toEqual([]);
  });

  it('serves with an engine that runs already', async () => {
    up();
    await live();
    // The program of this very agent plays the engine of another.
    const port = Number(
      (JSON.parse((await edge.call(2, 1, { path: '/env', method: 'GET' })).body.toString()) as { env: { PORT: string } }).env.PORT,
    );
    const edge2 = await new SocketEdge().start();
    const stop2 = new AbortController();
    const hotkeyFile = join(data, 'hotkey2');
    const hotkey = createHotkeyFile(hotkeyFile);
    const config = checkConfig(
      readConfig({
        api: edge2.origin,
        hotkey: hotkeyFile,
        name: 'rig2',
        data: join(data, 'd2'),
        drain: '0',
        url: [`bob/llm=http://127.0.0.1:${port}`],
      }),
    );
    const running2 = runAgent({ config, hotkey, tell: () => {}, signal: stop2.signal });
    try {
      edge2.items = [offer({ name: 'bob/llm', runtime: 'image' })];
      await until('a claim', () => edge2.up.find((m) => m.type === 'claim'));
      edge2.say(grant({ command: undefined, image: 'x', port: 80 }, { name: 'bob/llm', account: 'acc_bob' }));
      await until('live', () => edge2.reports().find((r) => r.state === 'live'));
      expect((await edge2.call(2, 1, {}, 'ping')).body.toString()).toBe('ping');
    } finally {
      stop2.abort();
      edge2.socket.terminate();
      await running2;
      await edge2.stop();
    }
  });

  it.each([
    ['says it is another', () => (edge.claimedOrigin = 'https://other.example'), /not signing for another origin/],
    ['does not want it', () => (edge.challengeStatus = 403), /refused the login: no {2}\[2Jsuch hotkey/],
  ])('gives up an edge that %s', async (_what, arrange, why) => {
    arrange();
    up();
    const error = await running.catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AgentRefused);
    expect(String(error)).toMatch(why);
    expect(edge.logins).toEqual([]);
  });

  it('ends when a newer agent takes over', async () => {
    up();
    await until('a login', () => edge.up.length > 0);
    edge.socket.close(4001);
    expect(String(await running.catch((e: unknown) => e))).toMatch(/newer agent/);
  });

  it('does not share its data folder', async () => {
    up();
    await until('a login', () => edge.up.length > 0);
    const hotkeyFile = join(data, 'hotkey3');
    const hotkey = createHotkeyFile(hotkeyFile);
    const config = checkConfig(readConfig({ api: edge.origin, hotkey: hotkeyFile, data: join(data, 'd') }));
    await expect(runAgent({ config, hotkey, tell: () => {}, signal: stop.signal })).rejects.toThrow(/another agent \(pid \d+\) uses/);
  });
});
