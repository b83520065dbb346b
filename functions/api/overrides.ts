/** Prices of one account, made by the operator: on record in Postgres first, then with the account. */
import * as z from 'zod/mini';
import * as db from '#db';
import { priceSchema } from '#protocol';
import type { Override } from '../account/rows.ts';
import { feeBps, type Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { checkId, makeId } from '../gate/ids.ts';
import { stillToCome } from '../prices/history.ts';
import { accountStub } from '../stubs.ts';
import { recorded } from './chute-access.ts';
import { bps, millis, note, time } from './price-fields.ts';

/** `chute_id` is an id, or `*` for all. Without a price the chute's own counts; without a discount too, all is as usual again. */
export const overrideSchema = z.strictObject({
  account_id: z.string(),
  chute_id: z.string(),
  price: z.optional(priceSchema),
  discount_bps: z._default(bps, 0),
  starts_at: time,
  ends_at: time,
  note: z._default(note, ''),
});

/** Adds one and tells the account all that it has. Throws `invalid_request` with the field at fault. */
export async function setOverride(env: Env, ask: z.output<typeof overrideSchema>, now: number): Promise<db.OverrideRecord> {
  const { account_id: accountId, chute_id: chuteId } = ask;
  if (!(await checkId('acc', accountId, env))) throw fault('account_id', 'there is no such account.');
  if (chuteId !== '*' && !(await checkId('cht', chuteId, env))) throw fault('chute_id', 'a chute id or * is expected.');
  const startsAt = new Date(millis(ask.starts_at) ?? now);
  const end = millis(ask.ends_at);
  const endsAt = end === null ? null : new Date(end);
  if (endsAt !== null && endsAt <= startsAt) throw fault('ends_at', 'the price would end before it starts.');
  const fixed = { id: await makeId('prc', env), feeBps: feeBps(env), createdAt: new Date(now), note: ask.note };
  const set = { ...fixed, accountId, chuteId, price: ask.price ?? null, discountBps: ask.discount_bps, startsAt, endsAt };
  const all = await recorded(async (base) => {
    await db.insertPrice(base, set);
    return db.overridesOf(base, accountId, new Date(now));
  }, env);
  if (!(await accountStub(env, accountId).setOverrides(inUse(all.map(overrideOf), now))))
    throw fault('account_id', 'it has too many prices of its own.');
  return set;
}

/** Without those that can never hold again; an account keeps only so many. */
function inUse(all: Override[], now: number): Override[] {
  const byChute = Map.groupBy(all, ({ chute }) => chute);
  return [...byChute.values()].flatMap((some) =>
    stillToCome(
      some.toSorted((a, b) => a.startsAt - b.startsAt),
      now,
    ),
  );
}

function overrideOf({ id, chuteId, price, discountBps, startsAt, endsAt }: db.OverrideRecord): Override {
  return {
    chute: chuteId,
    version: id,
    startsAt: startsAt.getTime(),
    endsAt: endsAt?.getTime() ?? null,
    ...(price === null ? {} : { price: priceSchema.parse(price) }),
    // A discount of nothing on the chute's own price is none of the account's own.
    ...(price === null && discountBps === 0 ? {} : { discountBps }),
  };
}

function fault(param: string, message: string): RipcordError {
  return new RipcordError('invalid_request', { message: `${param}: ${message}`, param });
}
