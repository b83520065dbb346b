/** The bundled command, run from an empty folder with nothing else there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createHotkeyFile } from '../../../miner-agent/identity/hotkey.ts';
import { SocketEdge, until } from './socket-edge.ts';

vi.setConfig({ testTimeout: 30_000 });

const folder = mkdtempSync(join(tmpdir(), 'bundle-'));
const file = join(folder, 'ripcord-miner.mjs');
let edge: SocketEdge;

function run(args: string[], script = file) {
  const child = spawn(process.execPath, [script, ...args], { cwd: folder, env: { HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] });
  const out = { text: '', error: '' };
  child.stdout.on('data', (bytes: Buffer) => (out.text += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (out.error += bytes.toString()));
  const exit = once(child, 'close').then(([code]: (number | null)[]) => code);
  return { child, out, exit };
}

beforeAll(async () => {
  edge = await new SocketEdge().start();
  const { exit, out } = run([file], fileURLToPath(new URL('../../../miner-agent/bundle.ts', import.meta.url)));
  expect(await exit, out.error).toBe(0);
});
afterAll(() => edge.stop());

describe('ripcord-miner', () => {
  it('teaches', async () => {
    const [all, up] = [run(['--help']), run(['up', '--help'])];
    expect([await all.exit, await up.exit]).toEqual([0, 0]);
    for (const part of ['init', 'up', 'why', 'Exit codes']) expect(all.out.text).toContain(part);
    for (const part of ['--allow-account', '--url owner/name']) expect(up.out.text).toContain(part);
  });

  it.each([
    [['up'], /--api is missing/],
    [['up', '--api', 'http://127.0.0.1:1', '--hotkey', 'none'], /cannot read the hotkey file/],
    [['up', '--nonsense'], /unknown option/],
    [['down'], /unknown command/],
  ])('%j is wrong use', async (args, why) => {
    const { exit, out } = run(args);
    expect(await exit).toBe(2);
    expect(out.error).toMatch(why);
  });

  it('proves the CPU in a thread of its own', async () => {
    const { exit, out } = run(['prove', '--network', 'development', '--profile', 'mm-128', '--json']);
    expect(await exit, out.error).toBe(0);
    expect(JSON.parse(out.text)).toMatchObject({ items: [{ of: 'cpu0', reason: 'proven' }] });
  });

  it('says why in JSON', async () => {
    const { exit, out } = run(['up', '--json']);
    expect(await exit).toBe(2);
    expect(JSON.parse(out.error)).toMatchObject({ error: { code: 'usage', hint: expect.any(String) } });
  });

  it.each([
    [['--json'], '"state":"up"'],
    [[], 'connected to'],
  ])('serves and leaves at a signal %j', async (flags, sign) => {
    const hotkeyFile = join(folder, `hotkey${flags.length}`);
    const { ss58 } = createHotkeyFile(hotkeyFile);
    const { child, exit, out } = run(['up', '--api', edge.origin, '--hotkey', hotkeyFile, ...flags]);
    await until('a connection', () => out.text.includes(sign));
    expect(out.text).toContain(ss58);
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
    expect(out.error).toBe('');
  });
});
