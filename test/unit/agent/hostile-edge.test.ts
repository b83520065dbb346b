/** An edge that means harm: the agent resets or closes, and lives on. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CLOSE, FRAME, LIMITS, encodeFrames, encodeJson, encodeU64, frame } from '../../../functions/protocol/index.ts';
import { runAgent } from '../../../miner-agent/agent.ts';
import { checkConfig, readConfig } from '../../../miner-agent/config.ts';
import type { AgentEvent } from '../../../miner-agent/display.ts';
import { createHotkeyFile } from '../../../miner-agent/identity/hotkey.ts';
import { SocketEdge, parse, until } from './socket-edge.ts';

vi.setConfig({ testTimeout: 20_000 });

let edge: SocketEdge;
let stop: AbortController;
let running: Promise<void>;
let ended: boolean;
let events: AgentEvent[];

beforeEach(async () => {
  edge = await new SocketEdge().start();
  stop = new AbortController();
  ended = false;
  events = [];
  const data = mkdtempSync(join(tmpdir(), 'agent-'));
  const hotkeyFile = join(data, 'hotkey');
  const hotkey = createHotkeyFile(hotkeyFile);
  const config = checkConfig(readConfig({ api: edge.origin, hotkey: hotkeyFile, name: 'rig', data, drain: '1', allowAccount: ['demo'] }));
  running = runAgent({ config, hotkey, tell: (e) => events.push(e), signal: stop.signal }).finally(() => {
    ended = true;
  });
  await until('a connection', () => events.some((e) => e.event === 'link' && e.state === 'up'));
});

afterEach(async () => {
  expect(ended).toBe(false);
  stop.abort();
  await running;
  await edge.stop();
});

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('a hostile edge', () => {
  const closing: [string, () => void, number][] = [
    ['a type of frame that is none', () => edge.socket.send(bytes(99, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0)), CLOSE.protocol],
    ['reserved bytes in use', () => edge.socket.send(bytes(3, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0)), CLOSE.protocol],
    ['flags that are none', () => edge.socket.send(bytes(3, 255, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0)), CLOSE.protocol],
    ['half a header', () => edge.socket.send(bytes(3, 0, 0)), CLOSE.protocol],
    ['a length that lies', () => edge.socket.send(bytes(3, 0, 0, 0, 0, 0, 0, 2, 255, 255, 255, 255)), CLOSE.protocol],
    ['a DATA frame too large', () => edge.send(frame(FRAME.DATA, 2, new Uint8Array(LIMITS.dataBytes + 1))), CLOSE.limit],
    ['an OPEN too large', () => edge.send(frame(FRAME.OPEN, 2, new Uint8Array(LIMITS.headBytes + 1))), CLOSE.limit],
    [
      'too many frames',
      () => edge.socket.send(encodeFrames(Array.from({ length: LIMITS.messageFrames + 1 }, () => frame(FRAME.CREDIT, 2)))),
      CLOSE.limit,
    ],
    ['an OPEN that is no JSON', () => edge.send(frame(FRAME.OPEN, 2, bytes(0xff, 0xfe))), CLOSE.protocol],
    ['an OPEN that fits no schema', () => edge.send(frame(FRAME.OPEN, 2, encodeJson({ attempt: '../../etc' }))), CLOSE.protocol],
    ['text that is no JSON', () => edge.socket.send('nonsense'), CLOSE.protocol],
    [
      'a grant with a version that is none',
      () => edge.say({ type: 'grant', ref: 'x', instance: '../../x', deadlineMs: 1, spec: {} }),
      CLOSE.protocol,
    ],
    ['a text too large', () => edge.socket.send('x'.repeat(LIMITS.controlBytes + 1)), CLOSE.limit],
    ['a second welcome', () => edge.say({ type: 'welcome', epoch: 2, now: 0 }), CLOSE.protocol],
    ['a message larger than the wire takes', () => edge.socket.send(new Uint8Array(LIMITS.messageBytes + 1)), 1009],
  ];
  it.each(closing)('is closed for %s', async (_what, attack, code) => {
    attack();
    await until('the close', () => edge.closes.length > 0);
    expect(edge.closes).toEqual([code]);
    expect(edge.logins).toHaveLength(1);
  });

  it('cannot reach what it was not given', async () => {
    edge.open(2, 1, {});
    edge.open(4, 2, { instance: '../../../etc/passwd' });
    edge.send(frame(FRAME.RESUME, 6, encodeU64(0, 10)));
    await until('three resets', () => edge.frames.filter((f) => f.type === FRAME.RESET).length === 3);
    expect(edge.frames.map((f) => (parse(f) as { code: string }).code)).toEqual(['stale', 'stale', 'gap']);
    expect(edge.closes).toEqual([]);
  });

  it('floods with frames of unknown streams in vain', async () => {
    for (let i = 0; i < 200; i++)
      edge.send(...Array.from({ length: 1000 }, (_, k) => frame(FRAME.DATA, 2 * (i * 1000 + k), bytes(1))), frame(FRAME.END, 7));
    edge.say({ type: 'ping', id: 'still there' });
    await until('the pong', () => edge.up.find((m) => m.type === 'pong'));
    expect(edge.frames).toEqual([]);
  });

  it('cannot write outside the work folder by an instance name', async () => {
    const spec = {
      chute: 'c',
      name: 'demo/x',
      account: 'a',
      version: 'f'.repeat(64),
      config: { name: 'x', command: ['node', 'x'] },
      code: null,
    };
    edge.say({ type: 'grant', ref: 'r', instance: '../../../../tmp/ripcord-hostile', deadlineMs: 1000, spec });
    const report = await until('a report', () => edge.reports()[0]);
    expect(report).toMatchObject({ state: 'failed', detail: expect.stringMatching(/id of the instance/) });
    expect(existsSync('/tmp/ripcord-hostile')).toBe(false);
  });
});
