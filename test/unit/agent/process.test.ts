import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { LIMITS, NO_SECRETS, chuteConfigSchema } from '../../../functions/protocol/index.ts';
import { LogShipper } from '../../../miner-agent/log-shipper.ts';
import { MARK, PidNotes, killGroup } from '../../../miner-agent/runtimes/leftovers.ts';
import { LineSplitter } from '../../../miner-agent/runtimes/log-lines.ts';
import { processRuntime } from '../../../miner-agent/runtimes/process.ts';
import { until } from './socket-edge.ts';

vi.setConfig({ testTimeout: 20_000 });

const LIMITED = { memoryMb: 0, fileMb: 1, openFiles: 64 };

async function start(script: string, limits = LIMITED) {
  const folder = mkdtempSync(join(tmpdir(), 'process-'));
  const lines: string[] = [];
  const ended: string[] = [];
  const runtime = processRuntime(
    {
      instance: 'ins_1',
      spec: {
        chute: 'c',
        name: 'a/b',
        account: 'a',
        version: 'f'.repeat(64),
        config: chuteConfigSchema.parse({ name: 'b', command: ['node', '-e', script, '{port}'] }),
        code: null,
      },
      folder,
      devices: [],
      secrets: NO_SECRETS,
      forwards: [],
      code: () => Promise.reject(new Error('no code')),
      weights: () => null,
      progress: () => {},
      log: (_source, text) => lines.push(text),
      ended: (detail) => ended.push(detail),
      signal: new AbortController().signal,
    },
    limits,
    new PidNotes(folder),
  );
  await runtime.prepare();
  await runtime.start();
  return { folder, lines, ended, runtime };
}

describe('process runtime', () => {
  it('ends a program that ignores the notice, with all it started', async () => {
    const { runtime, lines, ended } = await start(`
      process.on('SIGTERM', () => {});
      const c = require('child_process').spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('child ready')"], { stdio: 'inherit' });
      console.log('pid ' + c.pid);
      setInterval(() => {}, 1000);`);
    await until('the child', () => lines.includes('child ready'));
    const pid = Number(lines.find((l) => l.startsWith('pid '))?.slice(4));
    await runtime.stop(50);
    await until('the child to be gone', () => !alive(pid));
    expect(ended).toEqual([]);
  });

  it('gives the port in place of {port} and in the environment', async () => {
    const { runtime, lines } = await start('console.log(process.argv[1], process.env.PORT)');
    const port = runtime.endpoint()?.url.port ?? '';
    await until('the line', () => lines.includes(`${port} ${port}`));
    await runtime.stop(0);
  });

  it.each([
    [
      'files',
      `try { require('fs').writeFileSync('big', Buffer.alloc(2 * 1024 * 1024)) } catch (e) { console.log(e.code) }`,
      LIMITED,
      /EFBIG|SIGXFSZ/,
    ],
    [
      'open files',
      `try { const a = []; for (let i = 0; i < 100; i++) a.push(require('fs').openSync('/dev/null')) } catch (e) { console.log(e.code) }`,
      LIMITED,
      /EMFILE/,
    ],
    [
      'memory',
      `const a = []; while (true) a.push(Buffer.alloc(1e7, 1))`,
      { ...LIMITED, memoryMb: 400 },
      /SIGABRT|SIGTRAP|exit code|ERR_MEMORY/,
    ],
  ])('bounds %s', async (_what, script, limits, sign) => {
    const { runtime, lines, ended } = await start(script, limits);
    await until('the end', () => ended.length > 0);
    expect([...lines, ...ended].join('\n')).toMatch(sign);
    await runtime.stop(0);
  });
});

describe('leftovers', () => {
  it('ends what is ours and nothing else', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'leftovers-'));
    const notes = new PidNotes(folder);
    const idle = (env: Record<string, string>) =>
      spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore', env });
    const ours = idle({ [MARK]: 'ins_ours' });
    const foreign = idle({});
    const reused = idle({ [MARK]: 'ins_reused' });
    try {
      await Promise.all([ours, foreign, reused].map((child) => once(child, 'spawn')));
      notes.write('ins_ours', ours.pid ?? 0);
      notes.write('ins_foreign', foreign.pid ?? 0);
      writeFileSync(join(folder, 'ins_reused.pid'), JSON.stringify({ pid: reused.pid, startedAt: '1', instance: 'ins_reused' }));
      writeFileSync(join(folder, 'broken.pid'), '{"pid":1}');
      const gone = once(ours, 'exit');
      expect(notes.reap()).toEqual(['ins_ours']);
      await gone;
      expect(alive(foreign.pid ?? 0) && alive(reused.pid ?? 0)).toBe(true);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      for (const child of [ours, foreign, reused]) killGroup(child.pid ?? 0, 'SIGKILL');
    }
  });
});

describe('log lines', () => {
  function split(...chunks: string[]) {
    const lines: string[] = [];
    const splitter = new LineSplitter((line) => lines.push(line));
    for (const chunk of chunks) splitter.write(Buffer.from(chunk, 'latin1'));
    splitter.end();
    return lines;
  }
  it.each([
    [['a\nb\n'], ['a', 'b']],
    [
      ['a', 'b\r\nc'],
      ['ab', 'c'],
    ],
    [['\n\n'], ['', '']],
    [['\xc3', '\xa9\n'], ['é']],
  ])('%j are %j', (chunks, lines) => expect(split(...chunks)).toEqual(lines));

  it('cuts a line without end, once', () => {
    const lines = split('x'.repeat(100_000), 'x'.repeat(100_000), '\nnext\n');
    expect(lines).toEqual([`${'x'.repeat(LIMITS.logLineBytes / 4)} …`, 'next']);
  });

  it('ships what fits, numbered, and shows a gap for what was dropped', () => {
    const shipper = new LogShipper();
    for (let i = 0; i < 1300; i++) shipper.add('ins_1', { at: 0, source: 'out', text: `${i}` });
    const first = shipper.take();
    expect(first).toMatchObject([{ type: 'log', instance: 'ins_1', seq: 300 }]);
    expect(first[0]?.lines).toHaveLength(LIMITS.logLines);
    expect(shipper.take()[0]).toMatchObject({
      seq: 300 + LIMITS.logLines,
      lines: expect.arrayContaining([{ at: 0, source: 'out', text: '556' }]),
    });
    const long = new LogShipper();
    for (let i = 0; i < 300; i++) long.add('ins_1', { at: 0, source: 'out', text: '€'.repeat(8000) });
    expect(Buffer.byteLength(JSON.stringify(long.take()[0]))).toBeLessThan(LIMITS.controlBytes);
  });
});

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
