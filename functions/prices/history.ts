/**
 * The prices of a chute in time: each is a version, from a start on, some with an end. In force is the one that started
 * last and has not ended; when a promotion ends, the price before it is in force again. Pure.
 */
import type { TermsFrom } from '../calls/ports.ts';
import { FREE } from './now.ts';
import type { Price, Terms } from './terms.ts';

export interface PriceVersion {
  id: string;
  price: Price;
  feeBps: number;
  discountBps: number;
  /** Unix milliseconds. */
  startsAt: number;
  endsAt: number | null;
  note: string;
  createdAt: number;
}

/** By start; of two with one start, the one made later counts. */
export function inOrder(versions: Iterable<PriceVersion>): PriceVersion[] {
  return [...versions].toSorted((a, b) => a.startsAt - b.startsAt || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
}

/** `versions` in order. Null: nothing has started, which is free. */
export function inForce(versions: readonly PriceVersion[], now: number): PriceVersion | null {
  return versions.findLast((v) => v.startsAt <= now && (v.endsAt === null || v.endsAt > now)) ?? null;
}

/** Without those that can never be in force again; also for other things in order that start and end. */
export function stillToCome<T extends Pick<PriceVersion, 'startsAt' | 'endsAt'>>(versions: readonly T[], now: number): T[] {
  const base = versions.findLastIndex((v) => v.startsAt <= now && v.endsAt === null);
  return versions.filter((v, at) => at >= base && (v.endsAt === null || v.endsAt > now));
}

/** What is in force from when on. The first holds from ever: a clock that is behind must find something. */
export function timeline(versions: readonly PriceVersion[], now: number): TermsFrom[] {
  const times = versions.flatMap((v) => [v.startsAt, v.endsAt ?? now]).filter((at) => at > now);
  const moments = [now, ...new Set(times.toSorted((a, b) => a - b))];
  const all = moments.map((at, k) => ({ startsAt: k === 0 ? 0 : at, terms: termsOf(inForce(versions, at)) }));
  return all.filter(({ terms }, k) => all[k - 1]?.terms.version !== terms.version);
}

/** When the next start or end is; null: nothing changes any more. */
export function nextChange(versions: readonly PriceVersion[], now: number): number | null {
  let next: number | null = null;
  for (const { startsAt, endsAt } of versions)
    for (const at of [startsAt, endsAt]) if (at !== null && at > now && (next === null || at < next)) next = at;
  return next;
}

export function termsOf(version: PriceVersion | null): Terms {
  if (version === null) return FREE;
  return { version: version.id, price: version.price, discountBps: version.discountBps, feeBps: version.feeBps };
}

/** The calls of a private chute that pays for its instances cost nothing more. */
export function callTerms(terms: Terms, isPublic: boolean): Terms {
  return rented(terms, isPublic) ? { ...terms, price: FREE.price } : terms;
}

/** Whether the chute's owner pays for its instances by time. */
export function rented({ price }: Terms, isPublic: boolean): boolean {
  return !isPublic && price.per_instance_second > 0;
}

export const PRICE_BOUNDS = {
  /** Milliseconds from the order to the earliest start: Workers know a chute's terms for up to 30 s. */
  noticeMs: 60_000,
  /** Milliseconds a start or an end may lie ahead. */
  aheadMs: 366 * 86_400_000,
  /** Prices of one chute that have not started. */
  coming: 50,
} as const;

export interface PriceAsk {
  price: Price;
  discountBps: number;
  /** Null: as soon as may be. */
  startsAt: number | null;
  endsAt: number | null;
  note: string;
}

/** What is wrong with the times of a price, and the field at fault; null: nothing. */
export function priceFault(ask: PriceAsk, known: readonly PriceVersion[], now: number): { param: string; message: string } | null {
  const { noticeMs, aheadMs, coming } = PRICE_BOUNDS;
  const earliest = now + noticeMs;
  const startsAt = ask.startsAt ?? earliest;
  const fault = (param: string, message: string) => ({ param, message: `${param}: ${message}` });
  if (startsAt < earliest) return fault('starts_at', `a price starts ${noticeMs / 1000} s from now or later; leave it out for that.`);
  if (startsAt > now + aheadMs) return fault('starts_at', 'it is more than a year away.');
  if (ask.endsAt !== null && ask.endsAt <= startsAt) return fault('ends_at', 'the price would end before it starts.');
  if (ask.endsAt !== null && ask.endsAt > now + aheadMs) return fault('ends_at', 'it is more than a year away.');
  if (known.filter((v) => v.startsAt > now).length >= coming) return fault('starts_at', `${coming} prices are waiting to start already.`);
  return null;
}

/** The version that says this already, so that a repeated order adds nothing. */
export function sameAs(ask: PriceAsk, known: readonly PriceVersion[]): PriceVersion | null {
  const last = known.findLast((v) => ask.startsAt === null || v.startsAt === ask.startsAt) ?? null;
  const same =
    last !== null &&
    last.discountBps === ask.discountBps &&
    last.endsAt === ask.endsAt &&
    last.note === ask.note &&
    samePrice(last.price, ask.price);
  return same ? last : null;
}

/**
 * Whether a deploy with this price changes anything: not if it is the regular price now, or one that is to come. A
 * promotion that runs stays out of it.
 */
export function deployChanges(price: Price, known: readonly PriceVersion[], now: number): boolean {
  const regular = known.filter((v) => v.endsAt === null);
  const current = termsOf(regular.findLast((v) => v.startsAt <= now) ?? null).price;
  return ![current, ...regular.filter((v) => v.startsAt > now).map((v) => v.price)].some((p) => samePrice(p, price));
}

function samePrice(a: Price, b: Price): boolean {
  const full = (p: Price) => ({ ...p, cached_per_million: p.cached_per_million ?? p.input_per_million });
  const [x, y] = [full(a), full(b)];
  return (Object.keys(x) as (keyof Price)[]).every((name) => x[name] === y[name]);
}
