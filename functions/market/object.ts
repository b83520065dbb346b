/** The shell of the one Market object. Chutes post, Workers read through their copies. */
import { DurableObject } from 'cloudflare:workers';
import type { Listing, MarketDoc, Offer } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { MarketCore } from './core.ts';
import type { PostRow } from './core.ts';

export class MarketObject extends DurableObject<Env> {
  readonly #core: MarketCore;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { sql } = ctx.storage;
    sql.exec('CREATE TABLE IF NOT EXISTS posts (chute TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID');
    sql.exec('CREATE TABLE IF NOT EXISTS given (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)');
    const posts = sql.exec<{ json: string }>('SELECT json FROM posts').toArray();
    const given = sql.exec<{ version: number }>('SELECT version FROM given').toArray();
    this.#core = new MarketCore(
      posts.map((row) => JSON.parse(row.json) as PostRow),
      given[0]?.version ?? 0,
    );
  }

  post(chute: string, offer: Offer | null, listing: Listing | null): void {
    const row = this.#core.post({ chute, offer, listing });
    if (row === null) return;
    if (row.offer === null && row.listing === null) this.ctx.storage.sql.exec('DELETE FROM posts WHERE chute = ?', chute);
    else this.ctx.storage.sql.exec('INSERT OR REPLACE INTO posts (chute, json) VALUES (?, ?)', chute, JSON.stringify(row));
  }

  /** A version is never given to two documents: it is written before the answer leaves. */
  offers(): MarketDoc {
    const { doc, fresh } = this.#core.offers(Date.now());
    if (fresh) this.ctx.storage.sql.exec('INSERT OR REPLACE INTO given (one, version) VALUES (1, ?)', doc.version);
    return doc;
  }

  listings(): Listing[] {
    return this.#core.listings();
  }
}
