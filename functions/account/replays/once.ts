/** A keyed call in a Worker: asks the payer's object for its one answer, and gives it on as a reply. */
import type { Context } from 'hono';
import type { Vars } from '../../api/vars.ts';
import { discardBody } from '../../api/discard.ts';
import type { Call } from '../../calls/call.ts';
import type { Reply } from '../../calls/pump.ts';
import type { Env } from '../../env.ts';
import { RipcordError } from '../../errors.ts';
import type { Refused } from './ask.ts';
import { answerOf, idempotencyKey, keyed, type Answer } from './client.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

/** Methods that change nothing need no key. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The Idempotency-Key of a call, or null. Throws `invalid_request`. */
export function keyOfCall(c: Ctx): string | null {
  return SAFE.has(c.req.method) ? null : idempotencyKey(c.req.raw.headers);
}

/** Conducts the call once, whoever asks how often. Throws what it came to where that is an error. */
export async function once(c: Ctx, call: Omit<Call, 'id' | 'signal' | 'crowd'>, idempotencyKey: string): Promise<Reply> {
  const { body } = call;
  if (body instanceof ReadableStream) throw await uncomparable(c, body);
  const { pathname, search } = new URL(c.req.url);
  const { account, key } = call.claim;
  const secret = bearerOf(c);
  const target = [key, call.chute ?? '', call.method, pathname + search];
  const macs = await keyed(c.env, account, idempotencyKey, secret, target, body ?? new Uint8Array(0));
  const id = c.get('requestId');
  return replyOf(c, await answerOf({ env: c.env, signal: c.req.raw.signal }, { ...macs, call: { ...call, body, id } }));
}

/** The whole key as it was sent; its form was checked when its claim was parsed. */
export function bearerOf(c: Ctx): string {
  return (c.req.header('authorization') ?? '').replace(/^Bearer +/i, '');
}

/** From now on the request goes by the id of the one that first had the key. */
export function replyOf(c: Ctx, got: Answer | Refused): Reply {
  const replayed = got.call !== undefined && got.call !== c.get('requestId');
  if (got.call !== undefined) c.set('requestId', got.call);
  if (got.kind === 'refused') throw new RipcordError(got.code, got.detail);
  if ('error' in got.head) throw new RipcordError(got.head.error, { ...got.head.detail, replayed });
  const { status, headers } = got.head;
  return { status, headers: replayed ? [...headers, ['idempotent-replayed', 'true']] : headers, pump: (sink) => got.pump(sink) };
}

async function uncomparable(c: Ctx, body: ReadableStream): Promise<RipcordError> {
  await discardBody(new Request(c.req.url, { method: 'POST', body }));
  return new RipcordError('invalid_request', {
    message: 'A body that is streamed cannot be compared with another, so it takes no Idempotency-Key.',
    hint: 'Send at most 8 MiB with Content-Length, or leave the key out.',
    param: 'Idempotency-Key',
  });
}
