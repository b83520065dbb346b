/** The board and the clock that all share: posts go to the real market core, miners are told when it says something new. */
import type { Offer } from '../../functions/calls/ports.ts';
import { MarketCore, MARKET } from '../../functions/market/core.ts';
import { PARAMETERS } from '../../miner-agent/strategy/parameters.ts';
import { startOf, type World } from '../../miner-agent/strategy/world.ts';
import type { Clock } from '../sim/clock.ts';
import type { Random } from '../sim/random.ts';
import type { Tally } from './figures.ts';
import type { MinerNode } from './miner-node.ts';

/** Milliseconds between two looks of a miner that has room, and of one that has none, at a board without news. */
const ROOM_MS = 30_000;
const FULL_MS = 60_000;
/** Milliseconds within which a miner polls the board. */
const POLL_MS = 2_000;

export class Market {
  readonly clock: Clock;
  readonly random: Random;
  readonly tally: Tally;
  readonly miners = new Map<string, MinerNode>();
  offers: World['offers'] = [];
  readonly #core = new MarketCore([], 0);
  #seen = new Map<string, string>();
  #at = 0;
  #planned = false;
  #ids = 0;

  constructor(clock: Clock, random: Random, tally: Tally) {
    this.clock = clock;
    this.random = random;
    this.tally = tally;
  }

  get now(): number {
    return this.clock.now;
  }

  fresh(kind: string): string {
    return `${kind}_${++this.#ids}`;
  }

  miner(id: string): MinerNode {
    const found = this.miners.get(id);
    if (found === undefined) throw new Error(`no miner ${id}`);
    return found;
  }

  post(chute: string, offer: Offer | null): void {
    this.#core.post({ chute, offer, listing: null });
    if (this.#planned) return;
    this.#planned = true;
    this.clock.at(Math.max(this.now, this.#at + MARKET.standsMs), () => this.#publish());
  }

  /** Looks that nothing new brings about. */
  start(): void {
    for (const miner of this.miners.values()) this.#again(miner);
  }

  #again(miner: MinerNode): void {
    this.clock.after((miner.room > 0 ? ROOM_MS : FULL_MS) * (0.8 + 0.4 * this.random.next()), () => {
      if (this.offers.length > 0) miner.look();
      this.#again(miner);
    });
  }

  /** Who could make room for a chute that nothing serves looks though it has none. */
  #hasten(): void {
    const cold = this.offers.filter((offer) => offer.cold === true);
    const could = (miner: MinerNode) => cold.some((o) => miner.keeps(startOf(o)) || this.now - o.since > PARAMETERS.hasteLongMs);
    for (const miner of this.miners.values()) if (miner.here && miner.idles && could(miner)) miner.lookWithin(POLL_MS);
  }

  #publish(): void {
    this.#planned = false;
    const { doc, fresh } = this.#core.offers(this.now);
    if (!fresh) return;
    this.#at = doc.at;
    this.offers = doc.items.map((item) => ({ ...item, gpu: item.gpu ?? null }));
    const seen = new Map(this.offers.map((offer) => [offer.chute, `${offer.since} ${offer.need}`]));
    const news = this.offers.filter((offer) => this.#seen.get(offer.chute) !== seen.get(offer.chute));
    this.#seen = seen;
    this.#hasten();
    if (news.length === 0) return;
    const least = Math.min(...news.map((offer) => offer.gpu?.min_vram_gb ?? 0));
    for (const miner of this.miners.values()) if (miner.room >= least) miner.lookWithin(POLL_MS);
  }
}
