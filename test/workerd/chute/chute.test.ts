/** Chute and Market objects and their routes in workerd: real rows, real alarms; Postgres is played behind `fetch`. */
import { env as bindings, evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { Hono } from 'hono';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { chutesApi } from '../../../functions/api/chutes.ts';
import { marketApi } from '../../../functions/api/market.ts';
import type { Vars } from '../../../functions/api/vars.ts';
import type { AgentFacts, ClaimAnswer, MarketDoc } from '../../../functions/calls/ports.ts';
import type { Env } from '../../../functions/env.ts';
import { errorResponse } from '../../../functions/errors.ts';
import { accountIdOf, checkId } from '../../../functions/gate/ids.ts';
import { mintKey } from '../../../functions/gate/keys.ts';
import { accountStub, chuteStub, marketStub } from '../../../functions/stubs.ts';

const app = new Hono<{ Bindings: Env; Variables: Vars }>();
for (const api of [chutesApi, marketApi]) app.route('/', api);
app.onError((error) => errorResponse(error, 'problem', 'test'));

const stored = new Map<string, Uint8Array>();
const env: Env = { ...(bindings as unknown as Env), BLOBS: bucket(stored) };

let postgres: { query: string; params: unknown[] }[] = [];
let postgresDown = false;

beforeEach(() => {
  postgres = [];
  postgresDown = false;
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
    if (postgresDown) return new Response('down', { status: 500 });
    postgres.push(JSON.parse(init.body as string) as { query: string; params: unknown[] });
    return Response.json({ command: 'INSERT', rowCount: 0, rows: [], fields: [], rowAsArray: true });
  });
});
afterEach(() => vi.unstubAllGlobals());

/** The part of an R2 bucket that blobs use. */
function bucket(kept: Map<string, Uint8Array>): R2Bucket {
  return {
    put: async (key: string, bytes: Uint8Array) => void kept.set(key, bytes),
    head: async (key: string) => (kept.has(key) ? {} : null),
    get: async (key: string, options: { range?: { offset: number } }) => {
      const bytes = kept.get(key);
      return bytes === undefined ? null : { body: new Response(bytes.slice(options.range?.offset ?? 0)).body };
    },
  } as unknown as R2Bucket;
}

class Developer {
  readonly handle: string;
  account = '';
  key = '';

  constructor(handle: string) {
    this.handle = handle;
  }

  static async make(handle: string): Promise<Developer> {
    const dev = new Developer(handle);
    dev.account = await accountIdOf(handle, env);
    const stub = accountStub(env, dev.account);
    await stub.register({ account: dev.account, hotkey: `5${handle}`, handle });
    const minted = await mintKey(dev.account, env);
    await stub.createKey({ key: minted.key, proof: minted.proof, name: 'test', scopes: ['read', 'write'], expiresAt: null });
    dev.key = minted.secretKey;
    return dev;
  }

  ask(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.key}` };
    if (body === undefined) return Promise.resolve(app.request(`https://edge.test${path}`, { method, headers }, env));
    const raw = body instanceof Uint8Array;
    if (!raw) headers['content-type'] = 'application/json';
    return Promise.resolve(app.request(`https://edge.test${path}`, { method, headers, body: raw ? body : JSON.stringify(body) }, env));
  }

  async json(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
    const reply = await this.ask(method, path, body);
    return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
  }

  async deploy(config: object): Promise<{ id: string; version: string }> {
    const { status, body } = await this.json('POST', '/chutes', { config, code: null });
    expect({ status, body }).toMatchObject({ status: 201 });
    return { id: String(body['chute_id']), version: String(body['version']) };
  }
}

const facts = (agent: string): AgentFacts => ({
  agent,
  hotkey: `5${agent}`,
  inventory: { agentVersion: '1', platform: 'test', runtimes: ['process'], devices: [], region: 'eu' },
});

async function live(chute: string, version: string, agent: string): Promise<string> {
  const stub = chuteStub(env, chute);
  const answer: ClaimAnswer = await stub.claim(facts(agent), version);
  if (answer.kind !== 'grant') throw new Error(answer.code);
  expect(await checkId('ins', answer.instance, env)).toBe(true);
  await stub.report(facts(agent), { instance: answer.instance, chute, version, state: 'live', detail: '' }, 0);
  return answer.instance;
}

