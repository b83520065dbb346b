/**
 * Idempotency-Key on every POST that is no call: the first request is answered here, its answer kept sealed by the
 * caller's Account object; later ones get the same. Calls have their own way, see account/replays/once.ts.
 */
import type { Context, MiddlewareHandler, Next } from 'hono';
import { LIMITS, SIGNED_HEADERS } from '#protocol';
import type { ToldAnswer } from '../account/replays/ask.ts';
import { headBytes } from '../account/replays/head.ts';
import { idempotencyKey, keyed, requestAnswerOf, tellAnswer } from '../account/replays/client.ts';
import { bearerOf, replyOf } from '../account/replays/once.ts';
import { hotkeySecret } from '../account/replays/seal.ts';
import type { KeyClaim } from '../calls/ports.ts';
import { respond } from '../calls/serve.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate } from '../gate/authenticate.ts';
import { KEY_FORM, parseKey } from '../gate/keys.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const idempotent: MiddlewareHandler<{ Bindings: Env; Variables: Vars }> = async (c, next) => {
  if (c.req.method !== 'POST' || /^\/(v1|call)\//.test(c.req.path)) return next();
  const idempotency = idempotencyKey(c.req.raw.headers);
  const asker = idempotency === null ? null : await askerOf(c);
  if (idempotency === null || asker === null) return next();
  const body = await bodyOf(c);
  const { account, claim, secret } = asker;
  const { pathname, search } = new URL(c.req.url);
  const macs = await keyed(c.env, account, idempotency, secret, [claim?.key ?? 'hotkey', 'POST', pathname + search], body);
  const call = c.get('requestId');
  const ask = { ...macs, call, claim, bytes: body.byteLength };
  const got = await requestAnswerOf({ env: c.env, signal: c.req.raw.signal }, account, ask);
  if (got.kind === 'unkept') return next();
  if (got.kind === 'yours') return answeredHere(c, next, account, { name: macs.name, key: macs.key, call });
  const reply = replyOf(c, got);
  const headers = new Headers(reply.headers);
  headers.set('x-request-id', c.get('requestId'));
  return respond(c, reply, headers);
};

type Asked = Pick<ToldAnswer, 'name' | 'key' | 'call'>;

interface Asker {
  account: string;
  /** Null: the hotkey signed. */
  claim: KeyClaim | null;
  /** What the answer is sealed with. */
  secret: string;
}

/** Null: nobody whom an answer could be kept for; the route itself says what it thinks of that. */
async function askerOf(c: Ctx): Promise<Asker | null> {
  if (c.req.header(SIGNED_HEADERS.hotkey) !== undefined) {
    const { account } = await authenticate(c, 'read');
    return { account, claim: null, secret: await hotkeySecret(c.env, account) };
  }
  const secret = bearerOf(c);
  if (!KEY_FORM.test(secret)) return null;
  const claim = await parseKey(c.req.header('authorization'), c.env);
  return { account: claim.account, claim, secret };
}

/** Through Hono, which keeps it for the route. */
async function bodyOf(c: Ctx): Promise<Uint8Array> {
  if (c.req.raw.body === null) return new Uint8Array(0);
  const declared = c.req.header('content-length');
  if (declared === undefined)
    throw new RipcordError('invalid_request', {
      message: 'A request with Idempotency-Key needs Content-Length.',
      param: 'Idempotency-Key',
    });
  if (!(Number(declared) <= LIMITS.bufferedBodyBytes)) throw new RipcordError('body_too_large');
  return new Uint8Array(await c.req.arrayBuffer());
}

/** Goes on when the client leaves: it may come back for the answer. */
async function answeredHere(c: Ctx, next: Next, account: string, asked: Asked): Promise<void> {
  const work = next().then(() => tell(c, account, asked));
  c.executionCtx.waitUntil(work.catch(() => {}));
  await work;
}

/** A refusal has changed nothing, and a failure may pass: after either the key may be tried again. */
async function tell(c: Ctx, account: string, asked: Asked): Promise<void> {
  const { status } = c.res;
  const head = headBytes({ status, headers: [...c.res.headers] });
  const body = new Uint8Array(await c.res.clone().arrayBuffer());
  const answer = new Uint8Array(head.byteLength + body.byteLength);
  answer.set(head);
  answer.set(body, head.byteLength);
  await tellAnswer(c.env, account, { ...asked, answer, keep: status < 300 });
}
