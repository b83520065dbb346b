/** The control socket over a real Unix socket, its bounds tripped; the rings, the wishes and the places behind it. */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { merged, reasonsHere } from '../../../miner-agent/commands/why.ts';
import { ControlRefused, NotRunning, askAgent, followAgent } from '../../../miner-agent/control/client.ts';
import { KEPT, LogRings } from '../../../miner-agent/control/log-rings.ts';
import { findSocketPath, takeSocketPath } from '../../../miner-agent/control/place.ts';
import { BOUNDS, ControlServer, type ControlPort } from '../../../miner-agent/control/server.ts';
import { Tally } from '../../../miner-agent/control/tally.ts';
import { mergeWishes, NO_WISHES, readWishes, writeWishes } from '../../../miner-agent/control/wishes.ts';
import { ConfigError } from '../../../miner-agent/config.ts';
import { until } from './socket-edge.ts';

const any = z.any();
let data: string;
let asked: unknown[];
let logs: LogRings;
let server: ControlServer;

beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'desk-'));
  asked = [];
  logs = new LogRings();
  server = new ControlServer(data, port());
  await server.listen();
});
afterEach(() => server.close());

function port(): ControlPort {
  return {
    logs,
    // What is in it is the desk's affair.
    status: () => ({ ok: true }) as never,
    offers: () => [{ chute: 'cht_1' }],
    drain: (withinMs) => {
      asked.push(['drain', withinMs]);
      return { instances: 2, within_ms: withinMs ?? 30_000 };
    },
    maintenance: (on) => {
      asked.push(['maintenance', on]);
      return { ...NO_WISHES, maintenance: on };
    },
    reloadWishes: () => readWishes(data),
  };
}

function raw(path: string, init: { method?: string; body?: string } = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: join(data, 'agent.sock'), path, method: init.method ?? 'GET' }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject);
    sent.end(init.body);
  });
}

describe('the socket', () => {
  it("is its owner's alone", () => {
    expect(statSync(join(data, 'agent.sock')).mode & 0o777).toBe(0o600);
  });

  it('answers, and takes orders', async () => {
    expect(await askAgent(data, ['GET', '/status'], any)).toEqual({ ok: true });
    expect(await askAgent(data, ['GET', '/offers'], any)).toEqual({ items: [{ chute: 'cht_1' }] });
    expect(await askAgent(data, ['POST', '/drain'], any, { within_seconds: 5 })).toEqual({ instances: 2, within_ms: 5_000 });
    expect(await askAgent(data, ['POST', '/drain'], any)).toEqual({ instances: 2, within_ms: 30_000 });
    expect(await askAgent(data, ['POST', '/maintenance'], any, { on: true })).toMatchObject({ maintenance: true });
    expect(asked).toEqual([
      ['drain', 5_000],
      ['drain', null],
      ['maintenance', true],
    ]);
  });

  it.each([
    ['/status', 'POST', '', 404, 'not_found'],
    ['/nothing', 'GET', '', 404, 'not_found'],
    ['/drain', 'POST', '{"within_seconds":-1}', 400, 'invalid_body'],
    ['/drain', 'POST', 'not json', 400, 'invalid_body'],
    ['/maintenance', 'POST', '{"on":"yes"}', 400, 'invalid_body'],
    ['/maintenance', 'POST', `{"on":true,"x":"${'y'.repeat(BOUNDS.bodyBytes)}"}`, 413, 'too_large'],
    ['/logs?instance=ins_9', 'GET', '', 404, 'not_found'],
  ])('%s %s %.30s is %d %s', async (path, method, body, status, code) => {
    const reply = await raw(path, { method, body });
    expect([reply.status, JSON.parse(reply.text)]).toMatchObject([status, { error: { code } }]);
    expect(asked).toEqual([]);
  });

  it('says that the kept wishes are broken, and goes on', async () => {
    writeFileSync(join(data, 'wishes.json'), '{"pin":1}');
    await expect(askAgent(data, ['POST', '/wishes/reload'], any)).rejects.toThrow(ControlRefused);
    expect(await askAgent(data, ['GET', '/status'], any)).toEqual({ ok: true });
  });

  it('lets go of a peer that never finishes its request', async () => {
    const socket = connect(join(data, 'agent.sock'));
    socket.write('POST /drain HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{');
    const closed = once(socket, 'close');
    socket.resume();
    await closed;
    expect(asked).toEqual([]);
  }, 15_000);
});

