/** What a tick works with. */
import { openBeacon, type Beacon } from '../functions/beacon/client.ts';
import { openChain } from '../functions/chain/chain.ts';
import { readSubnet } from '../functions/chain/subnet.ts';
import type { PostAsk, PostReport } from './chain/post.ts';
import type { JudgeConfig } from './config.ts';
import { makeEdge, type Edge } from './edge/edge.ts';
import { makeFeed, type Feed } from './edge/feed.ts';
import { makeRequests } from './edge/request.ts';

export interface Bench {
  config: JudgeConfig;
  edge: Edge;
  feed: Feed;
  beacon: Beacon;
  /** Who is behind a hotkey; null: it cannot be told now. */
  entities: () => Promise<((hotkey: string) => string) | null>;
  /** Brings weights to the chain; null: there is none. */
  post: ((ask: PostAsk) => Promise<PostReport>) | null;
  signal: AbortSignal;
}

/** Milliseconds for which it is remembered who is behind whom. */
const ENTITIES_MS = 600_000;

/** `signal` ends everything that is still under way. */
export function makeBench(config: JudgeConfig, post: Bench['post'], signal: AbortSignal): Bench {
  const requests = makeRequests(config, signal);
  return {
    config,
    edge: makeEdge(config, requests, signal),
    feed: makeFeed(config.hotkey.ss58, requests),
    beacon: openBeacon(config.beacon),
    entities: () => entitiesOf(config),
    post,
    signal,
  };
}

let known: { coldkeys: Map<string, string>; until: number } | null = null;

/** Its coldkey, or the hotkey itself where it has none. */
async function entitiesOf({ chain: of }: JudgeConfig): Promise<((hotkey: string) => string) | null> {
  if (of === null) return (hotkey) => hotkey;
  if (known === null || Date.now() > known.until) {
    const chain = openChain(of.env);
    const subnet = chain === null ? null : await readSubnet(chain, of.netuid).catch(() => null);
    if (subnet === null) return null;
    known = { coldkeys: new Map(subnet.neurons.map((n) => [n.hotkey, n.coldkey])), until: Date.now() + ENTITIES_MS };
  }
  const { coldkeys } = known;
  return (hotkey) => coldkeys.get(hotkey) ?? hotkey;
}
