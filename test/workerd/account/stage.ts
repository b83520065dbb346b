/** A developer before the Account's API in workerd; Postgres is played behind `fetch`. */
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, secretFromSeed, sign } from '@scure/sr25519';
import { env as bindings, runDurableObjectAlarm } from 'cloudflare:test';
import { Hono } from 'hono';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { requestText, SIGNED_HEADERS } from '../../../functions/protocol/hello.ts';
import { accountsApi } from '../../../functions/api/accounts.ts';
import { alertsApi } from '../../../functions/api/alerts.ts';
import { callsApi } from '../../../functions/api/calls.ts';
import { keysApi } from '../../../functions/api/keys.ts';
import type { Vars } from '../../../functions/api/vars.ts';
import type { OpenAsk, Settlement } from '../../../functions/calls/ports.ts';
import type { Env } from '../../../functions/env.ts';
import { FREE } from '../../../functions/prices/now.ts';
import { errorResponse } from '../../../functions/errors.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { parseKey } from '../../../functions/gate/keys.ts';
import type { accountStub } from '../../../functions/stubs.ts';

export const env = bindings as unknown as Env;
const utf8 = new TextEncoder();

const app = new Hono<{ Bindings: Env; Variables: Vars }>();
for (const api of [accountsApi, alertsApi, keysApi, callsApi]) app.route('/', api);
app.onError((error) => errorResponse(error, 'problem', 'test'));

// ── Postgres behind fetch ──

export interface Statement {
  query: string;
  params: unknown[];
}

export const statements: Statement[] = [];
export type Play = (statement: Statement) => Response | Promise<Response> | undefined;
let play: Play = () => undefined;

/** What Postgres answers from now on; where it says nothing, a statement changed no row. */
export function postgres(next: Play): void {
  play = next;
}

/** Requests to anything but Postgres; all are answered 204. */
export const posts: { url: string; headers?: Record<string, string>; body?: string; redirect?: string }[] = [];

beforeEach(() => {
  statements.length = 0;
  posts.length = 0;
  play = () => undefined;
  vi.stubGlobal('fetch', async (url: string, init: { body: string }) => {
    if (url !== env.DATABASE_FETCH_ENDPOINT) {
      posts.push({ url, ...init });
      return new Response(null, { status: 204 });
    }
    const statement = JSON.parse(init.body) as Statement;
    statements.push(statement);
    if (statement.query.includes('flush_calls')) return play(statement) ?? rows([['{"taken":1,"known":0}']], 3802);
    return play(statement) ?? rows(statement.query.startsWith('insert into "accounts"') ? [statement.params.map(String)] : []);
  });
});

afterEach(() => vi.unstubAllGlobals());

/** `type`: the OID of every column; 25 is text, 3802 is jsonb. `names` matter to raw statements only. */
export function rows(of: string[][], type = 25, names: string[] = []): Response {
  const fields = (of[0] ?? []).map((_, i) => ({
    name: names[i] ?? `f${i}`,
    dataTypeID: type,
    tableID: 0,
    columnID: 0,
    dataTypeSize: -1,
    dataTypeModifier: -1,
    format: 'text',
  }));
  return Response.json({ command: 'INSERT', rowCount: of.length, rows: of, fields, rowAsArray: true });
}

export const sentCalls = () =>
  statements
    .filter((s) => s.query.includes('flush_calls'))
    .map((s) => JSON.parse(String(s.params[0])) as { callId: string; costNanousd: string; attempts: { attempt: number }[] }[]);

// ── a developer ──

export class Developer {
  readonly secret = secretFromSeed(crypto.getRandomValues(new Uint8Array(32)));
  readonly hotkey = encodeSs58(getPublicKey(this.secret));

  headers(method: string, target: string, body: string, change: { nonce?: string; at?: number } = {}): Record<string, string> {
    const nonce = change.nonce ?? bytesToHex(crypto.getRandomValues(new Uint8Array(16)));
    const timestampMs = change.at ?? Date.now();
    const text = requestText({
      origin: env.PUBLIC_ORIGIN,
      method,
      target,
      bodySha256: bytesToHex(sha256(utf8.encode(body))),
      timestampMs,
      nonce,
    });
    return {
      [SIGNED_HEADERS.hotkey]: this.hotkey,
      [SIGNED_HEADERS.timestamp]: String(timestampMs),
      [SIGNED_HEADERS.nonce]: nonce,
      [SIGNED_HEADERS.signature]: bytesToHex(sign(this.secret, utf8.encode(text))),
    };
  }

  async ask(method: string, target: string, body?: unknown, headers?: Record<string, string>) {
    const text = body === undefined ? '' : JSON.stringify(body);
    return ask(method, target, text, headers ?? this.headers(method, target, text));
  }

  async register(handle = `d${this.hotkey.slice(2, 12).toLowerCase()}`): Promise<string> {
    const { status, json } = await this.ask('POST', '/accounts', { handle });
    expect(status).toBe(201);
    return String(json['account_id']);
  }

  async key(change: object = {}): Promise<string> {
    const { status, json } = await this.ask('POST', '/keys', { name: 'test', scopes: ['invoke', 'read', 'keys'], ...change });
    expect(status).toBe(201);
    return String(json['secret_key']);
  }
}

export async function ask(method: string, target: string, text: string, headers: Record<string, string>) {
  const init =
    text === '' ? { method, headers } : { method, headers: { 'content-length': String(utf8.encode(text).length), ...headers }, body: text };
  const response = await app.request(`https://anything.test${target}`, init, env);
  const body = await response.text();
  return { status: response.status, json: (body === '' ? {} : JSON.parse(body)) as Record<string, unknown> };
}

export const withKey = (key: string) => ({ authorization: `Bearer ${key}` });

export async function openAsk(key: string, change: Partial<OpenAsk> = {}): Promise<OpenAsk> {
  const claim = await parseKey(`Bearer ${key}`, env);
  return {
    call: crypto.randomUUID(),
    claim,
    chute: { id: 'cht_1', owner: claim.account, public: false },
    version: 'v',
    terms: FREE,
    facts: { requestBytes: 0, maxTokens: 0, timeoutMs: 60_000, images: 0, steps: 0 },
    extensible: false,
    agents: ['agt_1'],
    deadlineMs: 60_000,
    ...change,
  };
}

export function settlement(ask: OpenAsk, change: Partial<Settlement> = {}): Settlement {
  const { call, claim } = ask;
  return {
    call,
    attempt: 0,
    account: claim.account,
    key: claim.key,
    chute: 'cht_1',
    version: 'v',
    instance: 'ins_1',
    agent: 'agt_1',
    hotkey: '5M',
    outcome: 'completed',
    code: '',
    final: true,
    status: 200,
    bytes: 12,
    tokensIn: 1,
    cachedIn: null,
    tokensOut: 2,
    waitedMs: 0,
    cold: false,
    region: '',
    startedAt: Date.now(),
    firstByteMs: 1,
    lastByteMs: 2,
    receipt: null,
    ...change,
  };
}

/** Rings the alarm until what is expected happened; what waits for a time comes by itself. */
export async function alarmUntil(stub: ReturnType<typeof accountStub>, done: () => boolean): Promise<void> {
  await vi.waitUntil(
    async () => {
      if (!done()) await runDurableObjectAlarm(stub);
      return done();
    },
    { timeout: 10_000, interval: 50 },
  );
}