describe('logs', () => {
  const line = (text: string, at = 0) => ({ at, source: 'out' as const, text });
  const lineSchema = z.looseObject({ instance: z.string(), name: z.string(), text: z.string() });

  it('come from the first line on, of one instance or of all, and then as they are made', async () => {
    logs.name('ins_1', 'demo/chat');
    logs.add('ins_1', line('first', 1));
    logs.add('ins_2', line('other', 2));
    const read = async (query: string) =>
      (await raw(`/logs${query}`)).text
        .trim()
        .split('\n')
        .map((l) => (JSON.parse(l) as { text: string }).text);
    expect(await read('')).toEqual(['first', 'other']);
    expect(await read('?instance=ins_2')).toEqual(['other']);
    expect(await read('?instance=demo/chat')).toEqual(['first']);

    const stop = new AbortController();
    const heard: string[] = [];
    const following = (async () => {
      for await (const l of followAgent(data, '/logs?follow=1&instance=ins_1', lineSchema, stop.signal)) heard.push(l.text);
    })();
    await until('the first line', () => heard.length === 1);
    logs.add('ins_2', line('not asked for'));
    logs.add('ins_1', line('second'));
    await until('the second line', () => heard.length === 2);
    expect(heard).toEqual(['first', 'second']);
    stop.abort();
    await following;
  });

  it('may be more than a follower takes at once', async () => {
    const long = 'x'.repeat(KEPT.chars);
    for (let i = 0; i < KEPT.first + KEPT.last; i++) logs.add('ins_1', line(long));
    let lines = 0;
    const stop = new AbortController();
    const following = (async () => {
      for await (const l of followAgent(data, '/logs?follow=1', lineSchema, stop.signal)) {
        if (++lines === 1) logs.add('ins_1', line('news'));
        if (l.text === 'news') stop.abort();
      }
    })();
    await following;
    expect(lines).toBe(KEPT.first + KEPT.last + 1);
  });

  it('are not followed by more than a few, and by nobody who does not read', async () => {
    const followers = Array.from({ length: BOUNDS.followers }, () => {
      const socket = connect(join(data, 'agent.sock'));
      socket.write('GET /logs?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
      return { socket, head: once(socket, 'data').then(() => socket.pause()), closed: once(socket, 'close') };
    });
    await Promise.all(followers.map(({ head }) => head));
    expect((await raw('/logs?follow=1')).status).toBe(429);
    const long = 'x'.repeat(KEPT.chars);
    for (let i = 0; i < 2_000; i++) logs.add('ins_1', line(long));
    for (const { socket } of followers) socket.resume();
    await Promise.all(followers.map(({ closed }) => closed));
    await until('there is room again', async () => {
      const socket = connect(join(data, 'agent.sock'));
      socket.write('GET /logs?follow=1 HTTP/1.1\r\nhost: x\r\n\r\n');
      const [head] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return head.toString().startsWith('HTTP/1.1 200');
    });
  });

  it('are bounded by lines, characters and instances, and say what is missing', () => {
    for (let i = 0; i < 2_000; i++) logs.add('ins_1', line(`${i}`, i));
    const kept = logs.lines('ins_1').map(({ text }) => text);
    expect(kept).toHaveLength(KEPT.first + KEPT.last + 1);
    expect([kept[0], kept[KEPT.first], kept.at(-1)]).toEqual(['0', '800 lines are not kept', '1999']);
    logs.add('ins_2', line('y'.repeat(10_000)));
    expect(logs.lines('ins_2')[0]?.text).toHaveLength(KEPT.chars);
    for (let i = 0; i < 100; i++) logs.add(`more_${i}`, line('z'));
    expect([logs.has('ins_1'), logs.has('more_99'), logs.lines(null).length]).toEqual([false, true, KEPT.instances]);
  });
});

describe('the place of the socket', () => {
  it('is elsewhere where the data folder has too long a name, and is found there', async () => {
    const deep = join(data, 'd'.repeat(60), 'e'.repeat(60));
    mkdirSync(deep, { recursive: true });
    const other = new ControlServer(deep, port());
    await other.listen();
    const path = readFileSync(join(deep, 'agent.sock.at'), 'utf8');
    expect(path).toMatch(/ripcord-[0-9a-f]{16}\.sock$/);
    expect(await askAgent(deep, ['GET', '/status'], any)).toEqual({ ok: true });
    other.close();
    expect(existsSync(path)).toBe(false);
    await expect(askAgent(deep, ['GET', '/status'], any)).rejects.toThrow(NotRunning);
  });

  it('is taken over from an agent that crashed', async () => {
    const left = mkdtempSync(join(tmpdir(), 'desk-'));
    const old = createServer().listen(join(left, 'agent.sock'));
    await once(old, 'listening');
    // The file stays, nobody listens.
    writeFileSync(join(left, 'agent.sock.at'), join(left, 'nowhere.sock'));
    const next = new ControlServer(left, port());
    await next.listen();
    expect(await askAgent(left, ['GET', '/status'], any)).toEqual({ ok: true });
    next.close();
    old.close();
  });

  it('is not where there is no socket', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'desk-'));
    expect(findSocketPath(empty)).toBeNull();
    await expect(askAgent(empty, ['GET', '/status'], any)).rejects.toThrow(NotRunning);
    writeFileSync(join(empty, 'agent.sock'), 'no socket');
    expect(findSocketPath(empty)).toBeNull();
    expect(takeSocketPath(empty)).toBe(join(empty, 'agent.sock'));
    expect(existsSync(join(empty, 'agent.sock'))).toBe(false);
  });
});

