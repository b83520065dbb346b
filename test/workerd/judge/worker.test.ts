/** The judge's Worker in its own runtime: its routes, its cron, and that nothing in a tick needs Node. */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { afterEach, expect, test, vi } from 'vitest';
import worker from '../../../validator-cron/index.ts';
import { verifyHotkey } from '../../../functions/gate/hotkey.ts';
import { QUICKNET } from '../../../functions/protocol/challenge/index.ts';
import { requestText } from '../../../functions/protocol/hello.ts';
import type { JudgeEnv } from '../../../validator-cron/config.ts';
import type { SignerEnv } from '../../../validator-cron/chain/signer.ts';

/** Quicknet's key and its signature of round 1000, on a chain whose round 1000 is out in the slot of the tests. */
const SIGNATURE = 'b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39';
const slot = Math.floor(Date.now() / 60_000) * 60;
const chain = { ...QUICKNET, period: 60, genesis: slot - 999 * 60 };

const env: JudgeEnv = {
  API_ORIGIN: 'https://edge.test',
  JUDGE_SEED: '22'.repeat(32),
  API_KEY: 'rk_test',
  INTERNAL_TOKEN: 'ticker',
  BEACON_CHAIN: JSON.stringify(chain),
  BEACON_URLS: 'https://beacon.test',
};
const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
/** A newcomer's second slot: its work is due. */
const target = {
  target: 'agt_1/cpu0',
  what: 'device',
  since: slot - 60,
  hotkey: ALICE,
  agent: 'agt_1',
  device: 'cpu0',
  instance: null,
};
const instance = {
  instance: 'ins_1',
  chute: 'cht_1',
  name: 'demo/chat',
  version: 'a',
  template: 'openai',
  health: '/health',
  cords: [],
};

/** Without a chain nothing is signed for it, so there is no signer. */
const bound = (of: JudgeEnv) => of as JudgeEnv & SignerEnv;

/** The reply, once everything that the request began is over. */
async function ask(method: string, path: string, authorization?: string, of: JudgeEnv = env, body?: string): Promise<Response> {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  if (body !== undefined) headers['content-length'] = String(body.length);
  const request = new Request<unknown, IncomingRequestCfProperties>(`https://judge.test${path}`, { method, headers, body: body ?? null });
  const ctx = createExecutionContext();
  const reply = await worker.fetch(request, bound(of), ctx);
  await waitOnExecutionContext(ctx);
  return reply;
}

interface Post {
  path: string;
  signed: boolean;
  json: { type?: string; items?: Record<string, unknown>[] };
}

/** An edge behind `fetch`, with one agent that runs one instance; returns what was posted to it. */
function anEdge(): Post[] {
  const posts: Post[] = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const request = new Request(url, init);
    const path = new URL(url).pathname;
    if (url.startsWith('https://beacon.test/')) return Response.json({ round: Number(path.split('/').at(-1)), signature: SIGNATURE });
    if (path === '/audit/agents') return Response.json({ items: [{ agent: 'agt_1', hotkey: ALICE, instances: [instance] }], next: null });
    if (path === '/v1/chat/completions') return new Response('data: {"choices":[{"delta":{"content":"two"}}]}\n\ndata: [DONE]\n\n');
    if (path === '/audit/targets') return Response.json({ items: [target], next: null });
    if (request.method === 'GET') return Response.json({ items: [], next: null });
    const body = new Uint8Array(await request.arrayBuffer());
    const json = JSON.parse(new TextDecoder().decode(body)) as Post['json'] & { id?: string };
    posts.push({ path, signed: await isSigned(request, path, body), json });
    return Response.json(json.type === 'rtt' ? { id: json.id, rtt_ms: 9 } : { items: [{ id: 'chl_1', state: 'started', why: '' }] });
  });
  return posts;
}

