/** Who may ask what a call would need, and what there is to pay for it. */
import type { Context } from 'hono';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount, type Caller } from '../gate/authenticate.ts';
import { accountStub } from '../stubs.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

/** A key that may call, or one that may look. */
export async function mayAsk(c: Ctx): Promise<Caller> {
  try {
    return await authenticateAccount(c, 'invoke');
  } catch (error) {
    if (error instanceof RipcordError && error.code === 'insufficient_scope') return authenticateAccount(c, 'read');
    throw error;
  }
}

/** What the account can spend: credit it has with its object, and the rest in Postgres; null while that does not answer. */
export async function availableTo(env: Env, account: string): Promise<bigint | null> {
  const [{ free }, purses] = await Promise.all([
    accountStub(env, account).money(),
    db.findPurses(db.connect(env), account).catch(() => null),
  ]);
  if (purses === null) return null;
  return free + purses.cash.posted - purses.cash.held + purses.promo.posted - purses.promo.held;
}
