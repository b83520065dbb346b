/**
 * Many idle agents in one process: each logs in as the real agent does (challenge, hotkey signature, hello), pings as
 * often, runs nothing, and comes back by itself after its socket closes, with full jitter over a second.
 *
 *   node agents.ts floor|ripcord ORIGIN     commands on standard input, answers on standard output, a JSON line each
 *   {"open":N}   → {"open":n,"refused":r,"retryAfterMs":ms,"seconds":s}    opens agents until N are open, or two seconds bring no more
 *   {"watch":1}  → {"firstMs":a,"allMs":b,"back":n}                        after the next loss: when the first and all were back
 */
import { createInterface } from 'node:readline';
import { randomBytes } from 'node:crypto';
import WebSocket from 'ws';
import { secretFromSeed } from '@scure/sr25519';
import { KEEPALIVE, LIMITS, LOGIN_HEADER, type Hello } from '#protocol';
import { Hotkey } from '../../../miner-agent/identity/hotkey.ts';
import { login, LoginRefused } from '../../../miner-agent/identity/login.ts';
import { makeSessionKeys } from '../../../miner-agent/identity/session.ts';

const [, , mode, origin] = process.argv;
if (origin === undefined || (mode !== 'floor' && mode !== 'ripcord')) throw new Error('usage: agents.ts floor|ripcord ORIGIN');

/** Connections that are being made at a time, and how long all may take to come back. */
const DIALLING = 48;
const BACK_MS = 60_000;

const hotkey = new Hotkey(secretFromSeed(randomBytes(32)));
const keys = makeSessionKeys();
const hello: Hello = {
  type: 'hello',
  inventory: {
    agentVersion: 'bench',
    platform: 'linux',
    runtimes: ['url'],
    devices: [{ id: 'cpu', kind: 'cpu', name: 'idle', memoryMb: 1024 }],
    region: 'unknown',
  },
  instances: [],
  streams: [],
};

const open = new Set<number>();
let refused = 0;
let retryAfterMs = 0;
let lost: { at: number; expected: number; firstMs: number; told: boolean } | null = null;
let watching = false;
let dialling = 0;
const waiting: (() => void)[] = [];

const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function turn<T>(work: () => Promise<T>): Promise<T> {
  if (dialling >= DIALLING) await new Promise<void>((resolve) => waiting.push(resolve));
  dialling += 1;
  try {
    return await work();
  } finally {
    dialling -= 1;
    waiting.shift()?.();
  }
}

/** Resolves once the edge has welcomed the agent; rejects if it did not. */
async function dial(index: number): Promise<void> {
  const name = `idle-${index}`;
  const url = mode === 'floor' ? `${origin}/agent/${name}` : `${origin}/agents/connect`;
  const headers: Record<string, string> = mode === 'floor' ? {} : { [LOGIN_HEADER]: await login(origin!, hotkey, name, keys, Date.now()) };
  const socket = new WebSocket(url.replace(/^http/, 'ws'), {
    headers,
    perMessageDeflate: false,
    handshakeTimeout: 20_000,
  });
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('unexpected-response', (_request, response) => {
      const seconds = Number(response.headers['retry-after']);
      socket.terminate();
      reject(new LoginRefused(`status ${response.statusCode}`, false, Number.isFinite(seconds) ? seconds * 1000 : null));
    });
    socket.once('close', () => reject(new Error('closed')));
    if (mode === 'floor') socket.once('open', () => resolve());
    else {
      socket.once('open', () => socket.send(JSON.stringify(hello)));
      socket.once('message', () => resolve());
    }
  });
  open.add(index);
  const ping = setInterval(() => socket.send(KEEPALIVE.ping), LIMITS.pingMs);
  socket.once('close', () => {
    clearInterval(ping);
    gone(index);
  });
}

function gone(index: number): void {
  if (watching && lost === null) {
    lost = { at: performance.now(), expected: open.size, firstMs: Number.NaN, told: false };
    setTimeout(tell, BACK_MS);
  }
  open.delete(index);
  void comeBack(index);
}

async function comeBack(index: number): Promise<void> {
  for (;;) {
    await sleep(Math.random() * 1000);
    const ok = await turn(() => dial(index)).then(
      () => true,
      () => false,
    );
    if (ok) break;
  }
  if (lost === null) return;
  if (Number.isNaN(lost.firstMs)) lost.firstMs = performance.now() - lost.at;
  if (open.size >= lost.expected) tell();
}

function tell(): void {
  if (lost === null || lost.told) return;
  lost.told = true;
  say({
    firstMs: lost.firstMs,
    allMs: open.size >= lost.expected ? performance.now() - lost.at : null,
    back: open.size,
    of: lost.expected,
  });
  lost = null;
  watching = false;
}

async function openUntil(count: number): Promise<void> {
  const begin = performance.now();
  refused = 0;
  const missing = Array.from({ length: count }, (_, i) => i).filter((i) => !open.has(i));
  let failure = '';
  await Promise.all(
    missing.map((index) =>
      turn(() => dial(index)).catch((error: unknown) => {
        refused += 1;
        failure ||= String(error);
        if (error instanceof LoginRefused) retryAfterMs = Math.max(retryAfterMs, error.retryAfterMs ?? 0);
      }),
    ),
  );
  say({ open: open.size, refused, retryAfterMs, failure, seconds: (performance.now() - begin) / 1000 });
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line) as { open?: number; watch?: number };
    if (command.open !== undefined) void openUntil(command.open);
    else watching = true;
  })
  .on('close', () => process.exit(0));
say({ ready: true });
