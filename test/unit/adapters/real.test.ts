/**
 * The adapters over the packages themselves, where RIPCORD_PYTHON names a Python that has `runpod` and `cog`:
 * `python3 -m venv v && v/bin/pip install runpod cog`, then `RIPCORD_PYTHON=$PWD/v/bin/python npx vitest run test/unit/adapters`.
 */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { until } from '../../harness/until.ts';
import { adaptedProcess, ask, started, type Adapted } from './start.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const PYTHON = process.env['RIPCORD_PYTHON'] ?? '';
const here = (file: string) => fileURLToPath(new URL(`real/${file}`, import.meta.url));
/** cog starts its worker as `python`. */
const PATH = [dirname(PYTHON), process.env['PATH'] ?? ''].join(delimiter);

describe.skipIf(PYTHON === '')('a worker of the runpod package', () => {
  let worker: Adapted;
  beforeAll(async () => {
    worker = await started(adaptedProcess('runpod', [PYTHON, '-u', here('worker.py')]));
  });
  afterAll(() => worker.runtime.stop(5_000));
  const runsync = (input: unknown) => ask(worker, 'POST', '/runsync', { body: { input } });

  test('jobs, failures, progress', async () => {
    expect(await runsync({ echo: 'a' })).toMatchObject({ status: 200, json: { status: 'COMPLETED', output: { echo: 'a' } } });
    expect(await runsync({ raise: 'no such style' })).toMatchObject({
      json: { status: 'FAILED', error: expect.stringContaining('no such style') as string },
    });
    expect(await runsync({ progress: 'half', echo: 'b' })).toMatchObject({ json: { status: 'COMPLETED', output: { echo: 'b' } } });
  });

  test('two at a time, and a stop reaches the job of a caller that left', async () => {
    const caller = new AbortController();
    const hung = ask(worker, 'POST', '/runsync', { body: { input: { sleep: 600 } }, signal: caller.signal }).catch(() => 'left');
    await until('the job to run', () => worker.lines.some((line) => line.includes('sleeps')));
    expect(await runsync({ echo: 'beside it' })).toMatchObject({ json: { status: 'COMPLETED' } });
    caller.abort();
    expect(await hung).toBe('left');
    await until('the stop', () => worker.lines.some((line) => line.includes('cancelled in its sleep')));
    expect(await runsync({ echo: 'after it' })).toMatchObject({ json: { output: { echo: 'after it' } } });
  });
});

describe.skipIf(PYTHON === '')('a streaming worker of the runpod package', () => {
  test('sends each part as an event', async () => {
    const worker = await started(adaptedProcess('runpod', [PYTHON, '-u', here('streaming.py')]));
    const { text } = await ask(worker, 'POST', '/stream', { body: { input: { words: 'a b c' } } });
    expect(text).toMatch(
      /^event: output\ndata: {"output":"a"}\n\nevent: output\ndata: {"output":"b"}\n\nevent: output\ndata: {"output":"c"}\n\nevent: completed\n/,
    );
    const all = await ask(worker, 'POST', '/runsync', { body: { input: { words: 'a b c' } } });
    expect(all).toMatchObject({ json: { output: ['a', 'b', 'c'] } });
    await worker.runtime.stop(5_000);
  });
});

describe.skipIf(PYTHON === '')("cog's own server", () => {
  const cog = (model: string, config = {}) =>
    adaptedProcess('cog', [PYTHON, '-m', 'cog.server.http', '--host', '127.0.0.1'], {
      env: { PATH, COG_PREDICT_TYPE_STUB: `${here(model)}:Predictor` },
      ...config,
    });

  test('predictions, by id, 409 when full, a caller that leaves', async () => {
    const made = await started(cog('predict.py'));
    const predict = (input: unknown, path = '/predictions') =>
      ask(made, path === '/predictions' ? 'POST' : 'PUT', path, { body: { input } });
    expect(await predict({ text: 'a' })).toMatchObject({ status: 200, json: { status: 'succeeded', output: 'A' } });
    expect(await predict({ text: 'b' }, '/predictions/mine')).toMatchObject({ json: { id: 'mine', output: 'B' } });
    const caller = new AbortController();
    const mark = join(mkdtempSync(join(tmpdir(), 'cog-')), 'runs');
    const hung = ask(made, 'POST', '/predictions', { body: { input: { text: 'c', wait: 600, mark } }, signal: caller.signal }).catch(
      () => 'left',
    );
    // A cancel before the model has begun is lost on cog.
    await until('it to run', () => existsSync(mark));
    expect(await predict({ text: 'd' })).toMatchObject({ status: 409 });
    caller.abort();
    expect(await hung).toBe('left');
    await until('its slot', async () => (await predict({ text: 'e' })).status === 200);
    await made.runtime.stop(5_000);
  });

  test('a setup that fails', async () => {
    const made = cog('broken.py');
    await expect(started(made)).rejects.toThrow(/^setup failed: .*no weights here/);
    await made.runtime.stop(5_000);
  });
});
