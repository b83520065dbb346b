/** One request to the edge: signed by the judge's hotkey where it writes, bounded in time and size, parsed. */
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import { readBytes } from '../bounded.ts';
import type { JudgeConfig } from '../config.ts';
import { signedHeaders } from '../hotkey.ts';

/** Bytes of one JSON reply. */
const REPLY_BYTES = 4 * 1024 * 1024;
const REQUEST_MS = 10_000;
/** Milliseconds a file may take. */
const FILE_MS = 30_000;

/** The edge refused or broke a request; `status` 0: it was not reached, or the reply was no reply of ours. */
export class EdgeError extends Error {
  override readonly name = 'EdgeError';
  readonly status: number;
  /** As the edge names it; null: it did not. */
  readonly code: string | null;
  constructor(target: string, status: number, code: string | null = null) {
    super(`${target.split('?', 1)[0]} answered ${status === 0 ? 'nothing that can be read' : status}${code === null ? '' : ` ${code}`}`);
    this.status = status;
    this.code = code;
  }
}

export interface Requests {
  /** Throws `EdgeError`, as all of them. */
  read: <T>(target: string, schema: z.ZodMiniType<T>) => Promise<T>;
  /** Bytes, at most so many. */
  file: (target: string, maxBytes: number) => Promise<Uint8Array>;
  /** Signed. */
  write: <T>(method: 'POST' | 'PUT', target: string, schema: z.ZodMiniType<T>, body: unknown) => Promise<T>;
}

const refusalSchema = z.object({ code: z.string().check(z.regex(/^[a-z_]{1,64}$/)) });

/** `signal` ends everything that is still under way. */
export function makeRequests(config: Pick<JudgeConfig, 'origin' | 'hotkey'>, signal: AbortSignal): Requests {
  const exchange = async (target: string, init: RequestInit, maxBytes: number, ms: number): Promise<Uint8Array> => {
    const reply = await send(config.origin + target, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(ms)]) }, maxBytes);
    if (reply.status >= 200 && reply.status <= 299) return reply.bytes;
    const refusal = z.safeParse(refusalSchema, jsonOrNull(reply.bytes));
    throw new EdgeError(target, reply.status, refusal.success ? refusal.data.code : null);
  };
  const parsed = <T>(target: string, schema: z.ZodMiniType<T>, bytes: Uint8Array): T => {
    const value = z.safeParse(schema, jsonOrNull(bytes));
    if (!value.success) throw new EdgeError(target, 0);
    return value.data;
  };
  return {
    read: async (target, schema) => parsed(target, schema, await exchange(target, { method: 'GET' }, REPLY_BYTES, REQUEST_MS)),
    file: (target, maxBytes) => exchange(target, { method: 'GET' }, maxBytes, FILE_MS),
    write: async (method, target, schema, content) => {
      const raw = content instanceof Uint8Array;
      const body = raw ? new Uint8Array(content) : new Uint8Array(utf8ToBytes(JSON.stringify(content)));
      const headers = { 'content-type': raw ? 'application/x-ndjson' : 'application/json', ...sign(config, method, target, body) };
      return parsed(target, schema, await exchange(target, { method, headers, body }, REPLY_BYTES, raw ? FILE_MS : REQUEST_MS));
    },
  };
}

function sign(config: Pick<JudgeConfig, 'origin' | 'hotkey'>, method: string, target: string, body: Uint8Array): Record<string, string> {
  const nonceHex = bytesToHex(crypto.getRandomValues(new Uint8Array(16)));
  return signedHeaders(config.hotkey, { origin: config.origin, method, target, body, timestampMs: Date.now(), nonceHex });
}

/** A redirect is not followed: signatures and keys are meant for this origin only. */
async function send(url: string, init: RequestInit, maxBytes: number): Promise<{ status: number; bytes: Uint8Array }> {
  try {
    const reply = await fetch(url, { ...init, redirect: 'manual' });
    const { bytes, whole } = await readBytes(reply.body, maxBytes);
    return { status: whole ? reply.status : 0, bytes };
  } catch {
    return { status: 0, bytes: new Uint8Array() };
  }
}

export function jsonOrNull(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