test('deploy, look, roll back, delete', async () => {
  const dev = await Developer.make('dora');
  const first = await dev.deploy({ name: 'app', command: ['run'], min: 1, env: { SECRET: 'hush' } });
  const second = await dev.deploy({ name: 'app', command: ['run', 'again'], min: 1 });
  expect(second.id).toBe(first.id);
  expect(await dev.json('POST', '/chutes', { config: { name: 'app', command: ['run', 'again'], min: 1 }, code: null })).toMatchObject({
    body: { created: false, version: second.version, slug: 'dora-app', name: 'dora/app' },
  });
  const instance = await live(first.id, second.version, 'agt_1');
  for (const path of [`/chutes/${first.id}`, '/chutes/dora/app']) {
    expect(await dev.json('GET', path)).toMatchObject({
      status: 200,
      body: {
        chute_id: first.id,
        hot: true,
        public: false,
        instances: [{ instance_id: instance, active: true, state: 'live', region: 'eu' }],
      },
    });
  }
  const versions = await dev.json('GET', '/chutes/dora/app/versions');
  expect(versions.body).toMatchObject({
    items: [
      { version: second.version, current: true },
      { version: first.version, current: false },
    ],
  });
  expect(await dev.json('POST', '/chutes/dora/app/rollback', { version: 'f'.repeat(64) })).toMatchObject({ status: 404 });
  expect(await dev.json('POST', '/chutes/dora/app/rollback', { version: first.version })).toMatchObject({
    body: { version: first.version },
  });
  // The old version still serves while the new pointer waits for its first instance.
  expect((await chuteStub(env, first.id).snapshot())?.instances).toMatchObject([{ instance, state: 'live' }]);
  expect(JSON.stringify(postgres)).not.toContain('hush');
  expect(JSON.stringify(await dev.json('GET', '/chutes/dora/app'))).not.toContain('hush');
  expect((await chuteStub(env, first.id).snapshot())?.config.env).toEqual({ SECRET: 'hush' });
  expect(await dev.json('DELETE', `/chutes/${first.id}`)).toMatchObject({ status: 200, body: { deleted: true } });
  expect(await dev.json('GET', '/chutes/dora/app')).toMatchObject({ status: 404, body: { code: 'chute_not_found' } });
  expect(
    await chuteStub(env, first.id).report(
      facts('agt_1'),
      { instance, chute: first.id, version: second.version, state: 'live', detail: '' },
      0,
    ),
  ).toEqual({ known: false });
});

test('a wrong config names its field', async () => {
  const dev = await Developer.make('wanda');
  const base = { name: 'app', command: ['run'] };
  const cases: [object, string][] = [
    [{ ...base, min: -1 }, 'min'],
    [{ ...base, colour: 'red' }, 'colour'],
    [{ ...base, gpu: { count: 99 } }, 'gpu.count'],
    [{ ...base, gpu: { counts: 1 } }, 'gpu.counts'],
    [{ name: 'app' }, 'image'],
    [{ ...base, min: 5, max: 2 }, 'min'],
    [{ ...base, name: 'Not A Name' }, 'name'],
  ];
  for (const [config, param] of cases) {
    expect(await dev.json('POST', '/chutes', { config, code: null })).toMatchObject({
      status: 400,
      body: { code: 'invalid_config', param },
    });
  }
  const code = { sha256: 'a'.repeat(64), bytes: 5 };
  expect(await dev.json('POST', '/chutes', { config: base, code })).toMatchObject({ status: 400, body: { param: 'code.sha256' } });
  expect(
    (
      await app.request(
        'https://edge.test/chutes',
        { method: 'POST', headers: { authorization: `Bearer ${dev.key}`, 'content-type': 'application/json' }, body: '{' },
        env,
      )
    ).status,
  ).toBe(400);
  expect((await dev.ask('POST', '/chutes', new Uint8Array(300_000))).status).toBe(413);
  expect(postgres).toEqual([]);
});

