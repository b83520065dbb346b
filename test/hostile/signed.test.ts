/** Requests signed by a hotkey: exactly this one, here, now, once. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SIGNED_HEADERS, requestText } from '#protocol';
import type { Hotkey } from '../../miner-agent/identity/hotkey.ts';
import { newHotkey } from './raw-agent.ts';
import { edge, problemCode } from './stage.ts';

interface Signed {
  origin: string;
  method: string;
  target: string;
  body: string;
  timestampMs: number;
  nonce: string;
}

const asked = (fields: Partial<Signed> = {}): Signed => ({
  origin: edge.api,
  method: 'GET',
  target: '/accounts/me',
  body: '',
  timestampMs: Date.now(),
  nonce: randomBytes(16).toString('hex'),
  ...fields,
});

function sign(hotkey: Hotkey, it: Signed): Record<string, string> {
  const bodySha256 = createHash('sha256').update(it.body).digest('hex');
  return {
    [SIGNED_HEADERS.hotkey]: hotkey.ss58,
    [SIGNED_HEADERS.timestamp]: String(it.timestampMs),
    [SIGNED_HEADERS.nonce]: it.nonce,
    [SIGNED_HEADERS.signature]: hotkey.sign(requestText({ ...it, bodySha256 })),
  };
}

const send = (it: Signed, headers: Record<string, string>): Promise<Response> =>
  fetch(`${edge.api}${it.target}`, { method: it.method, headers, ...(it.body === '' ? {} : { body: it.body }) });

/** A hotkey with an account. */
async function registered(): Promise<{ hotkey: Hotkey; handle: string }> {
  const hotkey = newHotkey();
  const handle = `s${randomBytes(6).toString('hex')}`;
  const it = asked({ method: 'POST', target: '/accounts', body: JSON.stringify({ handle }) });
  expect((await send(it, sign(hotkey, it))).status).toBe(201);
  return { hotkey, handle };
}

const mine = await registered();

test('the request that was signed passes', async () => {
  const it = asked();
  const reply = await send(it, sign(mine.hotkey, it));
  expect(await reply.json()).toMatchObject({ handle: mine.handle, hotkey: mine.hotkey.ss58 });
});

