/** Health for everyone; routes for the operator's own machinery behind `INTERNAL_TOKEN`. */
import { Hono, type Context } from 'hono';
import type { Env } from '../env.ts';
import { NEWEST_AGENT } from '#protocol';
import { RipcordError } from '../errors.ts';
import { sameText } from '../gate/constant-time.ts';
import { housekeeping } from '../housekeeping.ts';
import { accountStub, chuteStub, marketStub, minerStub } from '../stubs.ts';
import { health } from './health.ts';
import { readJson, smallBody } from './body.ts';
import { overrideSchema, setOverride } from './overrides.ts';
import type { Vars } from './vars.ts';

export const internalApi = new Hono<{ Bindings: Env; Variables: Vars }>();

internalApi.get('/health', async (c) => c.json({ version: NEWEST_AGENT, ...(await health(c.env, Date.now())) }));

/** The cron of a host without one. */
internalApi.post('/internal/cron', async (c) => {
  operatorOnly(c);
  const { ok, errands } = await housekeeping(c.env, Date.now());
  return c.json({ ok, errands }, ok ? 200 : 503);
});

/** A price of one account's own. */
internalApi.post('/internal/overrides', smallBody, async (c) => {
  operatorOnly(c);
  const set = await setOverride(c.env, await readJson(c, overrideSchema), Date.now());
  return c.json({ price_version: set.id, account_id: set.accountId, chute_id: set.chuteId }, 201);
});

/** Fault tests: tears an object down as a deploy or a crash would, or cuts an agent's socket. */
internalApi.post('/internal/fault', async (c) => {
  operatorOnly(c);
  if (c.env.FAULTS !== '1') throw new RipcordError('not_found');
  const { object, id, how } = await c.req.json<{ object: string; id: string; how: 'abort' | 'cut' }>();
  const stub = stubOf(c.env, object, id);
  if (stub === null) throw new RipcordError('invalid_request');
  await Promise.resolve(stub.reset(how)).catch(() => {});
  return c.json({ ok: true });
});

interface Resettable {
  reset(how: 'abort' | 'cut'): unknown;
}

function stubOf(env: Env, object: string, id: string): Resettable | null {
  const stubs: Record<string, () => unknown> = {
    account: () => accountStub(env, id),
    chute: () => chuteStub(env, id),
    miner: () => minerStub(env, id),
    market: () => marketStub(env),
  };
  return (stubs[object]?.() ?? null) as Resettable | null;
}

function operatorOnly(c: Context<{ Bindings: Env; Variables: Vars }>): void {
  const token = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
  if (c.env.INTERNAL_TOKEN === undefined || token === undefined || !sameText(token, c.env.INTERNAL_TOKEN))
    throw new RipcordError('not_found');
}
