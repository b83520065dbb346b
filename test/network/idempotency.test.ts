/** Idempotency-Key against the whole network: one execution, one charge, one answer, whoever asks how often and whatever breaks. */
import { randomBytes, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Client } from '../../cli/client.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { deployEcho, type Echo } from '../harness/echo.ts';
import { rawRequest, type RawReply } from '../harness/http.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory, fault, recordedUsage, usageOf } from '../harness/story.ts';
import { until } from '../harness/until.ts';
import { knownBytes, knownEvents } from './chutes/echo/known.ts';

/** Submits of one key; `test:long` asks for more. */
const DUPLICATES = Number(process.env['RIPCORD_DUPLICATES'] ?? 200);
const IS_LONG = DUPLICATES > 200;
const WAVES = 5;

let network: TestNetwork;
let echo: Echo;

beforeAll(async () => {
  network = await startNetwork();
  echo = await deployEcho(network, { public: true, concurrency: 8 });
});
afterAll(() => network?.close());

interface Ask {
  body?: string;
  method?: string;
  /** Secret key of the caller; default the demo's. */
  as?: string;
  signal?: AbortSignal;
}

function post(path: string, idempotencyKey: string, { body = '{"q":1}', method = 'POST', as = network.key, signal }: Ask = {}) {
  return fetch(network.api + path, {
    method,
    body,
    headers: { authorization: `Bearer ${as}`, 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
    ...(signal ? { signal } : {}),
  });
}

function rawPost(path: string, idempotencyKey: string, body = '{"q":1}'): Promise<RawReply> {
  const headers = { authorization: `Bearer ${network.key}`, 'content-type': 'application/json', 'idempotency-key': idempotencyKey };
  return rawRequest(network.api + path, { method: 'POST', body, headers }).reply;
}

interface Answer {
  status: number;
  type: string | null;
  call: string;
  replayed: boolean;
  text: string;
}

async function answerOf(asked: Response | Promise<Response>): Promise<Answer> {
  const reply = await asked;
  const { status, headers } = reply;
  return {
    status,
    type: headers.get('content-type'),
    call: headers.get('x-request-id') ?? '',
    replayed: headers.get('idempotent-replayed') === 'true',
    text: await reply.text(),
  };
}

/** How often the program got a request with this tag. */
async function executions(tag: string): Promise<number> {
  return (await echo.engines()).flatMap(({ order }) => order).filter((t) => t === tag).length;
}

/** The call is over and on record with one attempt. */
async function billedOnce(call: string): Promise<void> {
  const story = await closedStory(network, call);
  expect(story.attempts).toHaveLength(1);
  await recordedUsage(network, [call]);
  expect(await usageOf(network, [call])).toHaveLength(1);
}

async function newAccount(handle: string): Promise<{ key: string; account: string }> {
  const client = new Client({ api: network.api, hotkey: hotkeyOf(randomBytes(32).toString('hex')) });
  const { account_id: account } = await client.signUp(handle);
  const { secret_key: key } = await client.createKey({ name: 'main', scopes: ['invoke', 'read', 'write', 'keys'] });
  return { key, account };
}

function problem(answer: Answer): { code: string; detail: string; hint?: string } {
  return JSON.parse(answer.text) as { code: string; detail: string };
}

test(`${DUPLICATES} submits of one key, streamed, in waves: one execution, one charge, one answer`, async () => {
  const key = `storm ${randomUUID()}`;
  const path = echo.at('/events?n=80&ms=20&pad=300&tag=storm');
  const whole = knownEvents(80, 300);
  const each = DUPLICATES / WAVES;
  const answers: Promise<Answer>[] = [];
  const wave = () => {
    for (let i = 0; i < each; i++) answers.push(answerOf(post(path, key)));
  };
  wave();
  const watch = await rawPost(path, key);
  for (const part of [0.1, 0.4, 0.8]) {
    await watch.until(Math.floor(whole.length * part));
    wave();
  }
  await watch.over;
  wave();
  const all = await Promise.all(answers);

  expect(watch.body().toString()).toBe(whole);
  const [first] = all;
  for (const answer of all) expect({ ...answer, replayed: true }).toEqual({ ...first, status: 200, text: whole, replayed: true });
  const replayed = all.filter((a) => a.replayed).length + (watch.headers['idempotent-replayed'] === 'true' ? 1 : 0);
  expect(replayed).toBe(all.length);
  expect(await executions('storm')).toBe(1);
  await billedOnce(first?.call ?? '');
});

test('a whole answer: those who come while it runs wait for it', async () => {
  const key = randomUUID();
  const path = echo.at('/hold?ms=600000&tag=joined');
  const first = answerOf(post(path, key));
  await echo.has('joined');
  const others = Array.from({ length: 5 }, () => answerOf(post(path, key)));
  await echo.release('joined');
  const answers = await Promise.all([first, ...others, answerOf(post(path, key))]);
  expect(new Set(answers.map((a) => `${a.status} ${a.type} ${a.call} ${a.text}`)).size).toBe(1);
  expect(answers.map((a) => a.replayed)).toEqual([false, true, true, true, true, true, true]);
  expect(await executions('joined')).toBe(1);
  await billedOnce(answers[0]?.call ?? '');
});

test('the same words and headers from a chat, whole and streamed', async () => {
  const client = new OpenAI({ baseURL: `${network.api}/v1`, apiKey: network.key, maxRetries: 0 });
  const ask = { model: 'demo/chat', messages: [{ role: 'user' as const, content: 'Hello' }], max_tokens: 12, temperature: 1 };
  for (const stream of [false, true]) {
    const headers = { 'Idempotency-Key': `chat ${stream} ${randomUUID()}` };
    const [one, two] = [
      await client.chat.completions.create({ ...ask, stream }, { headers }).asResponse(),
      await client.chat.completions.create({ ...ask, stream }, { headers }).asResponse(),
    ];
    expect(two.headers.get('idempotent-replayed')).toBe('true');
    const kept = (reply: Response) =>
      [...reply.headers].filter(
        ([name]) => !/^(date|idempotent-replayed|transfer-encoding|content-length|connection|keep-alive)$/.test(name),
      );
    expect(kept(two)).toEqual(kept(one));
    expect(await two.text()).toBe(await one.text());
  }
});

describe('the first client leaves', () => {
  test('a second one gets the whole, from the start', async () => {
    const key = randomUUID();
    const path = echo.at('/events?n=60&ms=20&pad=200&tag=left');
    const first = await rawPost(path, key);
    await first.until(2_000);
    first.leave('rst');
    const second = await answerOf(post(path, key));
    expect(second).toMatchObject({ status: 200, replayed: true, call: first.headers['x-request-id'], text: knownEvents(60, 200) });
    expect(await executions('left')).toBe(1);
    await billedOnce(second.call);
  });

  test('nobody reads for longer than an idle object lives: it runs to its end all the same', async () => {
    const key = randomUUID();
    const path = echo.at('/events?n=140&ms=100&pad=40&tag=alone');
    const first = await rawPost(path, key);
    await first.until(100);
    first.leave('rst');
    const call = first.headers['x-request-id'] ?? '';
    expect(await closedStory(network, call, 40_000)).toMatchObject({ state: 'completed', code: '' });
    expect(await answerOf(post(path, key))).toMatchObject({ status: 200, replayed: true, call, text: knownEvents(140, 40) });
    expect(await executions('alone')).toBe(1);
  });

  test('before the answer began: it is there for who comes back', async () => {
    const key = randomUUID();
    const path = echo.at('/hold?ms=600000&tag=early');
    const leaving = new AbortController();
    const first = post(path, key, { signal: leaving.signal }).catch(() => 'left');
    await echo.has('early');
    leaving.abort();
    expect(await first).toBe('left');
    const second = answerOf(post(path, key));
    await echo.release('early');
    expect(await second).toMatchObject({ status: 200, replayed: true });
    expect(await executions('early')).toBe(1);
  });

  if (IS_LONG)
    test('nobody reads for 120 s: it ends, and says so to who comes then', async () => {
      const patient = await deployEcho(network, { name: 'patient', timeout: 300 });
      const key = randomUUID();
      const path = patient.at('/events?n=400&ms=500&tag=paused');
      const left = await rawPost(path, key);
      await left.until(50);
      const at = performance.now();
      left.leave('rst');
      const calls = async () => (await patient.engines()).reduce((sum, { active }) => sum + active, 0);
      await until('the engine is told', async () => (await calls()) === 0, { deadlineMs: 150_000, everyMs: 200 });
      expect(performance.now() - at).toBeGreaterThan(115_000);
      const later = await answerOf(post(path, key));
      expect(later).toMatchObject({ replayed: true, text: expect.stringContaining('Nobody read this answer for 120 s') });
      expect((await patient.engines()).flatMap(({ order }) => order)).toEqual(['paused']);
    }, 200_000);

  test('and stops reading: it holds no other, and is cut in the end', async () => {
    const key = randomUUID();
    // Whoever comes when more is out than is kept comes too late: the program gives both time to be there.
    const path = echo.at('/bytes?n=30000000&first=2000&tag=slow');
    const [first, second] = [rawPost(path, key), echo.has('slow').then(() => rawPost(path, key))];
    const slow = await first;
    slow.pause();
    const fast = await second;
    expect([fast.status, await fast.over, fast.body().length]).toEqual([200, 'end', 30_000_000]);
    slow.resume();
    expect(await slow.over).toBe('cut');
    expect(Buffer.compare(slow.body(), knownBytes(0, slow.body().length))).toBe(0);
    expect(await executions('slow')).toBe(1);
  });

  test('of an answer too large to keep: nobody can come back, so it ends', async () => {
    const key = randomUUID();
    const path = echo.at('/bytes?n=400000000&chunk=65536&ms=1&tag=endless');
    const first = await rawPost(path, key);
    await first.until(2_000_000);
    first.leave('rst');
    const call = first.headers['x-request-id'] ?? '';
    expect(await closedStory(network, call)).toMatchObject({ state: 'cancelled' });
    expect(await answerOf(post(path, key))).toMatchObject({ status: 409, call });
  });
});

describe('another request under the same key', () => {
  test.each([
    ['another body', { body: '{"q":2}' }, '/echo?tag=reused'],
    ['another query', {}, '/echo?tag=reused2'],
    ['another path', {}, '/mirror?tag=reused'],
    ['another method', { method: 'PUT' }, '/echo?tag=reused'],
  ])('%s: 422, and nothing runs', async (_, ask, path) => {
    const key = randomUUID();
    expect((await post(echo.at('/echo?tag=reused'), key)).status).toBe(200);
    const before = await executions('reused');
    const refused = await answerOf(post(echo.at(path), key, ask));
    expect(refused).toMatchObject({ status: 422, replayed: false });
    expect(problem(refused).code).toBe('idempotency_key_reused');
    expect([await executions('reused'), await executions('reused2')]).toEqual([before, 0]);
  });

  test('another key of the same account: 422', async () => {
    const key = randomUUID();
    const other = await new Client(network).createKey({ name: 'second', scopes: ['invoke'] });
    expect((await post(echo.at('/echo'), key)).status).toBe(200);
    expect((await post(echo.at('/echo'), key, { as: other.secret_key })).status).toBe(422);
  });

  test('another account: no relation', async () => {
    const key = randomUUID();
    const other = await newAccount('neighbour');
    const [ours, theirs] = [
      await answerOf(post(echo.at('/echo?tag=ours'), key)),
      await answerOf(post(echo.at('/echo?tag=theirs'), key, { as: other.key })),
    ];
    expect([ours.status, theirs.status, ours.replayed, theirs.replayed]).toEqual([200, 200, false, false]);
    expect(theirs.call).not.toBe(ours.call);
    const again = await answerOf(post(echo.at('/echo?tag=theirs'), key, { as: other.key }));
    expect(again).toEqual({ ...theirs, replayed: true });
  });
});

describe('what is kept', () => {
  test('more than 1 MiB: who reads gets all of it; a replay is 409 with the call, and nothing runs again', async () => {
    const key = randomUUID();
    const path = echo.at('/bytes?n=3000000&chunk=100000&ms=5&tag=large');
    const [first, joined] = await Promise.all([rawPost(path, key), rawPost(path, key)]);
    expect(await Promise.all([first.over, joined.over])).toEqual(['end', 'end']);
    for (const reply of [first, joined]) expect(Buffer.compare(reply.body(), knownBytes(0, 3_000_000))).toBe(0);
    const call = first.headers['x-request-id'] ?? '';
    for (let i = 0; i < 3; i++) {
      const refused = await answerOf(post(path, key));
      expect(refused).toMatchObject({ status: 409, call });
      expect(problem(refused)).toMatchObject({ code: 'idempotent_replay_too_large', hint: expect.stringContaining(call) });
    }
    expect(await executions('large')).toBe(1);
    await billedOnce(call);
  });

  test('just below: kept', async () => {
    const key = randomUUID();
    const path = echo.at('/bytes?n=1040000&tag=fits');
    for (let i = 0; i < 2; i++) expect((await (await post(path, key)).arrayBuffer()).byteLength).toBe(1_040_000);
    expect(await executions('fits')).toBe(1);
  });

  test('what the program itself refuses is its answer', async () => {
    const key = randomUUID();
    const answers = [
      await answerOf(post(echo.at('/echo?status=409&tag=no'), key)),
      await answerOf(post(echo.at('/echo?status=409&tag=no'), key)),
    ];
    expect(answers[0]).toMatchObject({ status: 409, replayed: false });
    expect(answers[1]).toEqual({ ...answers[0], replayed: true });
    expect(await executions('no')).toBe(1);
  });

  test('a reply that breaks after an instance had the request: the same error again, not a second try', async () => {
    const key = randomUUID();
    const path = echo.at('/bytes?n=1000&break=0&tag=broken');
    const answers = [await answerOf(post(path, key)), await answerOf(post(path, key))];
    expect(answers[0]?.status).toBeGreaterThanOrEqual(500);
    expect(answers[1]).toEqual({ ...answers[0], replayed: true });
    expect(await executions('broken')).toBe(1);
  });

  test('nothing of an answer, nor the key, is readable on disk', async () => {
    const marker = randomBytes(24).toString('hex');
    const key = `planted-${randomBytes(24).toString('hex')}`;
    const path = echo.at('/mirror?tag=planted');
    const body = JSON.stringify({ marker });
    const first = await answerOf(post(path, key, { body }));
    expect(first.text).toBe(body);
    expect(await answerOf(post(path, key, { body }))).toMatchObject({ text: body, replayed: true });
    const bytes = everyByteUnder(network.folder.file('edge', 'objects'));
    expect(bytes.includes(first.call)).toBe(true); // the rows of this call are among what is looked at
    expect([bytes.includes(marker), bytes.includes(key)]).toEqual([false, false]);
  });
});

function everyByteUnder(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
}

describe('what is not', () => {
  test('a key that was revoked reads nothing any more', async () => {
    const { key_id: id, secret_key: as } = await new Client(network).createKey({ name: 'gone', scopes: ['invoke'] });
    const key = randomUUID();
    expect((await post(echo.at('/echo'), key, { as })).status).toBe(200);
    expect((await post(echo.at('/echo'), key, { as })).headers.get('idempotent-replayed')).toBe('true');
    await new Client(network).revokeKey(id);
    const refused = await answerOf(post(echo.at('/echo'), key, { as }));
    expect([refused.status, problem(refused).code]).toEqual([401, 'invalid_api_key']);
  });

  test('a refusal before anything happened: the key may be tried again', async () => {
    const { secret_key: as } = await new Client(network).createKey({ name: 'reader', scopes: ['read'] });
    const key = randomUUID();
    for (let i = 0; i < 2; i++) expect(await answerOf(post(echo.at('/echo'), key, { as }))).toMatchObject({ status: 403, replayed: false });
    const strict = await deployEcho(network, { name: 'strict', cords: [{ method: 'GET', path: '/health' }] });
    for (let i = 0; i < 2; i++) {
      const refused = await answerOf(post(strict.at('/echo'), key));
      expect([refused.status, problem(refused).code, refused.replayed]).toEqual([404, 'cord_not_found', false]);
    }
    expect(await answerOf(post(echo.at('/echo'), key))).toMatchObject({ status: 200, replayed: false });
  });

  test('a request that changes nothing takes no part', async () => {
    const key = randomUUID();
    const headers = { authorization: `Bearer ${network.key}`, 'idempotency-key': key };
    for (let i = 0; i < 2; i++) {
      const reply = await fetch(network.api + echo.at('/echo?tag=get'), { headers });
      expect(reply.headers.has('idempotent-replayed')).toBe(false);
    }
    expect(await executions('get')).toBe(2);
  });

  test.each([
    ['empty', ''],
    ['too long', 'x'.repeat(256)],
    ['not ASCII', 'clé'],
    ['with a tab', 'a\tb'],
  ])('a key that is %s: 400', async (_, key) => {
    const refused = await answerOf(post(echo.at('/echo'), key));
    expect([refused.status, problem(refused).code]).toEqual([400, 'invalid_request']);
  });

  test('a key of 255 characters is one', async () => {
    expect((await post(echo.at('/echo'), 'x'.repeat(255))).status).toBe(200);
  });

  test('a body that is streamed: 400, since it cannot be compared', async () => {
    const body = new Blob(['{"q":1}']).stream();
    const reply = await fetch(network.api + echo.at('/echo?tag=streamed'), {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { authorization: `Bearer ${network.key}`, 'idempotency-key': randomUUID() },
    });
    const refused = await answerOf(reply);
    expect([refused.status, problem(refused).code]).toEqual([400, 'invalid_request']);
    expect(refused.text).toContain('Idempotency-Key');
    expect(await executions('streamed')).toBe(0);
  });
});

test("the payer's object goes down under a call: the outcome is unknown, and the call is not run again", async () => {
  const key = randomUUID();
  const path = echo.at('/events?n=200&ms=20&pad=100&tag=evicted');
  const first = await rawPost(path, key);
  await first.until(2_000);
  await fault(network, 'account', network.account);
  await first.over;
  expect(first.body().toString()).not.toContain('[DONE]');
  const call = first.headers['x-request-id'] ?? '';
  for (let i = 0; i < 3; i++) {
    const unknown = await answerOf(post(path, key));
    expect(unknown).toMatchObject({ status: 502, call });
    expect(problem(unknown)).toMatchObject({ code: 'outcome_unknown', hint: expect.stringContaining(call) });
  }
  expect(await executions('evicted')).toBe(1);
  await billedOnce(call);
});

test('what was kept outlives the object', async () => {
  const key = randomUUID();
  const first = await answerOf(post(echo.at('/echo?tag=outlives'), key));
  await fault(network, 'account', network.account);
  expect(await answerOf(post(echo.at('/echo?tag=outlives'), key))).toEqual({ ...first, replayed: true });
});

describe('requests that are no calls', () => {
  const made = async (as: string, name: string) => (await new Client({ api: network.api, key: as }).keys()).filter((k) => k.name === name);

  test('a key is made once, and its secret is told again', async () => {
    const key = randomUUID();
    const body = JSON.stringify({ name: 'once', scopes: ['read'] });
    const answers = await Promise.all(Array.from({ length: 8 }, () => answerOf(post('/keys', key, { body }))));
    answers.push(await answerOf(post('/keys', key, { body })));
    expect(new Set(answers.map((a) => `${a.status} ${a.call} ${a.text}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 201 });
    expect(answers.filter((a) => !a.replayed)).toHaveLength(1);
    expect(await made(network.key, 'once')).toHaveLength(1);
    const { secret_key: secret } = JSON.parse(answers[0]?.text ?? '') as { secret_key: string };
    expect(everyByteUnder(network.folder.file('edge', 'objects')).includes(secret)).toBe(false);
    expect((await post('/keys', key, { body: JSON.stringify({ name: 'twice' }) })).status).toBe(422);
  });

  test('a refusal is not kept', async () => {
    const key = randomUUID();
    const refused = await answerOf(post('/keys', key, { body: '{"name":""}' }));
    expect([refused.status, refused.replayed]).toEqual([400, false]);
    expect(await answerOf(post('/keys', key, { body: '{"name":"valid"}' }))).toMatchObject({ status: 201, replayed: false });
  });

  test('signed by a hotkey: another nonce, the same request', async () => {
    const client = new Client({ api: network.api, hotkey: hotkeyOf(randomBytes(32).toString('hex')) });
    const key = randomUUID();
    const sent = (path: string, body: string) =>
      client.request('POST', path, { headers: { 'content-type': 'application/json', 'idempotency-key': key }, body });
    // Before there is an account there is nobody to keep it for.
    for (let i = 0; i < 2; i++) expect(await answerOf(sent('/accounts', '{"handle":"signer"}'))).toMatchObject({ status: 201 });
    const other = randomUUID();
    const make = () =>
      answerOf(
        client.request('POST', '/keys', {
          headers: { 'content-type': 'application/json', 'idempotency-key': other },
          body: '{"name":"signed"}',
        }),
      );
    const [one, two] = [await make(), await make()];
    expect(one).toMatchObject({ status: 201, replayed: false });
    expect(two).toEqual({ ...one, replayed: true });
    expect(await client.keys()).toHaveLength(1);
  });

  test('nobody learns of a request with a made-up key', async () => {
    const key = randomUUID();
    expect((await post('/keys', key, { body: '{"name":"mine"}' })).status).toBe(201);
    const forged = `${network.key.slice(0, -20)}${'0'.repeat(20)}`;
    expect((await post('/keys', key, { body: '{"name":"mine"}', as: forged })).status).toBe(401);
    expect((await post('/keys', key, { body: '{"name":"mine"}', as: 'none' })).status).toBe(401);
  });
});

test('many keys at once: each runs once', async () => {
  const asked = Array.from({ length: 40 }, (_, i) => {
    const key = randomUUID();
    const path = echo.at(`/echo?tag=many${i}`);
    return Promise.all([answerOf(post(path, key)), answerOf(post(path, key))]);
  });
  for (const [one, two] of await Promise.all(asked)) {
    expect([one.status, two.status, one.text === two.text]).toEqual([200, 200, true]);
    expect(one.replayed !== two.replayed).toBe(true);
  }
  const tags = (await echo.engines()).flatMap(({ order }) => order).filter((tag) => tag.startsWith('many'));
  expect(tags).toHaveLength(40);
  await until('all are over', async () => {
    const { items } = (await (await network.request('/calls')).json()) as { items: { state: string }[] };
    return items.every(({ state }) => state !== 'running');
  });
});