async function isSigned(request: Request, target: string, body: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const header = (name: string) => request.headers.get(`x-ripcord-${name}`) ?? '';
  const hash = [...new Uint8Array(await crypto.subtle.digest('SHA-256', body))].map((b) => b.toString(16).padStart(2, '0')).join('');
  const text = requestText({
    origin: env.API_ORIGIN,
    method: request.method,
    target,
    bodySha256: hash,
    timestampMs: Number(header('timestamp')),
    nonce: header('nonce'),
  });
  return verifyHotkey(text, header('signature'), header('hotkey'));
}

afterEach(() => vi.unstubAllGlobals());

test('health says whose judge it is', async () => {
  const reply = await ask('GET', '/health');
  expect(reply.status).toBe(200);
  expect(await reply.json()).toMatchObject({ ok: true, judge: expect.stringMatching(/^5/) });
});

test('a config that cannot work is told, without its values', async () => {
  const reply = await ask('GET', '/health', undefined, { ...env, JUDGE_SEED: 'not-a-seed' });
  expect(reply.status).toBe(503);
  expect(await reply.text()).not.toContain('not-a-seed');
});

test.for([
  ['no token', undefined],
  ['a wrong token', 'Bearer tick'],
  ['the token without its scheme', 'ticker'],
] as const)('a tick with %s is refused', async ([, authorization]) => {
  const posts = anEdge();
  expect((await ask('POST', '/internal/cron', authorization)).status).toBe(401);
  expect(posts).toEqual([]);
});

test('without a token of its own the route does not exist', async () => {
  const { INTERNAL_TOKEN: _, ...bare } = env;
  expect((await ask('POST', '/internal/cron', 'Bearer undefined', bare)).status).toBe(404);
});

test('a tick by HTTP asks for what is due, calls, and signs what it says', async () => {
  const posts = anEdge();
  const reply = await ask('POST', '/internal/cron?whole', 'Bearer ticker');
  expect(reply.status).toBe(200);
  expect(await reply.json()).toMatchObject({
    challenges: { due: expect.any(Number) },
    calls: { agents: 1, observations: 2, ok: 2 },
    failures: [],
  });
  expect(posts.every((p) => p.signed)).toBe(true);
  expect(posts.map((p) => p.path)).toContain('/audit/observations');
});

test('else the calls are made behind the reply', async () => {
  const posts = anEdge();
  const reply = await ask('POST', '/internal/cron', 'Bearer ticker');
  expect(await reply.json()).toMatchObject({ calls: null, failures: [] });
  expect(posts.map((p) => p.path)).toContain('/audit/observations');
});

test('the cron does the same for the minute it was due', async () => {
  const posts = anEdge();
  await worker.scheduled({ scheduledTime: slot * 1000, cron: '* * * * *', noRetry: () => {} } as ScheduledController, bound(env));
  expect(posts.find((p) => p.path === '/audit/observations')?.json.items).toContainEqual(
    expect.objectContaining({ hotkey: ALICE, round: slot }),
  );
});

test.for([
  ['no ids', '{"ids":[]}'],
  ['too many', JSON.stringify({ ids: Array.from({ length: 65 }, () => 'chl_1') })],
  ['no JSON', 'chl_1'],
  ['more than it reads', JSON.stringify({ ids: ['chl_1'], more: 'x'.repeat(9_000) })],
] as const)('a part of the work with %s is refused', async ([, body]) => {
  expect((await ask('POST', '/internal/judge', 'Bearer ticker', env, body)).status).toBe(400);
});

test('a part of the work needs the token', async () => {
  expect((await ask('POST', '/internal/judge', 'Bearer tick', env, '{"ids":["chl_1"]}')).status).toBe(401);
});

test('an edge that is down is a failed tick, not a broken judge', async () => {
  vi.stubGlobal('fetch', async () => new Response('', { status: 503 }));
  expect((await ask('POST', '/internal/cron', 'Bearer ticker')).status).toBe(502);
});