test('a deploy that Postgres did not take has not happened', async () => {
  const dev = await Developer.make('paul');
  postgresDown = true;
  expect(await dev.json('POST', '/chutes', { config: { name: 'app', command: ['run'] }, code: null })).toMatchObject({
    status: 503,
    body: { code: 'unavailable' },
  });
  expect(await dev.json('GET', '/chutes/paul/app')).toMatchObject({ status: 404 });
});

test("another tenant's private chute is not there, a public one shows its face only", async () => {
  const owner = await Developer.make('olga');
  const other = await Developer.make('oskar');
  const hidden = await owner.deploy({ name: 'hidden', command: ['run'] });
  const shown = await owner.deploy({ name: 'shown', command: ['run'], public: true });
  const routes: [string, string, unknown?][] = [
    ['GET', ''],
    ['DELETE', ''],
    ['GET', '/versions'],
    ['GET', '/logs'],
    ['POST', '/rollback', { version: hidden.version }],
  ];
  for (const [method, tail, body] of routes) {
    for (const at of [`/chutes/${hidden.id}`, '/chutes/olga/hidden', '/chutes/olga/absent', `/chutes/cht_${'0'.repeat(24)}`]) {
      expect({ at, tail, ...(await other.json(method, at + tail, body)) }).toMatchObject({
        status: 404,
        body: { code: 'chute_not_found' },
      });
    }
    const open = await other.json(method, `/chutes/${shown.id}${tail}`, body);
    if (tail === '' && method === 'GET') {
      expect(open).toMatchObject({ status: 200, body: { name: 'olga/shown' } });
      expect(open.body).not.toHaveProperty('command');
    } else expect(open).toMatchObject({ status: 403 });
  }
  expect((await app.request(`https://edge.test/chutes/${shown.id}`, {}, env)).status).toBe(401);
});

test('blobs are named by what they hold, and are of who sent them', async () => {
  const dev = await Developer.make('bob');
  const bytes = new TextEncoder().encode('packed code');
  const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  expect((await dev.ask('HEAD', `/blobs/${digest}`)).status).toBe(404);
  expect((await dev.json('PUT', `/blobs/${'0'.repeat(64)}`, bytes)).status).toBe(400);
  expect(await dev.json('PUT', `/blobs/${digest}`, bytes)).toMatchObject({ status: 201, body: { sha256: digest, bytes: bytes.length } });
  expect((await dev.ask('HEAD', `/blobs/${digest}`)).status).toBe(200);
  expect((await dev.ask('GET', `/blobs/${digest}`)).status).toBe(405);
  await dev.json('POST', '/chutes', { config: { name: 'coded', command: ['run'] }, code: { sha256: digest, bytes: bytes.length } });
  expect(await dev.json('GET', '/chutes/bob/coded/versions')).toMatchObject({ body: { items: [{ code_sha256: digest }] } });

  const thief = await Developer.make('mallory');
  expect((await thief.ask('HEAD', `/blobs/${digest}`)).status).toBe(404);
  const stolen = { config: { name: 'stolen', command: ['run'] }, code: { sha256: digest, bytes: bytes.length } };
  expect(await thief.json('POST', '/chutes', stolen)).toMatchObject({
    status: 400,
    body: { code: 'invalid_config', param: 'code.sha256' },
  });
});

test('the schema is published', async () => {
  const reply = await app.request('https://edge.test/schema/chute.json', {}, env);
  const schema = (await reply.json()) as { properties: Record<string, unknown>; required: string[]; additionalProperties: boolean };
  expect(Object.keys(schema.properties)).toContain('concurrency');
  expect(schema.required).toEqual(['name']);
  expect(schema.additionalProperties).toBe(false);
});

test('the state survives an eviction, and waiting calls ask again', async () => {
  const dev = await Developer.make('eva');
  const { id, version } = await dev.deploy({ name: 'app', command: ['run'], min: 1 });
  const instance = await live(id, version, 'agt_e');
  const stub = chuteStub(env, id);
  const before = await stub.describe();
  const ticket = { call: crypto.randomUUID(), account: dev.account, since: Date.now(), tried: [], deadlineMs: 60_000 };
  expect(await stub.enqueue(ticket)).toMatchObject({ kind: 'admitted', position: 1 });
  await stub.leave(ticket.call);
  await evictDurableObject(stub);
  expect(await stub.describe()).toEqual(before);
  await expect(Promise.resolve(stub.wait(ticket.call).catch((error: Error) => error.message))).resolves.toContain('does not wait here');
  await stub.enqueue(ticket);
  const slot = stub.wait(ticket.call);
  expect(await stub.freed('agt_e', instance)).toBe(ticket.call);
  expect(await slot).toMatchObject({ kind: 'slot', instance: { instance, agent: 'agt_e' } });
});

