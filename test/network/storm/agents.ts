/**
 * Many light agents in one process: each logs in as the real agent does, pings as often, claims what it is told to, calls
 * its one instance live without running anything, and comes back after its socket closes as the real agent does.
 *
 *   node agents.ts ORIGIN            commands on standard input, answers on standard output, a JSON line each
 *   {"open":N}                       → {"open":n,"failure":text}          agents 0 to N-1, until all are in
 *   {"claim":{chute,version}}        → {"grants":n,"refusals":{code:n}}   every agent claims at once; answered when all were answered
 *   {"watch":1}                      → {"lost":n}                         as soon as every socket is gone,
 *                                      then {"back":n,"ms":ms}            when all are welcome again, or after a minute
 *   {"poll":{agents,everyMs,forMs}}  → {"polls":n,"failed":n,"p50":ms,"p99":ms,"bytes":n}   so many agents' looks at the market
 */
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { secretFromSeed } from '@scure/sr25519';
import { KEEPALIVE, LIMITS, LOGIN_HEADER, downSchema, type Hello, type InstanceReport } from '#protocol';
import { reconnectMs } from '../../../miner-agent/connection/reconnect.ts';
import { Hotkey } from '../../../miner-agent/identity/hotkey.ts';
import { login, LoginRefused } from '../../../miner-agent/identity/login.ts';
import { makeSessionKeys } from '../../../miner-agent/identity/session.ts';

const origin = process.argv[2] ?? '';
const hotkey = new Hotkey(secretFromSeed(randomBytes(32)));
const keys = makeSessionKeys();
/** Milliseconds that all may take to come back, and one dial. */
const BACK_MS = 60_000;
const DIAL_MS = 20_000;

interface Light {
  socket: WebSocket | null;
  tries: number;
  report: InstanceReport | null;
}

const agents: Light[] = [];
const answers = { asked: 0, grants: 0, refusals: {} as Record<string, number>, of: '' };
let watch: { at: number; gone: boolean } | null = null;
let failure = '';

const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
const open = () => agents.filter((a) => a.socket !== null).length;

async function connect(index: number): Promise<void> {
  const agent = (agents[index] ??= { socket: null, tries: 0, report: null });
  while (agent.socket === null) {
    let retryAfterMs: number | null = null;
    try {
      await dial(index, agent);
      agent.tries = 0;
    } catch (error) {
      failure = String(error);
      if (error instanceof LoginRefused) retryAfterMs = error.retryAfterMs;
      agent.tries += 1;
      await sleep(
        reconnectMs({
          tries: agent.tries,
          streamsOpen: false,
          serving: agent.report !== null,
          slow: false,
          retryAfterMs,
          random: Math.random(),
        }),
      );
    }
  }
  if (watch?.gone && open() === agents.length) back();
}

/** Resolves once the edge has welcomed it. */
async function dial(index: number, agent: Light): Promise<void> {
  const header = await login(origin, hotkey, `light-${index}`, keys, Date.now(), { serving: agent.report !== null });
  const socket = new WebSocket(`${origin.replace(/^http/, 'ws')}/agents/connect`, {
    headers: { [LOGIN_HEADER]: header },
    perMessageDeflate: false,
    handshakeTimeout: DIAL_MS,
  });
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.once('unexpected-response', (_request, response) => {
      socket.terminate();
      const seconds = Number(response.headers['retry-after']);
      reject(new LoginRefused(`status ${response.statusCode}`, false, Number.isFinite(seconds) ? seconds * 1000 : null));
    });
    socket.once('open', () => socket.send(JSON.stringify(helloOf(agent))));
    socket.once('message', () => resolve());
  });
  agent.socket = socket;
  const ping = setInterval(() => socket.send(KEEPALIVE.ping), LIMITS.pingMs);
  socket.on('message', (data: Buffer, binary) => {
    if (!binary && String(data) !== KEEPALIVE.pong) hear(agent, socket, String(data));
  });
  socket.once('close', () => {
    clearInterval(ping);
    agent.socket = null;
    if (watch !== null && !watch.gone && open() === 0) {
      watch = { at: performance.now(), gone: true };
      say({ lost: agents.length });
      setTimeout(back, BACK_MS).unref();
    }
    void sleep(
      reconnectMs({ tries: 0, streamsOpen: false, serving: agent.report !== null, slow: false, retryAfterMs: null, random: Math.random() }),
    ).then(() => connect(index));
  });
}

