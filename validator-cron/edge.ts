/**
 * The edge as a judge sees it: its public API and nothing else. Signed routes prove the judge's hotkey; canaries go as
 * any paying client. Every reply is bounded and parsed here.
 */
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import {
  agentsReplySchema,
  AUDIT_LIMITS,
  challengeResultSchema,
  observationsReplySchema,
  type AuditAgent,
  type Observation,
  type Score,
  type StoredObservation,
} from '#protocol/audit.ts';
import { readText } from './bounded-text.ts';
import type { JudgeConfig } from './config.ts';
import { signedHeaders } from './hotkey.ts';

/** Pages of one list that are read in a tick. */
const PAGES = 12;
/** Bytes of one JSON reply. */
const REPLY_BYTES = 1024 * 1024;
const REQUEST_MS = 5_000;

/** The edge refused or broke a request; `status` 0: it was not reached, or the reply was no reply of ours. */
export class EdgeError extends Error {
  override readonly name = 'EdgeError';
  readonly status: number;
  constructor(target: string, status: number) {
    super(`${target.split('?', 1)[0]} answered ${status === 0 ? 'nothing that can be read' : status}`);
    this.status = status;
  }
}

export interface Edge {
  /** Everyone who may be tested, at most `PAGES` pages. Throws `EdgeError`. */
  agents(): Promise<AuditAgent[]>;
  /** Has the edge ping an agent; null: no answer. Throws `EdgeError`. */
  ping(agent: string, id: string): Promise<number | null>;
  /** One call as a paying client. Throws whatever `fetch` throws. */
  call(
    path: string,
    init: { method: string; headers: Record<string, string>; body: string | null; signal: AbortSignal },
  ): Promise<Response>;
  postObservations(items: Observation[]): Promise<void>;
  /** This judge's observations of an epoch, as the edge has published them. */
  observations(epoch: number): Promise<StoredObservation[]>;
  postScores(items: Score[]): Promise<void>;
}

/** `signal` ends everything this tick still has under way. */
export function makeEdge(config: JudgeConfig, signal: AbortSignal): Edge {
  const request = async <T>(method: 'GET' | 'POST', target: string, schema: z.ZodMiniType<T>, json?: unknown): Promise<T> => {
    const body = json === undefined ? null : utf8ToBytes(JSON.stringify(json));
    const headers = body === null ? {} : { 'content-type': 'application/json', ...sign(config, method, target, body) };
    const { status, text } = await exchange(config.origin + target, {
      method,
      headers,
      body,
      signal: within(REQUEST_MS, signal),
    });
    if (status < 200 || status > 299) throw new EdgeError(target, status);
    const parsed = z.safeParse(schema, jsonOrNull(text));
    if (!parsed.success) throw new EdgeError(target, 0);
    return parsed.data;
  };
  const taken = z.object({});

  return {
    agents: () =>
      pages((after) => request('GET', `/audit/agents${after === null ? '' : `?after=${encodeURIComponent(after)}`}`, agentsReplySchema)),
    ping: async (agent, id) => {
      const result = await request('POST', '/audit/challenges', challengeResultSchema, { type: 'rtt', agent, id });
      return result.id === id ? result.rtt_ms : null;
    },
    call: (path, init) =>
      fetch(config.origin + path, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${config.apiKey}` },
        redirect: 'manual',
        signal: AbortSignal.any([signal, init.signal]),
      }),
    postObservations: async (items) => {
      for (const part of parts(items, AUDIT_LIMITS.observations)) await request('POST', '/audit/observations', taken, { items: part });
    },
    observations: (epoch) =>
      pages((after) =>
        request(
          'GET',
          `/audit/observations?epoch=${epoch}&judge=${config.hotkey.ss58}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`,
          observationsReplySchema,
        ),
      ),
    postScores: async (items) => {
      for (const part of parts(items, AUDIT_LIMITS.scores)) await request('POST', '/audit/scores', taken, { items: part });
    },
  };
}

function sign(config: JudgeConfig, method: string, target: string, body: Uint8Array): Record<string, string> {
  const nonceHex = bytesToHex(crypto.getRandomValues(new Uint8Array(16)));
  return signedHeaders(config.hotkey, {
    origin: config.origin,
    method,
    target,
    body,
    timestampMs: Date.now(),
    nonceHex,
  });
}

/** A redirect is not followed: signatures and keys are meant for this origin only. */
async function exchange(url: string, init: RequestInit): Promise<{ status: number; text: string }> {
  try {
    const reply = await fetch(url, { ...init, redirect: 'manual' });
    const { text, whole } = await readText(reply.body, REPLY_BYTES);
    return { status: whole ? reply.status : 0, text };
  } catch {
    return { status: 0, text: '' };
  }
}

async function pages<T>(read: (after: string | null) => Promise<{ items: T[]; next: string | null }>): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  for (let page = 0; page < PAGES; page++) {
    const reply: { items: T[]; next: string | null } = await read(after);
    items.push(...reply.items);
    if (reply.next === null || reply.next === after) break;
    after = reply.next;
  }
  return items;
}

function parts<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
