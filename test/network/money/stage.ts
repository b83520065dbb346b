/** A real Postgres, a scripted chain with its node and a signer, all behind one cutter; the errands run on it as in the edge. */
import { startBridge, type Bridge } from '../../../dev/bridge.ts';
import type { ChainEnv } from '../../../functions/chain/chain.ts';
import type { SignerEnv } from '../../../functions/payouts/signer.ts';
import * as db from '../../../db/index.ts';
import { ScriptedChain } from '../../harness/chain.ts';
import { startChainNode, type ChainNode } from '../../harness/chain-node.ts';
import { makeCutter, type Cutter, type CutWhere } from '../../harness/cutter.ts';
import { startSigner, type Signer } from '../../harness/signer.ts';
import { openBooks, type Books } from '../books/books.ts';

export type MoneyEnv = db.DatabaseEnv & ChainEnv & SignerEnv;

export interface Stage {
  books: Books;
  cutter: Cutter;
  /** A chain of its own with a node and a signer. */
  world(funds?: Record<string, bigint>): Promise<World>;
  rate(nanousd: bigint, ageMs?: number): Promise<void>;
  close(): Promise<void>;
}

export interface World {
  chain: ScriptedChain;
  node: ChainNode;
  /** Keeps everything. */
  archive: ChainNode;
  signer: Signer;
  /** The bindings of an edge that sees only the cutter. */
  env: MoneyEnv;
  handle: db.Database;
}

export async function openStage(): Promise<Stage> {
  const books = await openBooks();
  const bridge: Bridge = await startBridge(books.postgres.url);
  const cutter = makeCutter();
  const endpoint = await cutter.through(bridge.endpoint);
  const undo: (() => Promise<void>)[] = [() => cutter.close(), () => bridge.close(), () => books.close()];
  return {
    books,
    cutter,
    async world(funds) {
      const chain = new ScriptedChain(funds);
      const [node, archive, signer] = await Promise.all([startChainNode(chain), startChainNode(chain), startSigner(chain)]);
      undo.unshift(
        () => node.stop(),
        () => archive.stop(),
        () => signer.close(),
      );
      const env: MoneyEnv = {
        DATABASE_URL: books.postgres.url,
        DATABASE_FETCH_ENDPOINT: endpoint,
        CHAIN_URL: await cutter.through(node.url),
        CHAIN_ARCHIVE_URL: await cutter.through(archive.url),
        CHAIN_GENESIS: chain.genesis.hash,
        PAYOUT_SIGNER_URL: await cutter.through(signer.url),
        PAYOUT_SIGNER_TOKEN: signer.token,
      };
      return { chain, node, archive, signer, env, handle: db.connect(env) };
    },
    async rate(nanousd, ageMs = 0) {
      await books.sql(`insert into rates (asset, nanousd, source, at) values ('TAO', $1, 'test', now() - $2 * interval '1 millisecond')`, [
        String(nanousd),
        ageMs,
      ]);
    },
    async close() {
      for (const step of undo) await step();
    },
  };
}

/**
 * Crashes a run at every request it makes, before it and after it, one place at a time; `prepare` makes each one its own
 * world, and `check` looks at what is left once runs went through again. Returns how many places there were.
 */
export async function crashEverywhere<W>(
  cutter: Cutter,
  { prepare, run, check }: { prepare: () => Promise<W>; run: (world: W) => Promise<unknown>; check: (world: W) => Promise<void> },
): Promise<number> {
  let places = 0;
  for (const where of ['before', 'after'] as CutWhere[])
    for (let n = 0; ; n++) {
      const world = await prepare();
      cutter.cut(n, where);
      await run(world).catch(() => undefined);
      const { happened } = cutter;
      cutter.mend();
      if (!happened) break;
      places++;
      await run(world);
      await check(world);
    }
  return places;
}
