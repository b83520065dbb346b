/** POST /chutes/share, POST /chutes/unshare, GET /chutes/{…}/shares: who else may call a private chute. */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { SHARE_BOUNDS } from '../secrets/bounds.ts';
import { tellAttached } from './attached.ts';
import { readJson, smallBody } from './body.ts';
import { CHUTE_PATHS, owned, recorded } from './chute-access.ts';
import { accountNamed, ownDeployed } from './own-chute.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const shareApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const askSchema = z.strictObject({
  chute_id_or_name: z.string().check(z.maxLength(96)),
  user_id_or_name: z.string().check(z.maxLength(64)),
});

shareApi.post('/chutes/share', smallBody, async (c) => {
  const { chute, user, names } = await asked(c);
  const may = await recorded((base) => db.shareChute(base, chute, user, SHARE_BOUNDS.shares), c.env);
  if (!may)
    throw new RipcordError('rate_limited', {
      message: `A chute is shared with at most ${SHARE_BOUNDS.shares} accounts.`,
      hint: 'Unshare it with one first, or make it public.',
    });
  await tellAttached(c.env, chute);
  return c.json({ ...names, shared: true });
});

/** The same again is harmless. */
shareApi.post('/chutes/unshare', smallBody, async (c) => {
  const { chute, user, names } = await asked(c);
  await recorded((base) => db.unshareChute(base, chute, user), c.env);
  await tellAttached(c.env, chute);
  return c.json({ ...names, shared: false });
});

for (const at of CHUTE_PATHS) {
  shareApi.get(`${at}/shares`, async (c) => {
    const { chute } = await owned(c, 'read');
    const items = await recorded((base) => db.listShares(base, chute), c.env);
    return c.json({
      items: items.map(({ accountId, handle, createdAt }) => ({
        user_id: accountId,
        user_name: handle,
        shared_at: createdAt.toISOString(),
      })),
    });
  });
}

async function asked(c: Ctx) {
  const caller = await authenticateAccount(c, 'write');
  const ask = await readJson(c, askSchema);
  const { chute, name } = await ownDeployed(c.env, caller, ask.chute_id_or_name);
  const { id, handle } = await accountNamed(c.env, ask.user_id_or_name);
  if (id === caller.account)
    throw new RipcordError('invalid_request', { message: 'The chute is yours already.', param: 'user_id_or_name' });
  return { chute, user: id, names: { chute_id: chute, name, user_id: id, user_name: handle } };
}
