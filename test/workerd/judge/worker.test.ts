/** The judge's Worker in its own runtime: its routes, its cron, and that nothing in a tick needs Node. */
import { afterEach, expect, test, vi } from 'vitest';
import worker from '../../../validator-cron/index.ts';
import { verifyHotkey } from '../../../functions/gate/hotkey.ts';
import { requestText } from '../../../functions/protocol/hello.ts';
import type { JudgeEnv } from '../../../validator-cron/config.ts';

const env: JudgeEnv = {
  API_ORIGIN: 'https://edge.test',
  JUDGE_SEED: '22'.repeat(32),
  API_KEY: 'rk_test',
  INTERNAL_TOKEN: 'ticker',
};
const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const instance = {
  instance: 'ins_1',
  chute: 'cht_1',
  name: 'demo/chat',
  version: 'a',
  template: 'openai',
  health: '/health',
  cords: [],
};

function ask(method: string, path: string, authorization?: string, of: JudgeEnv = env): Promise<Response> {
  const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
  return worker.fetch(new Request<unknown, IncomingRequestCfProperties>(`https://judge.test${path}`, { method, headers }), of);
}

interface Post {
  path: string;
  signed: boolean;
  json: { items?: Record<string, unknown>[] };
}

/** An edge behind `fetch`, with one agent that runs one instance; returns what was posted to it. */
function anEdge(): Post[] {
  const posts: Post[] = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const request = new Request(url, init);
    const path = new URL(url).pathname;
    if (path === '/audit/agents') return Response.json({ items: [{ agent: 'agt_1', hotkey: ALICE, instances: [instance] }], next: null });
    if (path === '/v1/chat/completions') return new Response('data: {"choices":[{"delta":{"content":"two"}}]}\n\ndata: [DONE]\n\n');
    if (request.method === 'GET')
      return Response.json({
        items: posts.flatMap((p) => (p.path === '/audit/observations' ? (p.json.items ?? []) : [])).map((o) => ({ ...o, judge: ALICE })),
        next: null,
      });
    const body = new Uint8Array(await request.arrayBuffer());
    const json = JSON.parse(new TextDecoder().decode(body)) as Post['json'] & { id?: string };
    posts.push({ path, signed: await isSigned(request, path, body), json });
    return Response.json(path === '/audit/challenges' ? { id: json.id, rtt_ms: 9 } : {});
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

test('a tick by HTTP tests, signs, records and scores', async () => {
  const posts = anEdge();
  const reply = await ask('POST', '/internal/cron', 'Bearer ticker');
  expect(reply.status).toBe(200);
  expect(await reply.json()).toMatchObject({ agents: 1, observations: 2, ok: 2 });
  expect(posts.every((p) => p.signed)).toBe(true);
  expect(posts.map((p) => p.path).slice(0, 3)).toEqual(['/audit/challenges', '/audit/observations', '/audit/scores']);
});

test('the cron does the same for the minute it was due', async () => {
  const posts = anEdge();
  const due = Date.now();
  await worker.scheduled({ scheduledTime: due, cron: '* * * * *', noRetry: () => {} } as ScheduledController, env);
  expect(posts.find((p) => p.path === '/audit/scores')?.json.items).toEqual([
    expect.objectContaining({ hotkey: ALICE, round: Math.floor(due / 60_000) }),
  ]);
});

test('an edge that is down is a failed tick, not a broken judge', async () => {
  vi.stubGlobal('fetch', async () => new Response('', { status: 503 }));
  expect((await ask('POST', '/internal/cron', 'Bearer ticker')).status).toBe(502);
});
