/**
 * What a run's chute asks, and the formula of `docs/prices.md` once more: written for the oracle, from the text alone.
 * Prices change while calls run.
 */
import type { Override } from '../../functions/account/rows.ts';
import type { PriceVersion } from '../../functions/prices/history.ts';
import type { Price, QuoteFacts, Terms } from '../../functions/prices/terms.ts';
import type { Random } from './random.ts';

/** Milliseconds for which a Worker may go by prices that it knows, and then some on the way. */
const KNOWN_MS = 40_000;

/** What of a call costs something. */
export interface Bill {
  tokensIn: number;
  cachedIn: number;
  tokensOut: number;
  ms: number;
  images: number;
  steps: number;
}

export class Tariff {
  /** As they were made. */
  readonly versions: PriceVersion[] = [];
  private readonly own = new Map<string, Pick<Override, 'price' | 'discountBps'>>();
  private readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** Another price from this time on (unix ms), made at `now`; some end again. `rent`: instances are paid by time. */
  change(startsAt: number, now: number, rent: boolean): PriceVersion {
    const { random, versions } = this;
    const version: PriceVersion = {
      id: `price-${versions.length}`,
      price: { ...randomPrice(random), ...(rent ? { per_instance_second: random.int(1, 3_000_000) } : {}) },
      discountBps: random.chance(0.7) ? 0 : random.int(0, 10_000),
      feeBps: random.pick([0, 1, 500, 2_000, 3_333, 10_000]),
      startsAt,
      endsAt: startsAt > 0 && random.chance(0.3) ? startsAt + random.int(1, 20_000) : null,
      note: '',
      createdAt: now,
    };
    versions.push(version);
    return version;
  }

  /** Whether somebody who knew the prices of a while ago, or of now, would ask by this version. */
  isAsked(version: string, now: number): boolean {
    const known = [now - KNOWN_MS, ...this.versions.map(({ createdAt }) => createdAt)].filter((at) => at <= now && at >= now - KNOWN_MS);
    return known.some((at) => this.inForce(at, now)?.id === version);
  }

  private inForce(knownAt: number, now: number): PriceVersion | null {
    let found: PriceVersion | null = null;
    for (const one of this.versions) {
      const isOn =
        one.createdAt <= Math.max(knownAt, this.versions[0]?.createdAt ?? 0) && one.startsAt <= now && (one.endsAt ?? Infinity) > now;
      if (isOn && (found === null || one.startsAt >= found.startsAt)) found = one;
    }
    return found;
  }

  /** Nano-USD of about one block of a call, by the newest price. */
  blockOf(timeoutMs: number): bigint {
    const newest = this.versions.at(-1);
    if (newest === undefined) return 0n;
    const terms = { ...newest, version: newest.id };
    return mostOf(terms, { requestBytes: 300, maxTokens: 1_024, timeoutMs, images: 2, steps: 20 });
  }

  /** What an account pays: by a price of its own where it has one. */
  termsFor(account: string, terms: Terms): Terms {
    const own = this.own.get(account);
    return own === undefined ? terms : { ...terms, price: own.price ?? terms.price, discountBps: own.discountBps ?? terms.discountBps };
  }

  /** A price of its own for an account, sometimes. */
  favour(account: string): Override[] {
    const { random } = this;
    if (random.chance(0.8)) return [];
    const price = random.chance(0.5) ? randomPrice(random) : undefined;
    const discountBps = price === undefined || random.chance(0.5) ? random.int(0, 10_000) : undefined;
    const own = { ...(price === undefined ? {} : { price }), ...(discountBps === undefined ? {} : { discountBps }) };
    this.own.set(account, own);
    return [{ chute: random.pick(['cht_demo', '*']), ...own, version: 'own', startsAt: 0, endsAt: null }];
  }
}

const FREE: Price = {
  input_per_million: 0,
  output_per_million: 0,
  per_second: 0,
  per_request: 0,
  per_image: 0,
  per_step: 0,
  per_instance_second: 0,
};

/** Nano-USD: odd numbers, so that roundings show; from next to nothing to a few cents a call. */
function randomPrice(random: Random): Price {
  const some = (most: number): number => (random.chance(0.2) ? random.int(1, 9) : random.int(1, most));
  const tokens = (): Partial<Price> => ({
    input_per_million: some(5_000_000_000),
    output_per_million: some(20_000_000_000),
    ...(random.chance(0.5) ? { cached_per_million: some(3_000_000_000) } : {}),
  });
  switch (random.int(0, 5)) {
    case 0:
      return FREE;
    case 1:
      return { ...FREE, per_request: some(10_000_000) };
    case 2:
      return { ...FREE, per_second: some(3_000_000) };
    case 3:
      return { ...FREE, per_image: some(2_000_000), per_step: some(50_000) };
    case 4:
      return { ...FREE, ...tokens() };
    default:
      return { ...FREE, ...tokens(), per_request: some(100_000), per_second: some(300_000) };
  }
}

/** Nano-USD: each part rounded up, and the whole once more after the discount. */
export function priced({ price, discountBps }: Terms, bill: Bill): bigint {
  const cached = Math.min(bill.cachedIn, bill.tokensIn);
  const parts = [
    BigInt(price.per_request),
    up(BigInt(bill.tokensIn - cached) * BigInt(price.input_per_million), 1_000_000n),
    up(BigInt(cached) * BigInt(price.cached_per_million ?? price.input_per_million), 1_000_000n),
    up(BigInt(bill.tokensOut) * BigInt(price.output_per_million), 1_000_000n),
    up(BigInt(bill.ms) * BigInt(price.per_second), 1_000n),
    BigInt(bill.images) * BigInt(price.per_image),
    BigInt(bill.images) * BigInt(bill.steps) * BigInt(price.per_step),
  ];
  const sum = parts.reduce((a, b) => a + b, 0n);
  return up(sum * (10_000n - BigInt(discountBps)), 10_000n);
}

/** The most it can come to: input at its dearest. */
export function mostOf(terms: Terms, { requestBytes, maxTokens, timeoutMs, images, steps }: QuoteFacts & { maxTokens: number }): bigint {
  const { price } = terms;
  const dearest = Math.max(price.input_per_million, price.cached_per_million ?? 0);
  const bill = { tokensIn: requestBytes, cachedIn: 0, tokensOut: maxTokens, ms: timeoutMs, images, steps };
  return priced({ ...terms, price: { ...price, input_per_million: dearest } }, bill);
}

/** What an instance comes to that is paid by time. */
export function rented(terms: Terms, ms: number): bigint {
  const price = { ...FREE, per_second: terms.price.per_instance_second };
  return priced({ ...terms, price }, { tokensIn: 0, cachedIn: 0, tokensOut: 0, ms, images: 0, steps: 0 });
}

/** The miner's part, rounded down. */
export function minersPart(cost: bigint, { feeBps }: Terms): bigint {
  const fee = up(cost * BigInt(feeBps), 10_000n);
  return cost - fee;
}

function up(amount: bigint, by: bigint): bigint {
  return amount % by === 0n ? amount / by : amount / by + 1n;
}
