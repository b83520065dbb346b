import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Jobs } from '../../../miner-agent/adapters/runpod/jobs.ts';
import { workerSide } from '../../../miner-agent/adapters/runpod/worker-side.ts';
import { until } from '../../harness/until.ts';
import { adaptedProcess, ask, started, type Adapted } from './start.ts';

vi.setConfig({ testTimeout: 20_000 });

const DOUBLE = fileURLToPath(new URL('worker-double.mjs', import.meta.url));

describe('a worker of RunPod', () => {
  let worker: Adapted;
  beforeAll(async () => {
    worker = await started(adaptedProcess('runpod', ['node', DOUBLE]));
  });
  afterAll(() => worker.runtime.stop(1_000));

  const runsync = (input: unknown) => ask(worker, 'POST', '/runsync', { body: { input } });

  test('gives the output of a job', async () => {
    const { status, json } = await runsync({ a: 1 });
    expect({ status, json }).toMatchObject({ status: 200, json: { status: 'COMPLETED', output: { echo: { a: 1 } }, workerId: 'ins_1' } });
  });

  test('tells a failure in the same place', async () =>
    expect(await runsync({ fail: 'no such style' })).toMatchObject({ status: 200, json: { status: 'FAILED', error: 'no such style' } }));

  test('news of progress ends no job', async () =>
    expect(await runsync({ progress: 'half' })).toMatchObject({ json: { status: 'COMPLETED', output: { echo: { progress: 'half' } } } }));

  test('what the worker returns is no JSON: the job failed', async () =>
    expect(await runsync({ garbage: true })).toMatchObject({ json: { status: 'FAILED', error: 'the worker returned what is no JSON' } }));

  test('a job that the worker forgot fails once it asks for another', async () =>
    expect(await runsync({ lose: true })).toMatchObject({ json: { status: 'FAILED', error: 'the worker lost the job' } }));

  test('parts of output: as events, or one list at the end', async () => {
    const input = { parts: ['one', { two: 2 }, 3] };
    expect(await runsync(input)).toMatchObject({ json: { status: 'COMPLETED', output: input.parts } });
    for (const [path, headers] of [
      ['/stream', {}],
      ['/runsync', { accept: 'text/event-stream' }],
    ] as const) {
      const { text, headers: got } = await ask(worker, 'POST', path, { body: { input }, headers });
      expect(got['content-type']).toBe('text/event-stream');
      expect(text.split('\n\n').slice(0, 3)).toEqual([
        'event: output\ndata: {"output":"one"}',
        'event: output\ndata: {"output":{"two":2}}',
        'event: output\ndata: {"output":3}',
      ]);
      expect(text).toMatch(/event: completed\ndata: \{"id":"job_.*"status":"COMPLETED"/);
    }
  });

  test('a caller that leaves stops its job; one that waited is never seen', async () => {
    const first = new AbortController();
    const hung = ask(worker, 'POST', '/runsync', { body: { input: { hang: 'first' } }, signal: first.signal }).catch(() => 'left');
    await until('the job to run', () => worker.lines.includes('hang first'));
    const second = new AbortController();
    const waited = ask(worker, 'POST', '/runsync', { body: { input: { hang: 'second' } }, signal: second.signal }).catch(() => 'left');
    const health = () => ask(worker, 'GET', '/health').then(({ json }) => json);
    await until('the second to wait', async () => JSON.stringify(await health()).includes('"inQueue":1'));
    second.abort();
    expect(await waited).toBe('left');
    await until('the second to be gone', async () => JSON.stringify(await health()).includes('"inQueue":0'));
    first.abort();
    expect(await hung).toBe('left');
    await until('the stop', () => worker.lines.includes('stop first'));
    expect(await runsync({ b: 2 })).toMatchObject({ json: { output: { echo: { b: 2 } } } });
    expect(worker.lines).not.toContain('hang second');
  });

  test.each([
    ['no JSON', 'POST', '/runsync', '{', 400, /JSON object/],
    ['no input', 'POST', '/runsync', {}, 400, /input/],
    ['later', 'POST', '/run', { input: 1 }, 404, /Send it to \/runsync/],
    ['another path', 'GET', '/status/1', undefined, 404, /POST \/runsync/],
    ['the pull side', 'GET', '/job-take/pod', undefined, 404, /POST \/runsync/],
    ['too large', 'POST', '/runsync', 'x'.repeat(33 * 1024 * 1024), 413, /at most 33554432 bytes/],
  ])('refuses %s', async (_name, method, path, body, status, words) => {
    const reply = await ask(worker, method, path, { body });
    expect(reply.status).toBe(status);
    expect(reply.text).toMatch(words);
  });
});

test('what a worker posts at once is bounded, whatever number of addresses it posts to', async () => {
  const server = workerSide(new Jobs(), 'token', () => {}, 1_000);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const post = (id: string, more: boolean) => {
    const request = http.request({ port, method: 'POST', path: `/token/job-done/${id}`, agent: false }).on('error', () => {});
    const status = once(request, 'response').then(([response]: http.IncomingMessage[]) => response?.resume().statusCode);
    request.write('x'.repeat(600));
    if (!more) request.end();
    return { request, status };
  };
  const [first, second] = [post('a', true), post('b', true)];
  expect(await Promise.race([first.status, second.status])).toBe(413);
  for (const { request } of [first, second]) request.end();
  expect(new Set(await Promise.all([first.status, second.status]))).toEqual(new Set([200, 413]));
  expect(await post('c', false).status).toBe(200);
  server.close();
});

test('a worker that ends before it asks for a job', async () => {
  const made = adaptedProcess('runpod', ['node', '-e', 'console.log("no model"); process.exit(2)']);
  await expect(started(made)).rejects.toThrow('exit code 2: no model');
  await made.runtime.stop(0);
});

test('a worker that never asks', async () => {
  const made = adaptedProcess('runpod', ['node', '-e', 'setInterval(() => {}, 1000)'], { start_timeout: 1 });
  await expect(started(made)).rejects.toThrow('asked for no job within 1 s');
  await made.runtime.stop(0);
});

test('its address is a secret: without the token nothing is given', async () => {
  const script = 'fetch(new URL("/x/job-take/1", process.env.RUNPOD_WEBHOOK_GET_JOB)).then((r) => console.log("status " + r.status))';
  const made = adaptedProcess('runpod', ['node', '-e', `${script}; setInterval(() => {}, 1000)`]);
  await made.runtime.prepare();
  await made.runtime.start();
  await until('the answer', () => made.lines.includes('status 401'));
  await made.runtime.stop(0);
});
