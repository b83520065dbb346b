/** GET /keys, POST /keys, PATCH /keys/{id}, DELETE /keys/{id}; GET /key: the key that asks, and what it may still spend */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import type { KeyView } from '../account/core.ts';
import { ACCOUNT_LIMITS } from '../account/limits.ts';
import type { KeyCap } from '../account/rows.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount, type Caller } from '../gate/authenticate.ts';
import { mintKey, parseKey } from '../gate/keys.ts';
import { accountStub } from '../stubs.ts';
import { readJson, smallBody } from './body.ts';
import { moment } from './moment.ts';
import type { Vars } from './vars.ts';

/** What a bigint of Postgres holds. */
const MOST_NANOUSD = 2n ** 63n - 1n;

const name = z.string().check(z.regex(/^[\x20-\x7e\xa1-\uffff]{1,64}$/));
/** Null: never. */
const expiry = z.nullable(moment);
const cap = z.nullable(
  z.strictObject({
    limit_nanousd: z.string().check(z.refine(isAmount, 'A whole number of nano-USD, as text, is expected.')),
    period: z._default(z.enum(['total', 'day', 'week', 'month']), 'total'),
  }),
);

const createSchema = z.strictObject({
  name,
  scopes: z._default(z.array(z.enum(['invoke', 'read', 'write', 'keys'])).check(z.minLength(1), z.maxLength(4)), [
    'invoke',
    'read',
    'write',
  ]),
  expires_at: z._default(expiry, null),
  cap: z._default(cap, null),
});

const changeSchema = z.strictObject({ name: z.optional(name), expires_at: z.optional(expiry), cap: z.optional(cap) });

export const keysApi = new Hono<{ Bindings: Env; Variables: Vars }>();

keysApi.get('/keys', async (c) => {
  const { account } = await authenticateAccount(c, 'keys');
  const keys = await accountStub(c.env, account).listKeys();
  return c.json({ items: keys.map(keyView) });
});

keysApi.post('/keys', smallBody, async (c) => {
  const caller = await authenticateAccount(c, 'keys');
  const { account } = caller;
  await uncapped(c.env, caller);
  const ask = await readJson(c, createSchema);
  const rules = { expiresAt: expiryOf(ask.expires_at), cap: capOf(ask.cap) };
  const { key, secretKey, proof } = await mintKey(account, c.env);
  const made = await accountStub(c.env, account).createKey({ key, proof, name: ask.name, scopes: [...new Set(ask.scopes)], ...rules });
  if (!made.ok)
    throw new RipcordError(
      made.code,
      made.code === 'rate_limited' ? { message: `An account has at most ${ACCOUNT_LIMITS.keys} keys.`, hint: 'Revoke one first.' } : {},
    );
  return c.json({ ...keyView(made.key), secret_key: secretKey }, 201, { 'cache-control': 'no-store' });
});

/** What is left out stays. Calls that run keep what they hold; the next one sees the new cap. */
keysApi.patch('/keys/:id', smallBody, async (c) => {
  const caller = await authenticateAccount(c, 'keys');
  const { account } = caller;
  await uncapped(c.env, caller);
  const ask = await readJson(c, changeSchema);
  const changed = await accountStub(c.env, account).changeKey(c.req.param('id'), {
    ...(ask.name === undefined ? {} : { name: ask.name }),
    ...(ask.expires_at === undefined ? {} : { expiresAt: expiryOf(ask.expires_at) }),
    ...(ask.cap === undefined ? {} : { cap: capOf(ask.cap) }),
  });
  if (changed === null) throw new RipcordError('not_found', { message: 'There is no such key.' });
  return c.json(keyView(changed));
});

keysApi.delete('/keys/:id', async (c) => {
  const { account } = await authenticateAccount(c, 'keys');
  const revoked = await accountStub(c.env, account).revokeKey(c.req.param('id'));
  if (!revoked) throw new RipcordError('not_found', { message: 'There is no such key.' });
  return c.body(null, 204);
});

keysApi.get('/key', async (c) => {
  const claim = await parseKey(c.req.header('authorization'), c.env);
  const answer = await accountStub(c.env, claim.account).thisKey(claim);
  if (answer.rate !== undefined) c.set('rate', answer.rate);
  if (!answer.ok) throw new RipcordError(answer.code, { retryAfterMs: answer.retryAfterMs });
  return c.json(keyView(answer.key));
});

/** A cap that its own key could raise, or get round by a key without one, would hold nothing. */
async function uncapped(env: Env, { account, claim }: Caller): Promise<void> {
  if (claim === null) return;
  const own = (await accountStub(env, account).listKeys()).find(({ key }) => key === claim.key);
  if (own !== undefined && own.cap === null) return;
  throw new RipcordError('insufficient_scope', {
    message: 'A key with a cap makes and changes no keys.',
    hint: 'Use a key without a cap, or the hotkey.',
  });
}

function isAmount(text: string): boolean {
  return /^(0|[1-9]\d{0,18})$/.test(text) && BigInt(text) <= MOST_NANOUSD;
}

function expiryOf(text: string | null): number | null {
  const at = text === null ? null : Date.parse(text);
  if (at !== null && at <= Date.now())
    throw new RipcordError('invalid_request', { message: 'expires_at is in the past.', param: 'expires_at' });
  return at;
}

function capOf(ask: z.output<typeof cap>): KeyCap | null {
  return ask === null ? null : { limit: BigInt(ask.limit_nanousd), period: ask.period };
}

function keyView({ key, name, scopes, createdAt, expiresAt, cap }: KeyView) {
  return {
    key_id: key,
    name,
    scopes,
    created_at: new Date(createdAt).toISOString(),
    expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    cap: cap === null ? null : capView(cap),
  };
}

function capView({ limit, period, spent, held, remaining, resetsAt }: NonNullable<KeyView['cap']>) {
  return {
    limit_nanousd: limit.toString(),
    period,
    spent_nanousd: spent.toString(),
    held_nanousd: held.toString(),
    remaining_nanousd: remaining.toString(),
    resets_at: resetsAt === null ? null : new Date(resetsAt).toISOString(),
  };
}
