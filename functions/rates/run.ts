/** Reads the price of TAO where the operator says, and keeps what most of these places agree on as a rate. */
import * as db from '#db';
import { event } from '../events.ts';
import { decide, type Quoted } from './decide.ts';
import { feedsOf, type Feed } from './feeds.ts';
import { readText } from '../read-text.ts';
import { priceIn } from './price.ts';
import { ASSET } from './terms.ts';

/** The part of the edge's bindings that this needs. */
export interface FeedEnv {
  TAO_USD_FEEDS?: string;
  ALLOW_LOCAL_FEEDS?: string;
}

/** Milliseconds between two rates: five minutes, less what the minute's errands may come early. */
const REST_MS = 4.5 * 60_000;
/** Milliseconds the last rate tells how far the next may be. */
const RECENT_MS = 60 * 60_000;
const ANSWER = { ms: 5_000, bytes: 64 * 1024 } as const;

/** One run; 1 if there is a new rate. While there is none to be had, each run tries again. */
export async function feedRates(env: db.DatabaseEnv & FeedEnv): Promise<number> {
  if (env.TAO_USD_FEEDS === undefined) return 0;
  const handle = db.connect(env);
  if (!(await db.feedDue(handle, ASSET, REST_MS))) return 0;
  const { feeds, faults } = feedsOf(env.TAO_USD_FEEDS, env.ALLOW_LOCAL_FEEDS === '1');
  for (const { at, fault } of faults) event('rate_feed_invalid', { at, why: fault });
  if (feeds.length === 0) return 0;
  const [quoted, last] = await Promise.all([quotesOf(feeds), db.freshRate(handle, ASSET, RECENT_MS)]);
  const decision = decide(quoted, feeds.length, last?.nanousd ?? null);
  if (decision.kind === 'none') {
    event('rate_refused', { why: decision.why, feeds: feeds.length, answered: quoted.length });
    return 0;
  }
  return (await db.feedRate(handle, { asset: ASSET, ...decision, restMs: REST_MS })) ? 1 : 0;
}

async function quotesOf(feeds: readonly Feed[]): Promise<Quoted[]> {
  const prices = await Promise.all(feeds.map(priceOf));
  return feeds.flatMap(({ name }, i) => {
    const price = prices[i] ?? 'no_answer';
    if (typeof price === 'bigint') return [{ name, nanousd: price }];
    event('rate_feed_failed', { feed: name, why: price });
    return [];
  });
}

/** Or why there is none. Never throws: a feed that is away says nothing about the others. */
async function priceOf({ url, path }: Feed): Promise<bigint | string> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), ANSWER.ms);
  try {
    const headers = { accept: 'application/json', 'user-agent': 'ripcord-edge' };
    const reply = await fetch(url, { headers, redirect: 'manual', signal: controller.signal });
    if (!reply.ok) return `status_${reply.status}`;
    const text = await readText(reply, ANSWER.bytes);
    return text === null ? 'too_long' : priceIn(text, path);
  } catch {
    return 'no_answer';
  } finally {
    clearTimeout(timer);
    // What is left of an answer is not waited for.
    controller.abort();
  }
}