describe('another than the signed one is refused', () => {
  const post = { method: 'POST', target: '/keys', body: '{"name":"a"}' };
  const table: [string, Partial<Signed>, Partial<Signed>][] = [
    ['method', { method: 'GET', target: '/keys' }, { method: 'POST', body: '{"name":"a"}' }],
    ['DELETE in place of GET', { target: '/keys/key_1' }, { method: 'DELETE' }],
    ['path', { target: '/accounts/me' }, { target: '/keys' }],
    ['a query that was added', { target: '/chutes' }, { target: '/chutes?limit=1' }],
    ['a query that was taken away', { target: '/chutes?limit=1' }, { target: '/chutes' }],
    ['a query in another order', { target: '/chutes?limit=1&after=a' }, { target: '/chutes?after=a&limit=1' }],
    ['body', post, { body: '{"name":"b"}' }],
    ['a body that was added', { method: 'POST', target: '/keys' }, { body: '{"name":"b"}' }],
    ['one space in the body', post, { body: '{"name": "a"}' }],
    ['origin', { origin: 'https://other.example' }, { origin: edge.api }],
    ['origin in other letters', { origin: edge.api.replace('http:', 'HTTP:') }, {}],
    ['timestamp', {}, { timestampMs: Date.now() + 1 }],
    ['nonce', {}, { nonce: randomBytes(16).toString('hex') }],
  ];
  test.each(table)('%s', async (_, signed, sent) => {
    const it = asked(signed);
    const other = { ...it, ...sent };
    const headers = {
      ...sign(mine.hotkey, it),
      [SIGNED_HEADERS.timestamp]: String(other.timestampMs),
      [SIGNED_HEADERS.nonce]: other.nonce,
    };
    const reply = await send(other, headers);
    expect([reply.status, await problemCode(reply)]).toEqual([401, 'invalid_signature']);
  });

  test('by its host header: the origin is the edge’s own', async () => {
    const it = asked({ origin: 'http://evil.example' });
    const reply = await send(it, { ...sign(mine.hotkey, it), 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' });
    expect(await problemCode(reply)).toBe('invalid_signature');
  });

  test.each([
    ['another hotkey named', async () => ({ [SIGNED_HEADERS.hotkey]: (await registered()).hotkey.ss58 })],
    ['a hotkey that is none', () => Promise.resolve({ [SIGNED_HEADERS.hotkey]: 'x' })],
    ['no hotkey', () => Promise.resolve({ [SIGNED_HEADERS.hotkey]: '' })],
    ['a signature of zeros', () => Promise.resolve({ [SIGNED_HEADERS.signature]: '00'.repeat(64) })],
    ['a signature of ones', () => Promise.resolve({ [SIGNED_HEADERS.signature]: 'ff'.repeat(64) })],
    ['half a signature', () => Promise.resolve({ [SIGNED_HEADERS.signature]: '00'.repeat(32) })],
    ['no signature', () => Promise.resolve({ [SIGNED_HEADERS.signature]: '' })],
    ['a timestamp with a fraction', () => Promise.resolve({ [SIGNED_HEADERS.timestamp]: `${Date.now()}.5` })],
    ['a timestamp in words', () => Promise.resolve({ [SIGNED_HEADERS.timestamp]: '1e13' })],
    ['a short nonce', () => Promise.resolve({ [SIGNED_HEADERS.nonce]: 'ab' })],
    ['a nonce in capitals', () => Promise.resolve({ [SIGNED_HEADERS.nonce]: 'AB'.repeat(16) })],
  ])('%s', async (_, over) => {
    const it = asked();
    const reply = await send(it, { ...sign(mine.hotkey, it), ...(await over()) });
    expect([reply.status, await problemCode(reply)]).toEqual([401, 'invalid_signature']);
  });
});

test.each([-31_000, 31_000, -600_000])('%i ms off the clock is refused', async (off) => {
  const it = asked({ timestampMs: Date.now() + off });
  const reply = await send(it, sign(mine.hotkey, it));
  expect([reply.status, await problemCode(reply)]).toEqual([401, 'invalid_signature']);
});

test.each([-28_000, 28_000])('%i ms off the clock passes', async (off) => {
  const it = asked({ timestampMs: Date.now() + off });
  expect((await send(it, sign(mine.hotkey, it))).status).toBe(200);
});

describe('a nonce is good once', () => {
  test('the same request again', async () => {
    const it = asked();
    const headers = sign(mine.hotkey, it);
    expect((await send(it, headers)).status).toBe(200);
    const again = await send(it, headers);
    expect([again.status, await problemCode(again)]).toEqual([409, 'nonce_used']);
  });

  test('many times at once: one passes', async () => {
    const it = asked();
    const headers = sign(mine.hotkey, it);
    const statuses = (await Promise.all(Array.from({ length: 12 }, () => send(it, headers)))).map((reply) => reply.status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array<number>(11).fill(409)]);
  });

  test('signed anew for another route', async () => {
    const it = asked();
    expect((await send(it, sign(mine.hotkey, it))).status).toBe(200);
    const other = asked({ target: '/keys', nonce: it.nonce });
    const reply = await send(other, sign(mine.hotkey, other));
    expect([reply.status, await problemCode(reply)]).toEqual([409, 'nonce_used']);
  });

  test('also after its object was torn down', async () => {
    const it = asked();
    const headers = sign(mine.hotkey, it);
    const { account_id } = (await (await send(it, headers)).json()) as { account_id: string };
    const fault = await fetch(`${edge.api}/internal/fault`, {
      method: 'POST',
      headers: { authorization: `Bearer ${edge.internalToken}` },
      body: JSON.stringify({ object: 'account', id: account_id, how: 'abort' }),
    });
    expect(fault.status).toBe(200);
    const again = await send(it, headers);
    expect([again.status, await problemCode(again)]).toEqual([409, 'nonce_used']);
  });

  test('of one hotkey is not that of another', async () => {
    const it = asked();
    const other = await registered();
    expect((await send(it, sign(mine.hotkey, it))).status).toBe(200);
    expect((await send(it, sign(other.hotkey, it))).status).toBe(200);
  });

  test('that came with a wrong signature is not spent', async () => {
    const it = asked();
    const headers = sign(mine.hotkey, it);
    expect((await send(it, { ...headers, [SIGNED_HEADERS.signature]: '00'.repeat(64) })).status).toBe(401);
    expect((await send(it, headers)).status).toBe(200);
  });
});

describe('whose handle it is', () => {
  test('a taken handle stays where it is', async () => {
    const it = asked({ method: 'POST', target: '/accounts', body: JSON.stringify({ handle: mine.handle }) });
    const reply = await send(it, sign(newHotkey(), it));
    expect([reply.status, await problemCode(reply)]).toEqual([409, 'name_taken']);
  });

  test('a hotkey without an account may sign, and do nothing', async () => {
    const hotkey = newHotkey();
    for (const [method, target, body] of [
      ['GET', '/accounts/me', ''],
      ['GET', '/keys', ''],
      ['POST', '/keys', '{"name":"a"}'],
      ['GET', '/calls', ''],
    ] as const) {
      const it = asked({ method, target, body });
      const reply = await send(it, sign(hotkey, it));
      expect([reply.status, await problemCode(reply)]).toEqual([403, 'insufficient_scope']);
    }
  });
});