function helloOf(agent: Light): Hello {
  return {
    type: 'hello',
    inventory: {
      agentVersion: '0.1.0',
      platform: 'linux-x64',
      runtimes: ['url'],
      devices: [{ id: 'cpu0', kind: 'cpu', name: 'light', memoryMb: 1024 }],
      region: 'unknown',
    },
    instances: agent.report === null ? [] : [agent.report],
    streams: [],
  };
}

function hear(agent: Light, socket: WebSocket, text: string): void {
  const message = downSchema.parse(JSON.parse(text));
  if (message.type === 'grant') {
    answers.grants += 1;
    agent.report = { instance: message.instance, chute: message.spec.chute, version: message.spec.version, state: 'live', detail: '' };
    socket.send(JSON.stringify({ type: 'report', report: agent.report }));
  } else if (message.type === 'refusal') {
    answers.refusals[message.code] = (answers.refusals[message.code] ?? 0) + 1;
  } else if (message.type === 'stop') {
    if (agent.report !== null) socket.send(JSON.stringify({ type: 'report', report: { ...agent.report, state: 'stopped' } }));
    agent.report = null;
    return;
  } else return;
  answers.asked -= 1;
  if (answers.asked === 0) say({ grants: answers.grants, refusals: answers.refusals });
}

function back(): void {
  if (watch === null) return;
  say({ back: open(), ms: performance.now() - watch.at });
  watch = null;
}

function claim({ chute, version }: { chute: string; version: string }): void {
  const here = agents.filter((a) => a.socket !== null);
  Object.assign(answers, { asked: here.length, grants: 0, refusals: {} });
  for (const agent of here) agent.socket?.send(JSON.stringify({ type: 'claim', ref: 'c1', chute, version }));
}

/** Each agent looks every `everyMs`, with jitter, and knows the version of its last look. */
async function poll(ask: { agents: number; everyMs: number; forMs: number }): Promise<void> {
  const pool = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const end = performance.now() + ask.forMs;
  const times: number[] = [];
  let failed = 0;
  let bytes = 0;
  const look = (since: number) =>
    new Promise<number>((resolve) => {
      const begin = performance.now();
      const request = http.get(`${origin}/market?since=${since}`, { agent: pool }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          text += String(chunk);
        });
        response.on('end', () => {
          times.push(performance.now() - begin);
          if (response.statusCode === 200) return resolve(Number((JSON.parse(text) as { version: number }).version));
          if (response.statusCode !== 304) failed += 1;
          resolve(since);
        });
      });
      request.on('error', () => {
        failed += 1;
        resolve(since);
      });
    });
  await Promise.all(
    Array.from({ length: ask.agents }, async () => {
      await sleep(Math.random() * ask.everyMs);
      for (let since = 0; performance.now() < end; await sleep(ask.everyMs * (0.8 + 0.4 * Math.random()))) since = await look(since);
    }),
  );
  pool.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.floor(times.length * share)] ?? 0);
  say({ polls: times.length, failed, p50: at(0.5), p99: at(0.99), bytes });
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line) as {
      open?: number;
      claim?: { chute: string; version: string };
      watch?: 1;
      poll?: { agents: number; everyMs: number; forMs: number };
    };
    if (command.open !== undefined)
      void Promise.all(Array.from({ length: command.open }, (_, i) => connect(i))).then(() => say({ open: open(), failure }));
    if (command.claim !== undefined) claim(command.claim);
    if (command.watch !== undefined) watch = { at: 0, gone: false };
    if (command.poll !== undefined) void poll(command.poll);
  })
  .on('close', () => process.exit(0));
say({ ready: true });
