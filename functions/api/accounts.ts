/** POST /accounts, GET /accounts/me, GET /accounts/me/balance */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import { HANDLE } from '#protocol';
import { connect, findFunds, insertAccount, type Funds } from '#db';
import { balanceOf, lastKnown, type Balance } from '../account/balance.ts';
import type { Money } from '../account/core.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate, authenticateAccount } from '../gate/authenticate.ts';
import { accountStub } from '../stubs.ts';
import { readJson, smallBody } from './body.ts';
import type { Vars } from './vars.ts';

const registerSchema = z.strictObject({ handle: z.string().check(z.regex(HANDLE)) });

export const accountsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** Postgres decides whose a handle is; the Account object is told after it, and again by a repeat of the request. */
accountsApi.post('/accounts', smallBody, async (c) => {
  const caller = await authenticate(c, 'write');
  if (caller.claim !== null || caller.hotkey === null)
    throw new RipcordError('invalid_signature', { message: 'An account is registered by its hotkey, not by a key.' });
  const { handle } = await readJson(c, registerSchema);
  const account = { id: caller.account, hotkey: caller.hotkey, handle };
  const { kind, by } = await insertAccount(connect(c.env), account).catch(() => {
    throw new RipcordError('unavailable', { message: 'The database does not answer.', hint: 'Try again.', retryAfterMs: 5_000 });
  });
  if (kind === 'taken') throw new RipcordError('name_taken', { message: takenBy(by.hotkey === account.hotkey, by.handle) });
  await accountStub(c.env, account.id).register({ account: account.id, hotkey: account.hotkey, handle });
  return c.json(view(account.id, account.hotkey, handle), 201);
});

accountsApi.get('/accounts/me', async (c) => {
  const { account, hotkey, handle } = await authenticateAccount(c, 'read');
  return c.json(view(account, hotkey, handle));
});

/** Looks at both sides of a balance before what they say is believed. */
const LOOKS = 3;

/** Postgres first: a call that closes between the two is then counted as spent, never as there. */
accountsApi.get('/accounts/me/balance', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const now = Date.now();
  const { funds, money } = await sides(c.env, account);
  if (funds !== null) return c.json(balanceView(balanceOf(money, funds), now));
  const known = lastKnown(money);
  if (known === null) throw new RipcordError('unavailable', { message: 'The record does not answer.', retryAfterMs: 5_000 });
  return c.json(balanceView(known, known.at));
});

/** What Postgres and the object say. A lease that was taken between the two is known to the object alone: then both are asked again. */
async function sides(env: Env, account: string): Promise<{ funds: Funds | null; money: Money }> {
  for (let looks = 1; ; looks++) {
    const funds = await findFunds(connect(env), account).catch(() => null);
    const money = await accountStub(env, account).money();
    const newest = money.leases.at(-1)?.epoch;
    const known = newest === undefined || funds === null || funds.leases.some(({ epoch }) => epoch === newest);
    if (known || looks === LOOKS) return { funds, money };
  }
}

function balanceView({ cash, promo, held, unbilled, available }: Balance, at: number) {
  return {
    cash_nanousd: cash.toString(),
    promo_nanousd: promo.toString(),
    held_nanousd: held.toString(),
    unbilled_nanousd: unbilled.toString(),
    available_nanousd: available.toString(),
    /** When the record was last heard of. */
    as_of: new Date(at).toISOString(),
  };
}

function view(account: string, hotkey: string | null, handle: string) {
  return { account_id: account, handle, hotkey };
}

function takenBy(self: boolean, handle: string): string {
  return self ? `This hotkey is registered as "${handle}"; a handle does not change.` : `The handle "${handle}" belongs to another hotkey.`;
}
