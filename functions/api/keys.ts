/** GET /keys, POST /keys, DELETE /keys/{id} */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import type { KeyView } from '../account/core.ts';
import { ACCOUNT_LIMITS } from '../account/limits.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { mintKey } from '../gate/keys.ts';
import { accountStub } from '../stubs.ts';
import { readJson, smallBody } from './body.ts';
import type { Vars } from './vars.ts';

const createSchema = z.strictObject({
  name: z.string().check(z.regex(/^[\x20-\x7e\xa1-\uffff]{1,64}$/)),
  scopes: z._default(z.array(z.enum(['invoke', 'read', 'write', 'keys'])).check(z.minLength(1), z.maxLength(4)), [
    'invoke',
    'read',
    'write',
  ]),
  /** ISO 8601; absent or null: never. */
  expires_at: z._default(z.nullable(z.iso.datetime({ offset: true })), null),
});

export const keysApi = new Hono<{ Bindings: Env; Variables: Vars }>();

keysApi.get('/keys', async (c) => {
  const { account } = await authenticateAccount(c, 'keys');
  const keys = await accountStub(c.env, account).listKeys();
  return c.json({ items: keys.map(keyView) });
});

keysApi.post('/keys', smallBody, async (c) => {
  const { account } = await authenticateAccount(c, 'keys');
  const ask = await readJson(c, createSchema);
  const expiresAt = ask.expires_at === null ? null : Date.parse(ask.expires_at);
  if (expiresAt !== null && expiresAt <= Date.now())
    throw new RipcordError('invalid_request', { message: 'expires_at is in the past.', param: 'expires_at' });
  const { key, secretKey, proof } = await mintKey(account, c.env);
  const made = await accountStub(c.env, account).createKey({ key, proof, name: ask.name, scopes: [...new Set(ask.scopes)], expiresAt });
  if (!made.ok)
    throw new RipcordError(
      made.code,
      made.code === 'rate_limited' ? { message: `An account has at most ${ACCOUNT_LIMITS.keys} keys.`, hint: 'Revoke one first.' } : {},
    );
  return c.json({ ...keyView(made.key), secret_key: secretKey }, 201, { 'cache-control': 'no-store' });
});

keysApi.delete('/keys/:id', async (c) => {
  const { account } = await authenticateAccount(c, 'keys');
  const revoked = await accountStub(c.env, account).revokeKey(c.req.param('id'));
  if (!revoked) throw new RipcordError('not_found', { message: 'There is no such key.' });
  return c.body(null, 204);
});

function keyView({ key, name, scopes, createdAt, expiresAt }: KeyView) {
  return {
    key_id: key,
    name,
    scopes,
    created_at: new Date(createdAt).toISOString(),
    expires_at: expiresAt === null ? null : new Date(expiresAt).toISOString(),
  };
}
