/** The copies of the market that one isolate serves from. */
import type { Listing, MarketDoc } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { marketStub } from '../stubs.ts';
import { ThroughCopy } from './through-copy.ts';

const offers = new ThroughCopy<MarketDoc>();
const listings = new ThroughCopy<Listing[]>();

/** The board, at most about a second old. Throws when the Market object does not answer and no copy is good. */
export function marketOffers(env: Env): Promise<MarketDoc> {
  return offers.get(async () => marketStub(env).offers(), Date.now);
}

const texts = new WeakMap<MarketDoc, string>();

/** The board as JSON, written once for every copy: ten thousand agents read the same. */
export async function marketText(env: Env): Promise<{ version: number; json: string }> {
  const doc = await marketOffers(env);
  const json = texts.get(doc) ?? JSON.stringify(doc);
  texts.set(doc, json);
  return { version: doc.version, json };
}

/** The public chutes, at most about a second old. */
export function marketListings(env: Env): Promise<Listing[]> {
  return listings.get(async () => marketStub(env).listings(), Date.now);
}
