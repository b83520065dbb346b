/** Clients that leave: the engine stops working for them, their slot and their place in the line come free. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deployEcho, type Echo } from '../harness/echo.ts';
import { rawRequest } from '../harness/http.ts';
import { DEMO_CHUTES, startNetwork, type TestNetwork } from '../harness/network.ts';
import { closedStory, recordedUsage } from '../harness/story.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
let echo: Echo;
/** One call at a time. */
let single: Echo;
/** Two seconds a call. */
let brief: Echo;

beforeAll(async () => {
  network = await startNetwork({ chutes: DEMO_CHUTES.slice(0, 1) });
  [echo, single, brief] = await Promise.all([
    deployEcho(network),
    deployEcho(network, { name: 'single', concurrency: 1, max: 1 }),
    deployEcho(network, { name: 'brief', timeout: 2 }),
  ]);
});
afterAll(() => network?.close());

const headers = () => ({ authorization: `Bearer ${network.key}` });
const ask = (path: string) => rawRequest(network.api + path, { headers: headers() });

async function activeOf(of: Echo): Promise<number> {
  return (await of.engines()).reduce((sum, engine) => sum + engine.active, 0);
}

/** No hold of a call that is over stays behind. */
function untilNoneRuns(): Promise<unknown> {
  return until('no call runs', async () => {
    const { items } = (await (await network.request('/calls')).json()) as { items: { state: string }[] };
    const running = items.filter(({ state }) => state === 'running');
    if (running.length > 0) throw new Error(JSON.stringify(running));
    return true;
  });
}

describe.each(['fin', 'rst'] as const)('a client that leaves by %s in the middle of', (how) => {
  test.each([
    ['server-sent events', '/events?n=100000&ms=5'],
    ['a stream of bytes', '/bytes?n=100000000&ms=5&chunk=2000'],
    ['bytes as fast as they come', '/bytes?n=4000000000'],
  ])('%s cancels the engine, and pays for what was delivered', async (_, path) => {
    const reply = await ask(echo.at(path)).reply;
    await reply.until(5_000);
    const left = performance.now();
    reply.leave(how);
    await until('the engine stopped', async () => (await activeOf(echo)) === 0, { everyMs: 5 });
    console.log(`  the engine stopped ${Math.round(performance.now() - left)} ms after the client left`);
    const story = await closedStory(network, reply.headers['x-request-id'] ?? '');
    expect(story).toMatchObject({ state: 'cancelled', code: 'cancelled', attempts: [{ outcome: 'cancelled', refused: false }] });
    expect(story.attempts[0]?.bytes).toBeGreaterThanOrEqual(5_000);
    expect(await recordedUsage(network, [story.call_id])).toHaveLength(1);
  });

  test('a chat cancels the model', async () => {
    const body = { model: 'demo/chat', messages: [{ role: 'user', content: 'Go on.' }], max_tokens: 4000, stream: true };
    const reply = await rawRequest(`${network.api}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }).reply;
    await reply.until(1_000);
    reply.leave(how);
    const story = await closedStory(network, reply.headers['x-request-id'] ?? '');
    expect(story).toMatchObject({ state: 'cancelled', attempts: [{ outcome: 'cancelled' }] });
    expect(story.attempts[0]?.tokens_out).toBeGreaterThan(0);
    await until(
      'the model is idle',
      async () => ((await (await network.request('/call/demo/chat/health')).json()) as { active: number }).active === 0,
    );
  });
});

test('a client that aborts its fetch while the upload still runs cancels the engine', async () => {
  const leaving = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await nextTurn();
      controller.enqueue(new Uint8Array(10_000));
    },
  });
  const asked = fetch(network.api + echo.at('/echo?tag=upload'), {
    method: 'POST',
    headers: headers(),
    body,
    duplex: 'half',
    signal: leaving.signal,
  } as RequestInit);
  await until('the engine has the call', async () => (await activeOf(echo)) === 1);
  leaving.abort();
  await expect(asked).rejects.toThrow();
  await until('the engine stopped', async () => (await activeOf(echo)) === 0);
});

test('a client that leaves while it waits for a slot gives its place up, and the next one is served', async () => {
  const first = ask(single.at('/hold?ms=60000&tag=first')).reply;
  await single.has('first');
  const leaver = ask(single.at('/hold?tag=leaver'));
  await single.waiting(1);
  const next = ask(single.at('/hold?ms=1&tag=next')).reply;
  await single.waiting(2);
  leaver.leave('rst');
  await single.waiting(1);
  await single.release('first');
  expect((await first).status).toBe(200);
  expect((await next).status).toBe(200);
  expect((await single.engines())[0]?.order).toEqual(['first', 'next']);
  await untilNoneRuns();
});

test('a client that resets before the reply cancels the engine at once', async () => {
  const leaver = ask(echo.at('/hold?ms=60000&tag=reset'));
  await echo.has('reset');
  const left = performance.now();
  leaver.leave('rst');
  await until('the engine stopped', async () => (await activeOf(echo)) === 0, { everyMs: 5 });
  console.log(`  the engine stopped ${Math.round(performance.now() - left)} ms after the reset`);
  await untilNoneRuns();
});

test('a quiet close before a reply without a stream is not noticed: the call ends at its timeout, and its slot with it', async () => {
  const quiet = ask(brief.at('/hold?ms=60000&tag=quiet'));
  await brief.has('quiet');
  quiet.leave('fin');
  const started = performance.now();
  await until('the engine stopped', async () => (await activeOf(brief)) === 0, { deadlineMs: 10_000 });
  console.log(`  the engine stopped ${Math.round(performance.now() - started)} ms after the client left; the timeout is 2000 ms`);
  expect((await ask(brief.at('/hold?ms=1')).reply).status).toBe(200);
});

test('a call that takes too long: 504 timeout, and the engine is cancelled', async () => {
  const reply = await ask(brief.at('/hold?ms=60000')).reply;
  await reply.over;
  expect(reply.status).toBe(504);
  expect(JSON.parse(reply.body().toString())).toMatchObject({ code: 'timeout' });
  await until('the engine stopped', async () => (await activeOf(brief)) === 0);
  expect(await closedStory(network, reply.headers['x-request-id'] ?? '')).toMatchObject({ state: 'failed', code: 'timeout' });
});

test('a stream that takes too long ends in a typed error event, never in a false end', async () => {
  const reply = await ask(brief.at('/events?n=100000&ms=20')).reply;
  expect(await reply.over).toBe('end');
  const body = reply.body().toString();
  expect(body).not.toContain('[DONE]');
  const last = JSON.parse(body.trimEnd().split('\n').at(-1)?.slice('data: '.length) ?? '') as { error: { code: string } };
  expect(last.error).toMatchObject({ code: 'timeout', request_id: reply.headers['x-request-id'] });
  await until('the engine stopped', async () => (await activeOf(brief)) === 0);
});
