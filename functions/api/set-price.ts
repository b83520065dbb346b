/** A price is on record in Postgres first, then the Chute is told what is in force and to come, as Postgres has it. */
import * as db from '#db';
import { priceSchema, type Price } from '#protocol';
import { feeBps, type Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { makeId } from '../gate/ids.ts';
import { PRICE_BOUNDS, deployChanges, priceFault, sameAs, type PriceAsk, type PriceVersion } from '../prices/history.ts';
import { chuteStub } from '../stubs.ts';
import { recorded } from './chute-access.ts';

/** What a chute asks now and next. */
export async function pricesOnRecord(env: Env, chute: string, now: number): Promise<PriceVersion[]> {
  return (await recorded((base) => db.currentPrices(base, chute, new Date(now)), env)).map(priceVersion);
}

/** Adds a price, if it says anything new. Throws `invalid_request` with the field at fault. */
export async function setPrice(env: Env, chute: string, ask: PriceAsk, now: number): Promise<{ set: PriceVersion; created: boolean }> {
  const known = await pricesOnRecord(env, chute, now);
  const same = sameAs(ask, known);
  const fault = same === null ? priceFault(ask, known, now) : null;
  if (fault !== null) throw new RipcordError('invalid_request', fault);
  const set = same ?? (await record(env, chute, { ...ask, startsAt: ask.startsAt ?? now + PRICE_BOUNDS.noticeMs }, now));
  // Also where nothing is new: the last order may have come to Postgres and no further.
  if (!(await chuteStub(env, chute).setPrices([...known, set]))) throw new RipcordError('chute_not_found');
  return { set, created: same === null };
}

/** The prices of a chute that is deployed with this one; absent: it keeps what it asks. */
export async function deployedPrices(
  env: Env,
  chute: string,
  { price, live }: { price: Price | undefined; live: boolean },
  now: number,
): Promise<PriceVersion[]> {
  const known = await pricesOnRecord(env, chute, now);
  if (price === undefined || !deployChanges(price, known, now)) return known;
  const startsAt = live ? now + PRICE_BOUNDS.noticeMs : now;
  return [...known, await record(env, chute, { price, discountBps: 0, startsAt, endsAt: null, note: 'deployed' }, now)];
}

async function record(env: Env, chute: string, ask: PriceAsk & { startsAt: number }, now: number): Promise<PriceVersion> {
  const version: PriceVersion = { ...ask, id: await makeId('prc', env), feeBps: feeBps(env), createdAt: now };
  await recorded((base) => db.insertPrice(base, priceRecord(chute, version)), env);
  return version;
}

export function priceRecord(chute: string, version: PriceVersion): db.PriceRecord {
  const { startsAt, endsAt, createdAt, ...rest } = version;
  return {
    ...rest,
    chuteId: chute,
    startsAt: new Date(startsAt),
    endsAt: endsAt === null ? null : new Date(endsAt),
    createdAt: new Date(createdAt),
  };
}

export function priceVersion(row: db.PriceRecord): PriceVersion {
  const { id, feeBps, discountBps, note } = row;
  return {
    id,
    price: priceSchema.parse(row.price),
    feeBps,
    discountBps,
    startsAt: row.startsAt.getTime(),
    endsAt: row.endsAt?.getTime() ?? null,
    note,
    createdAt: row.createdAt.getTime(),
  };
}
