import { expect, test } from 'vitest';
import { NO_PRICE } from '#protocol';
import type { Listing, Offer } from '../../../functions/calls/ports.ts';
import { ThroughCopy } from '../../../functions/market/through-copy.ts';
import { MARKET, MarketCore } from '../../../functions/market/core.ts';
import type { PostRow } from '../../../functions/market/core.ts';

const T0 = 1_700_000_000_000;

function offer(chute: string, urgency = 100): Offer {
  return {
    chute,
    name: `owner/${chute}`,
    version: 'a'.repeat(64),
    need: 1,
    urgency,
    bounty_nanousd: 0,
    price: NO_PRICE,
    gpu: null,
    runtime: 'command',
    image: null,
    code: null,
    owner: 'acc',
    since: T0,
  };
}
const listing = (chute: string, created = T0): Listing => ({
  chute,
  name: `owner/${chute}`,
  slug: `owner-${chute}`,
  tagline: '',
  template: 'http',
  created,
});
const post = (chute: string, part: Partial<PostRow>): PostRow => ({ chute, offer: null, listing: null, ...part });

test('a version per change, most urgent first, at most one document a second', () => {
  const market = new MarketCore([], 0);
  expect(market.offers(T0)).toMatchObject({ doc: { version: 0, items: [] }, fresh: false });
  market.post(post('a', { offer: offer('a', 100) }));
  market.post(post('b', { offer: offer('b', 500) }));
  const first = market.offers(T0);
  expect(first).toMatchObject({ fresh: true, doc: { version: 1, at: T0 } });
  expect(first.doc.items.map((it) => it.chute)).toEqual(['b', 'a']);
  market.post(post('b', {}));
  expect(market.offers(T0 + MARKET.standsMs - 1).doc).toBe(first.doc);
  expect(market.offers(T0 + MARKET.standsMs)).toMatchObject({ fresh: true, doc: { version: 2, items: [{ chute: 'a' }] } });
  expect(market.offers(T0 + 60_000)).toMatchObject({ fresh: false, doc: { version: 2 } });
});

test('a post that says nothing new is not written, and a listing alone changes no offers', () => {
  const market = new MarketCore([], 0);
  expect(market.post(post('a', {}))).toBeNull();
  expect(market.post(post('a', { offer: offer('a') }))).not.toBeNull();
  expect(market.post(post('a', { offer: offer('a') }))).toBeNull();
  market.offers(T0);
  market.post(post('a', { offer: offer('a'), listing: listing('a') }));
  expect(market.offers(T0 + 5_000).fresh).toBe(false);
  expect(market.listings()).toEqual([listing('a')]);
});

test('rebuilt from its rows it shows the same under a new version', () => {
  const rows = [post('a', { offer: offer('a'), listing: listing('a', 2) }), post('b', { listing: listing('b', 1) })];
  const market = new MarketCore(rows, 7);
  expect(market.offers(T0)).toMatchObject({ fresh: true, doc: { version: 8, items: [{ chute: 'a' }] } });
  expect(market.listings().map((it) => it.chute)).toEqual(['b', 'a']);
});

test('the document has an end', () => {
  const market = new MarketCore(
    Array.from({ length: MARKET.offers + 10 }, (_, k) => post(`c${k}`, { offer: offer(`c${k}`, k % 1000) })),
    0,
  );
  expect(market.offers(T0).doc.items).toHaveLength(MARKET.offers);
});

test('a copy is fresh for a second, is served while one request refreshes it, and outlives a short outage', async () => {
  let now = T0;
  const clock = () => now;
  let reads = 0;
  const copy = new ThroughCopy<number>();
  const read = () => Promise.resolve(++reads);
  expect(await copy.get(read, clock)).toBe(1);
  now += 999;
  expect(await copy.get(read, clock)).toBe(1);
  now += 1;
  let release: (value: number) => void = () => undefined;
  const slow = copy.get(() => new Promise<number>((resolve) => (release = resolve)), clock);
  expect(await copy.get(read, clock)).toBe(1);
  release(42);
  expect(await slow).toBe(42);
  now += 5_000;
  const broken = () => Promise.reject(new Error('down'));
  expect(await copy.get(broken, clock)).toBe(42);
  now += 30_000;
  await expect(copy.get(broken, clock)).rejects.toThrow('down');
});
