/** Secrets of chutes: they come in, and leave sealed for an agent with a grant. No answer holds a value. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { registryCredentialSchema } from '#protocol';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { checkId, makeId } from '../gate/ids.ts';
import { SECRET_BOUNDS } from '../secrets/bounds.ts';
import { sealSecret, secretKind, type SecretKind } from '../secrets/envelope.ts';
import { grantBytes } from '../secrets/grant.ts';
import { ringOf } from '../secrets/ring.ts';
import { tellAttached } from './attached.ts';
import { bodyAtMost, readJson } from './body.ts';
import { recorded } from './chute-access.ts';
import { ownChute } from './own-chute.ts';
import { readLimit } from './page.ts';
import type { Vars } from './vars.ts';

export const secretsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const purpose = z.string().check(z.maxLength(96));
const credential = registryCredentialSchema.shape;

/** A variable of the program; U+0000 ends one for every operating system. */
const envSchema = z.strictObject({
  purpose,
  kind: z._default(z.literal('env'), 'env'),
  key: z.string().check(z.regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/)),
  value: z.string().check(
    z.refine((text) => new TextEncoder().encode(text).byteLength <= SECRET_BOUNDS.valueBytes, `at most ${SECRET_BOUNDS.valueBytes} bytes`),
    z.refine((text) => !text.includes('\u0000'), 'the character U+0000 is not possible in a variable'),
  ),
});
const registrySchema = z.strictObject({
  purpose,
  kind: z.literal('registry'),
  key: credential.server,
  value: z.strictObject({ username: credential.username, password: credential.password }),
});
const kindSchema = z.looseObject({ kind: z._default(secretKind, 'env') });

/** JSON may write a character in six. */
const body = bodyAtMost(8 * SECRET_BOUNDS.valueBytes);

secretsApi.post('/secrets', body, async (c) => {
  const caller = await authenticateAccount(c, 'write');
  const ask = (await readJson(c, kindSchema)).kind === 'env' ? await readJson(c, envSchema) : await readJson(c, registrySchema);
  const { kind, key } = ask;
  const { chute, name } = await ownChute(c.env, caller, ask.purpose);
  const text = typeof ask.value === 'string' ? ask.value : JSON.stringify(ask.value);
  const sealed = await sealSecret(await ringOf(c.env), { owner: caller.account, chute, kind, key }, text);
  const fresh = { id: await makeId('sec', c.env), accountId: caller.account, chuteId: chute, purpose: name, kind, key };
  const secret = { ...fresh, sealed, bytes: grantBytes(kind, key, text) };
  const id = await recorded((base) => db.setSecret(base, secret, boundsOf(kind)), c.env);
  if (id === 'too_many' || id === 'too_large') throw full(kind, id);
  await tellAttached(c.env, chute);
  return c.json({ secret_id: id, purpose: name, chute_id: chute, kind, key }, id === fresh.id ? 201 : 200);
});

/** By id; `?purpose=` one chute, `?after=` the last id of the page before, `?limit=`. */
secretsApi.get('/secrets', async (c) => {
  const caller = await authenticateAccount(c, 'read');
  const of = c.req.query('purpose');
  const chuteId = of === undefined ? null : (await ownChute(c.env, caller, of)).chute;
  const limit = readLimit(c.req.query('limit'), 200, 200);
  const after = c.req.query('after') ?? '';
  const rows = await recorded((base) => db.listSecrets(base, caller.account, { chuteId, after, limit }), c.env);
  return c.json({ items: rows.map(secretItem), next: rows.length < limit ? null : (rows.at(-1)?.id ?? null) });
});

secretsApi.get('/secrets/:id', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const row = await recorded((base) => db.findSecret(base, c.req.param('id'), account), c.env);
  if (row === null) throw absent();
  return c.json(secretItem(row));
});

secretsApi.delete('/secrets/:id', async (c) => {
  const { account } = await authenticateAccount(c, 'write');
  const id = c.req.param('id');
  if (!(await checkId('sec', id, c.env))) throw absent();
  const chute = await recorded((base) => db.dropSecret(base, id, account), c.env);
  if (chute === null) throw absent();
  await tellAttached(c.env, chute);
  return c.json({ secret_id: id, deleted: true });
});

function boundsOf(kind: SecretKind): db.SecretBounds {
  const { account, grantBytes: mostBytes } = SECRET_BOUNDS;
  return { most: SECRET_BOUNDS[kind], mostBytes, mostOfAccount: account };
}

function full(kind: SecretKind, why: 'too_many' | 'too_large'): RipcordError {
  if (why === 'too_large')
    return new RipcordError('invalid_request', {
      message: `value: all secrets of a chute may take ${SECRET_BOUNDS.grantBytes} bytes together.`,
      hint: 'Delete some, or let the program fetch what is large with a token.',
      param: 'value',
    });
  const most = kind === 'env' ? `${SECRET_BOUNDS.env} variables` : `${SECRET_BOUNDS.registry} registries`;
  return new RipcordError('invalid_request', {
    message: `key: a chute has at most ${most}, an account ${SECRET_BOUNDS.account} secrets.`,
    hint: 'Delete one first: GET /secrets lists them.',
    param: 'key',
  });
}

function absent(): RipcordError {
  return new RipcordError('not_found', { message: 'There is no such secret.', hint: 'GET /secrets lists those of the account.' });
}

function secretItem({ id, purpose, chuteId, kind, key, createdAt, updatedAt }: db.SecretRecord) {
  return {
    secret_id: id,
    purpose,
    chute_id: chuteId,
    kind,
    key,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  };
}
