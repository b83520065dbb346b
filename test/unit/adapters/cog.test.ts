import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { cogHealth } from '../../../miner-agent/adapters/cog-health.ts';
import { until } from '../../harness/until.ts';
import { adaptedProcess, ask, started } from './start.ts';

vi.setConfig({ testTimeout: 20_000 });

const DOUBLE = fileURLToPath(new URL('cog-double.mjs', import.meta.url));

const model = (states?: unknown[], config = {}) =>
  adaptedProcess('cog', ['node', DOUBLE], { env: states === undefined ? {} : { STATES: JSON.stringify(states) }, ...config });

describe('what a model says of itself', () => {
  test.each([
    ['READY', { status: 'READY' }, 'ready', 'READY'],
    ['BUSY', { status: 'BUSY' }, 'ready', 'BUSY'],
    ['STARTING', { status: 'STARTING', setup: { status: 'starting' } }, 'not_yet', 'setup runs'],
    ['STARTING with a log', { status: 'STARTING', setup: { logs: 'one\nloading weights\n' } }, 'not_yet', 'setup runs: loading weights'],
    ['SETUP_FAILED', { status: 'SETUP_FAILED', setup: { logs: 'a\nno weights' } }, 'gone', 'setup failed: a\nno weights'],
    ['a long log', { status: 'SETUP_FAILED', setup: { logs: `${'x'.repeat(9000)}end` } }, 'gone', `setup failed: ${'x'.repeat(397)}end`],
    ['DEFUNCT', { status: 'DEFUNCT', setup: null }, 'gone', 'the model is defunct'],
    ['UNHEALTHY', { status: 'UNHEALTHY', user_healthcheck_error: 'no GPU' }, 'not_yet', "the model's own health check fails: no GPU"],
    ['a new word', { status: 'NAPPING' }, 'not_yet', '/health-check says NAPPING'],
    ['another server', { ok: true }, 'not_yet', '/health-check is not that of a cog model'],
    ['nothing', null, 'not_yet', '/health-check is not that of a cog model'],
  ])('%s', (_name, body, kind, detail) => expect(cogHealth(body)).toEqual({ kind, detail }));
});

describe('a cog model', () => {
  test('is ready when it says so, not when it answers', async () => {
    const made = model([{ status: 'STARTING' }, { status: 'STARTING', setup: { logs: 'loading weights' } }, { status: 'READY' }]);
    await started(made);
    expect(made.progress.filter((text) => text.startsWith('setup'))).toEqual(['setup runs', 'setup runs: loading weights']);
    await made.runtime.stop(500);
  });

  test('whose setup fails tells the end of its log', async () => {
    const made = model([{ status: 'STARTING' }, { status: 'SETUP_FAILED', setup: { logs: 'RuntimeError: no weights' } }]);
    await expect(started(made)).rejects.toThrow('setup failed: RuntimeError: no weights');
    await made.runtime.stop(0);
  });

  test('that does not get ready in time', async () => {
    const made = model([{ status: 'STARTING' }], { start_timeout: 1 });
    await expect(started(made)).rejects.toThrow('not ready after 1 s: setup runs');
    await made.runtime.stop(0);
  });

  test('that ends during its setup', async () => {
    const made = adaptedProcess('cog', ['node', '-e', 'console.log("no CUDA"); process.exit(4)']);
    await expect(started(made)).rejects.toThrow('exit code 4: no CUDA');
    await made.runtime.stop(0);
  });

  test('answers predictions unchanged: by id, as events, 409 while it is full', async () => {
    const made = await started(model());
    const body = { input: { text: 'a' } };
    expect(await ask(made, 'POST', '/predictions', { body })).toMatchObject({
      status: 200,
      json: { status: 'succeeded', output: { text: 'a' } },
    });
    expect(await ask(made, 'PUT', '/predictions/mine', { body })).toMatchObject({ json: { id: 'mine' } });
    const events = await ask(made, 'POST', '/predictions', { body, headers: { accept: 'text/event-stream' } });
    expect(events.text).toBe('event: start\ndata: {}\n\nevent: completed\ndata: {"output":"A"}\n\n');
    const caller = new AbortController();
    const hung = ask(made, 'POST', '/predictions', { body: { input: { hang: true } }, signal: caller.signal }).catch(() => 'left');
    await until('it to hang', () => made.lines.includes('hang'));
    expect(await ask(made, 'POST', '/predictions', { body })).toMatchObject({ status: 409 });
    caller.abort();
    expect(await hung).toBe('left');
    await until('the cancel', () => made.lines.includes('canceled'));
    await made.runtime.stop(500);
  });
});

test('a model that turns defunct while it serves is ended', async () => {
  const made = model([{ status: 'READY' }, { status: 'DEFUNCT', setup: { logs: 'CUDA error' } }]);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    await started(made);
    vi.advanceTimersByTime(15_000);
  } finally {
    vi.useRealTimers();
  }
  await until('its end', () => made.ended.length > 0);
  expect(made.ended).toEqual(['the model is defunct: CUDA error']);
  await made.runtime.stop(0);
});