describe('wishes', () => {
  it('are kept whole, and added to those of the config', () => {
    expect(readWishes(data)).toEqual(NO_WISHES);
    const kept = { pin: ['a/b'], forbid: ['c'], maintenance: true };
    writeWishes(data, kept);
    expect(readWishes(data)).toEqual(kept);
    expect(statSync(join(data, 'wishes.json')).mode & 0o777).toBe(0o600);
    expect(mergeWishes({ pin: ['a/b', 'd/e'], forbid: [], maintenance: false }, kept)).toEqual({
      pin: ['a/b', 'd/e'],
      forbid: ['c'],
      maintenance: true,
    });
  });

  it.each(['', '{}', '{"pin":["../x"],"forbid":[],"maintenance":false}', '[]'])('refuses %j', (text) => {
    writeFileSync(join(data, 'wishes.json'), text);
    expect(() => readWishes(data)).toThrow(ConfigError);
  });
});

it('what was served is counted by instance and in all', () => {
  const tally = new Tally();
  tally.add({ instance: 'a', outcome: 'completed', tokensOut: 7 });
  tally.add({ instance: 'a', outcome: 'failed', tokensOut: null });
  tally.add({ instance: 'b', outcome: 'cancelled', tokensOut: 1 });
  expect(tally.of('a')).toEqual({ calls: 2, failed: 1, tokens_out: 7 });
  tally.forget('a');
  expect([tally.of('a').calls, tally.all()]).toEqual([0, { calls: 3, failed: 1, tokens_out: 8 }]);
});

describe('why', () => {
  it("takes this agent's count of a reason and the chutes of both sides, in the order of the codes", () => {
    const here = [{ code: 'vram_short' as const, count: 2, chutes: ['a/b'] }];
    const edge = [
      { code: 'vram_short' as const, count: 5, chutes: ['a/b', 'c/d'] },
      { code: 'gated' as const, count: 1, chutes: [] },
    ];
    expect(merged(here, edge)).toEqual([
      { code: 'gated', count: 1, chutes: [] },
      { code: 'vram_short', count: 2, chutes: ['a/b', 'c/d'] },
    ]);
  });

  it('knows without an agent that there is none', () => {
    expect(reasonsHere(null).map(({ code }) => code)).toEqual(['not_connected']);
  });
});
