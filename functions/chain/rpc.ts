/**
 * JSON-RPC over HTTP with a Subtensor node: batches, one deadline, bounded replies, no subscription. Several endpoints may be
 * given; each must show the expected genesis before a word of it is believed.
 */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import { readText } from '../read-text.ts';

/** One call of a batch. */
export interface RpcCall {
  method: string;
  params: readonly unknown[];
}

/** What was asked got no answer (`unreachable`), a refusal by the node (`refused`), or comes from another chain. */
export type ChainFault = 'unreachable' | 'refused' | 'other_chain' | 'malformed';

/** How a node put its refusal: a code of JSON-RPC, and what it adds, e.g. `Custom error: 6`. */
export interface Refusal {
  code: number;
  data: string;
}

export class ChainError extends Error {
  override readonly name = 'ChainError';
  readonly fault: ChainFault;
  /** Of a call that was refused. */
  readonly refusal: Refusal | null;
  constructor(fault: ChainFault, message: string, refusal: Refusal | null = null) {
    super(message);
    this.fault = fault;
    this.refusal = refusal;
  }
}

export const RPC_LIMITS = {
  /** Milliseconds for one batch, its reply included. */
  batchMs: 15_000,
  /** Bytes of a reply; a block and a runtime's metadata stay far below. */
  replyBytes: 32 * 1024 * 1024,
} as const;

const replySchema = z.object({
  /** Null where the batch as a whole is refused. */
  id: z.nullable(z.number()),
  result: z.optional(z.unknown()),
  error: z.optional(z.object({ code: z.number(), message: z.string(), data: z.optional(z.unknown()) })),
});

const hexSchema = z.string().check(z.regex(/^0x([0-9a-f]{2})*$/));
export const hashSchema = z.string().check(z.regex(/^0x[0-9a-f]{64}$/));

/** The results of all calls, in their order. Throws `ChainError`; a call that the node refuses fails the batch. */
export async function askNode(url: string, calls: readonly RpcCall[]): Promise<unknown[]> {
  const body = JSON.stringify(calls.map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params })));
  const replies = new Map(parseReplies(await post(url, body)).map((reply) => [reply.id, reply]));
  return calls.map(({ method }, id) => {
    const reply = replies.get(id) ?? replies.get(null);
    if (reply === undefined) throw new ChainError('malformed', `${method}: the node left it unanswered`);
    if (reply.error !== undefined) throw refusalOf(method, reply.error);
    return reply.result ?? null;
  });
}

function refusalOf(method: string, { code, message, data }: { code: number; message: string; data?: unknown }): ChainError {
  const more = typeof data === 'string' ? data.slice(0, 200) : '';
  return new ChainError('refused', `${method}: ${code} ${message} ${more}`.trim().slice(0, 300), {
    code,
    data: more || message.slice(0, 200),
  });
}

async function post(url: string, body: string): Promise<string> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), RPC_LIMITS.batchMs);
  try {
    const headers = { 'content-type': 'application/json' };
    const reply = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: controller.signal });
    if (!reply.ok) throw new ChainError('unreachable', `the node answered ${reply.status}`);
    const text = await readText(reply, RPC_LIMITS.replyBytes);
    if (text === null) throw new ChainError('malformed', 'the reply is too long');
    return text;
  } catch (error) {
    if (error instanceof ChainError) throw error;
    throw new ChainError('unreachable', 'the node does not answer');
  } finally {
    clearTimeout(timer);
  }
}

function parseReplies(text: string): z.output<typeof replySchema>[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ChainError('malformed', 'the node answered no JSON');
  }
  // A node that refuses a whole batch answers with one object.
  const parsed = z.safeParse(z.array(replySchema), Array.isArray(value) ? value : [value]);
  if (!parsed.success) throw new ChainError('malformed', 'the node answered no JSON-RPC');
  return parsed.data;
}

/** A result as its schema says. Throws `malformed`. */
export function parsed<T extends z.ZodMiniType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = z.safeParse(schema, value);
  if (!result.success) throw new ChainError('malformed', `${what}: not what the node should answer`);
  return result.data;
}

/** Bytes of a `0x…` result. Throws `malformed`. */
export function bytesOf(value: unknown, what: string): Uint8Array {
  return hexToBytes(parsed(hexSchema, value, what).slice(2));
}

export function hexOf(bytes: Uint8Array): string {
  return `0x${bytesToHex(bytes)}`;
}
