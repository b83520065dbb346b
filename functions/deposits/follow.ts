/**
 * Reads the chain's finalized blocks, one after the other and none left out, and writes down what was sent to our
 * addresses. The cursor in Postgres only ever moves from a block to its child, in the statement that inserts the child's
 * deposits: a crash anywhere, or two of these at once, neither skips a block nor takes one twice.
 */
import * as db from '#db';
import { openChain, type Block, type Chain, type ChainEnv } from '../chain/chain.ts';
import { ChainError } from '../chain/rpc.ts';
import { MINIMUM_RAO } from './terms.ts';

export const FOLLOW = {
  /** Blocks one run reads; the chain makes about five a minute. */
  blocks: 50,
  /** Blocks whose events are asked for together. */
  together: 10,
} as const;

/**
 * One run; the number of blocks it took. Throws `ChainError` where the chain does not answer, or answers what it must not:
 * the cursor stays where it is, and the next run tries again.
 */
export async function followDeposits(env: db.DatabaseEnv & ChainEnv): Promise<number> {
  const chain = openChain(env);
  if (chain === null) return 0;
  const handle = db.connect(env);
  const [cursor, head] = await Promise.all([db.findCursor(handle, chain.genesis), chain.finalizedHead()]);
  // No address is handed out before there is a cursor, so nothing was sent to one.
  if (cursor === null) await db.startCursor(handle, chain.genesis, head);
  return cursor === null ? 0 : takeUpTo(handle, chain, cursor, head.number);
}

async function takeUpTo(handle: db.Database, chain: Chain, cursor: db.Cursor, head: number): Promise<number> {
  const last = Math.min(cursor.number + FOLLOW.blocks, head);
  let { number, hash } = cursor;
  while (number < last) {
    const blocks = await chain.blocks(number + 1, Math.min(number + FOLLOW.together, last));
    if (blocks[0]?.parent !== hash) throw new ChainError('other_chain', `block ${number + 1} does not follow the cursor`);
    for (const block of await withTransfers(chain, blocks)) {
      // Another run took it, and goes on from there.
      if (!(await db.takeBlock(handle, chain.genesis, block, MINIMUM_RAO))) return number - cursor.number;
      ({ number, hash } = block);
    }
  }
  return number - cursor.number;
}

async function withTransfers(chain: Chain, blocks: readonly Block[]) {
  const events = await chain.events(blocks);
  // From an address to itself nothing came in.
  return blocks.map((block, i) => ({ ...block, transfers: (events[i]?.transfers ?? []).filter(({ from, to }) => from !== to) }));
}
