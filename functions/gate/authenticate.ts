/** Who asks: an API key, checked with its Account, or a hotkey that signed this very request. */
import type { Context } from 'hono';
import { LIMITS, SIGNED_HEADERS } from '#protocol';
import type { Vars } from '../api/vars.ts';
import type { KeyClaim, Scope } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { accountStub } from '../stubs.ts';
import { checkSigned } from './hotkey.ts';
import { accountIdOf } from './ids.ts';
import { parseKey } from './keys.ts';

export interface Caller {
  account: string;
  /** The account's hotkey (ss58). Null only for an account that has none. */
  hotkey: string | null;
  /** Null: this hotkey signed, but has no account here (yet). */
  handle: string | null;
  /** The key that was used; null: the hotkey signed, which may do everything. */
  claim: KeyClaim | null;
}

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

/**
 * The caller, if it may do `scope`. A signed body is read here and stays readable by `c.req.json()` and its like.
 * Throws `invalid_api_key`, `key_expired`, `insufficient_scope`, `rate_limited`, `invalid_signature`, `nonce_used`,
 * `body_too_large`.
 */
export async function authenticate(c: Ctx, scope: Scope): Promise<Caller> {
  return c.req.header(SIGNED_HEADERS.hotkey) === undefined ? byKey(c, scope) : bySignature(c);
}

/** Like `authenticate`, and the caller has an account. Throws `insufficient_scope` with what to do where it has none. */
export async function authenticateAccount(c: Ctx, scope: Scope): Promise<Caller & { handle: string }> {
  const caller = await authenticate(c, scope);
  const { handle } = caller;
  if (handle === null)
    throw new RipcordError('insufficient_scope', { message: 'This hotkey has no account.', hint: 'Register it with POST /accounts.' });
  return { ...caller, handle };
}

async function byKey(c: Ctx, scope: Scope): Promise<Caller> {
  const claim = await parseKey(c.req.header('authorization'), c.env);
  const answer = await accountStub(c.env, claim.account).authorize(claim, scope);
  if (answer.rate !== undefined) c.set('rate', answer.rate);
  if (!answer.ok) throw new RipcordError(answer.code, { retryAfterMs: answer.retryAfterMs, rate: answer.rate });
  c.set('rate', answer.rate);
  return { account: claim.account, hotkey: answer.hotkey, handle: answer.handle, claim };
}

async function bySignature(c: Ctx): Promise<Caller> {
  const known = c.get('signer');
  if (known !== undefined) return known;
  const url = new URL(c.req.url);
  const { hotkey, nonce } = await checkSigned(
    {
      origin: c.env.PUBLIC_ORIGIN,
      method: c.req.method,
      target: url.pathname + url.search,
      body: await readBody(c),
      header: (name) => c.req.header(name),
    },
    Date.now(),
  );
  const account = await accountIdOf(hotkey, c.env);
  // A throw of the object refuses the request: without a spent nonce it could be a replay.
  const spent = await accountStub(c.env, account).spendNonce(nonce);
  if (!spent.ok) throw new RipcordError(spent.code);
  const signer: Caller = { account, hotkey, handle: spent.handle, claim: null };
  c.set('signer', signer);
  return signer;
}

/** The raw bytes; through Hono, which keeps them for the handler. */
async function readBody(c: Ctx): Promise<Uint8Array> {
  if (c.req.raw.body === null) return new Uint8Array(0);
  const declared = c.req.header('content-length');
  if (declared === undefined) throw new RipcordError('invalid_request', { message: 'A signed request needs Content-Length.' });
  if (!(Number(declared) <= LIMITS.codeBytes)) throw new RipcordError('body_too_large');
  return new Uint8Array(await c.req.arrayBuffer());
}