test('logs are kept, followed live, and closed to other agents', async () => {
  const dev = await Developer.make('lola');
  const { id, version } = await dev.deploy({ name: 'app', command: ['run'], min: 1 });
  const instance = await live(id, version, 'agt_l');
  const stub = chuteStub(env, id);
  const line = (text: string) => ({ at: 1, source: 'out' as const, text });
  await stub.log('agt_l', instance, 0, [line('one'), line('two')]);
  await stub.log('agt_x', instance, 2, [line('forged')]);
  const reply = await dev.ask('GET', '/chutes/lola/app/logs?follow=1');
  expect(reply.headers.get('content-type')).toBe('application/x-ndjson');
  const reader = reply.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const until = async (word: string) => {
    while (!text.includes(word)) text += (await reader?.read())?.value ?? '';
  };
  await until('two');
  await stub.log('agt_l', instance, 2, [line('three')]);
  await until('three');
  await reader?.cancel();
  await stub.report(facts('agt_l'), { instance, chute: id, version, state: 'failed', detail: 'exit code 9' }, 0);
  const kept = new TextDecoder().decode(await (await dev.ask('GET', '/chutes/lola/app/logs')).arrayBuffer());
  const lines = kept
    .trim()
    .split('\n')
    .map((it) => JSON.parse(it) as { seq: number; text: string; source: string; instance_id: string });
  expect(lines.map((it) => it.text)).toEqual(['one', 'two', 'three', expect.stringContaining('exit code 9')]);
  expect(lines.every((it) => it.instance_id === instance)).toBe(true);
  expect(kept).not.toContain('forged');
  expect(await dev.json('GET', '/chutes/lola/app')).toMatchObject({ body: { last_error: { message: 'exit code 9', crash_loop: false } } });
});

test('what a chute wants is on the board, and off it when it is gone', async () => {
  const dev = await Developer.make('mara');
  const { id } = await dev.deploy({ name: 'app', command: ['run'], min: 2, max: 2, public: true });
  const mine = async () => (await marketStub(env).offers()).items.filter((it) => it.chute === id);
  await vi.waitFor(async () => expect(await mine()).toMatchObject([{ need: 2, name: 'mara/app', runtime: 'command' }]), { timeout: 5_000 });
  expect((await marketStub(env).listings()).map((it) => it.chute)).toContain(id);
  const doc = (await (await app.request('https://edge.test/market', {}, env)).json()) as MarketDoc;
  await vi.waitFor(async () => {
    const again = await app.request(`https://edge.test/market?since=${doc.version}`, {}, env);
    expect([200, 304]).toContain(again.status);
    const now = (await (await app.request('https://edge.test/market', {}, env)).json()) as MarketDoc;
    expect((await app.request(`https://edge.test/market?since=${now.version}`, {}, env)).status).toBe(304);
  });
  await evictDurableObject(marketStub(env));
  await vi.waitFor(async () => expect(await mine()).toHaveLength(1), { timeout: 5_000 });
  await dev.json('DELETE', `/chutes/${id}`);
  await vi.waitFor(async () => expect(await mine()).toEqual([]), { timeout: 5_000 });
  expect((await marketStub(env).listings()).map((it) => it.chute)).not.toContain(id);
});

test('an object that was never deployed writes nothing', async () => {
  const stub = chuteStub(env, 'cht_nobody');
  expect(await stub.snapshot()).toBeNull();
  expect(await stub.claim(facts('agt_1'), 'a'.repeat(64))).toMatchObject({ kind: 'refusal', code: 'unknown_chute' });
  await stub.log('agt_1', 'ins_1', 0, [{ at: 1, source: 'out', text: 'x' }]);
  expect(await stub.remove()).toBe(false);
  expect(await runDurableObjectAlarm(stub)).toBe(false);
});
