/**
 * The public board: what every chute wants, as one versioned document, and the list of public chutes. Posts are kept at
 * once; the document is made anew at most once a second, so a storm of posts costs its readers nothing.
 */
import type { Listing, MarketDoc, Offer } from '../calls/ports.ts';

export interface PostRow {
  chute: string;
  offer: Offer | null;
  listing: Listing | null;
}

export const MARKET = {
  /** Milliseconds a document stands at least. */
  standsMs: 1_000,
  /** Offers in the document; the most urgent ones stay. */
  offers: 2_000,
  /** Public chutes listed; the oldest stay. */
  listings: 10_000,
} as const;

export class MarketCore {
  readonly #posts = new Map<string, PostRow>();
  #doc: MarketDoc;
  #listings: Listing[] | null = null;
  #changed: boolean;

  /** `version` is the one last given out. */
  constructor(posts: Iterable<PostRow>, version: number) {
    for (const post of posts) this.#posts.set(post.chute, post);
    this.#changed = this.#posts.size > 0;
    this.#doc = { items: [], version, at: 0 };
  }

  /** Takes a post; what must be written, or null when it says nothing new. A row without both parts is deleted. */
  post(row: PostRow): PostRow | null {
    const known = this.#posts.get(row.chute) ?? { chute: row.chute, offer: null, listing: null };
    if (JSON.stringify(known) === JSON.stringify(row)) return null;
    if (JSON.stringify(known.offer) !== JSON.stringify(row.offer)) this.#changed = true;
    if (row.offer === null && row.listing === null) this.#posts.delete(row.chute);
    else this.#posts.set(row.chute, row);
    this.#listings = null;
    return row;
  }

  /** The document as of now; `fresh` when it is a new version, which must be written down before it is shown. */
  offers(now: number): { doc: MarketDoc; fresh: boolean } {
    if (!this.#changed || now - this.#doc.at < MARKET.standsMs) return { doc: this.#doc, fresh: false };
    const items = [...this.#posts.values()].map((post) => post.offer).filter((offer) => offer !== null);
    items.sort((a, b) => b.urgency - a.urgency || a.since - b.since || (a.chute < b.chute ? -1 : 1));
    this.#doc = { items: items.slice(0, MARKET.offers), version: this.#doc.version + 1, at: now };
    this.#changed = false;
    return { doc: this.#doc, fresh: true };
  }

  /** Oldest first. */
  listings(): Listing[] {
    this.#listings ??= [...this.#posts.values()]
      .map((post) => post.listing)
      .filter((listing) => listing !== null)
      .sort((a, b) => a.created - b.created || (a.chute < b.chute ? -1 : 1))
      .slice(0, MARKET.listings);
    return this.#listings;
  }
}
