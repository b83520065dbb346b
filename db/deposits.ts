/** Money in from the chain. A block's deposits and the step of the cursor are one statement, so that neither is without the other. */
import { and, desc, eq, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf, rowsOf } from './rows.ts';
import { chainCursors, deposits } from './schema.ts';

/** The last block that was read to its end. */
export interface Cursor {
  number: number;
  hash: string;
  updatedAt: Date;
}

/** A transfer on the chain, as a block shows it. */
export interface ChainTransfer {
  index: number;
  to: string;
  rao: bigint;
}

export interface Deposit {
  blockNumber: number;
  blockHash: string;
  eventIndex: number;
  address: string;
  accountId: string;
  rao: bigint;
  /** `seen`: not credited yet. `dust`: too little, never credited. */
  state: 'seen' | 'credited' | 'dust';
  nanousd: bigint | null;
  /** Nano-USD per whole unit it was valued at. */
  rate: bigint | null;
  seenAt: Date;
  creditedAt: Date | null;
}

export interface Rate {
  /** Nano-USD per whole unit. */
  nanousd: bigint;
  source: string;
  at: Date;
}

/** The cursor of a chain (genesis hash); null: it is not followed yet. */
export async function findCursor(db: Database, chain: string): Promise<Cursor | null> {
  const [row] = await db.select().from(chainCursors).where(eq(chainCursors.chain, chain));
  return row === undefined ? null : { number: row.number, hash: row.hash, updatedAt: row.updatedAt };
}

/** Starts to follow a chain behind this block; a cursor that is there already stays. */
export async function startCursor(db: Database, chain: string, at: { number: number; hash: string }): Promise<void> {
  await db.insert(chainCursors).values({ chain, number: at.number, hash: at.hash }).onConflictDoNothing();
}

/**
 * Takes a block: inserts the transfers that go to an account's address, and moves the cursor from the block's parent to
 * it. False, and nothing is changed, where the cursor is not at the parent: somebody else took the block. Transfers below
 * `dustBelow` (rao) are written down as dust.
 */
export async function takeBlock(
  db: Database,
  chain: string,
  block: { number: number; hash: string; parent: string; transfers: ChainTransfer[] },
  dustBelow: bigint,
): Promise<boolean> {
  const rows = JSON.stringify(block.transfers.map(({ index, to, rao }) => ({ index, to, rao: String(rao) })));
  const result = await db.execute(sql`
    with moved as (
      update chain_cursors set number = ${block.number}, hash = ${block.hash}, updated_at = now()
      where chain = ${chain} and number = ${block.number - 1} and hash = ${block.parent} returning chain
    ), made as (
      insert into deposits (chain, block_hash, event_index, block_number, address, account_id, asset, rao, state)
      select m.chain, ${block.hash}, t.index, ${block.number}, a.address, a.account_id, 'TAO', t.rao,
        case when t.rao < ${dustBelow}::bigint then 'dust' else 'seen' end
      from moved m, jsonb_to_recordset(${rows}::jsonb) as t(index integer, "to" text, rao bigint)
      join deposit_addresses a on a.address = t."to"
      where t.rao > 0
      on conflict do nothing returning 1
    )
    select count(*)::int as moved from moved`);
  return Number(rowsOf(result)[0]?.['moved']) === 1;
}

/**
 * The address of an account: this one from the first call on, and for ever. Null while the chain is not followed: nothing
 * sent there would be seen.
 */
export async function bindDepositAddress(db: Database, chain: string, account: string, address: string): Promise<string | null> {
  const result = await db.execute(sql`
    with made as (
      insert into deposit_addresses (address, account_id) select ${address}, ${account} from chain_cursors where chain = ${chain}
      on conflict do nothing returning address
    )
    select address from made union all select address from deposit_addresses where account_id = ${account}`);
  const bound = rowsOf(result)[0]?.['address'];
  return typeof bound === 'string' ? bound : null;
}

/** The newest of an account. */
export async function listDeposits(db: Database, account: string, limit: number): Promise<Deposit[]> {
  const rate = sql<string | null>`(select r.nanousd from rates r where r.id = ${deposits.rateId})`;
  const rows = await db
    .select({ deposit: deposits, rate })
    .from(deposits)
    .where(eq(deposits.accountId, account))
    .orderBy(desc(deposits.blockNumber), desc(deposits.eventIndex))
    .limit(limit);
  return rows.map(({ deposit: d, rate: r }) => ({
    blockNumber: d.blockNumber,
    blockHash: d.blockHash,
    eventIndex: d.eventIndex,
    address: d.address,
    accountId: d.accountId,
    rao: d.rao,
    state: d.state as Deposit['state'],
    nanousd: d.nanousd,
    rate: r === null ? null : BigInt(r),
    seenAt: d.seenAt,
    creditedAt: d.creditedAt,
  }));
}

/** The newest rate of an asset that is at most so old; null: there is none. */
export async function freshRate(db: Database, asset: string, maxAgeMs: number): Promise<Rate | null> {
  const result = await db.execute(sql`
    select nanousd, source, extract(epoch from at) * 1000 as at_ms from rates where asset = ${asset} and ${fresh(maxAgeMs)} order by at desc, id desc limit 1`);
  const row = rowsOf(result)[0];
  return row === undefined
    ? null
    : { nanousd: BigInt(String(row['nanousd'])), source: String(row['source']), at: new Date(Number(row['at_ms'])) };
}

/** Whether the feed's newest rate is older than this. */
export async function feedDue(db: Database, asset: string, restMs: number): Promise<boolean> {
  return answerOf(await db.execute(sql`select feed_due(${asset}, ${restMs})`)) === true;
}

/** Inserts a rate by the feed, as of now, `feeds` being what it is the median of. False: there is one younger than this already. */
export async function feedRate(
  db: Database,
  of: { asset: string; nanousd: bigint; feeds: readonly string[]; restMs: number },
): Promise<boolean> {
  const { asset, nanousd, feeds, restMs } = of;
  return answerOf(await db.execute(sql`select feed_rate(${asset}, ${nanousd}::bigint, ${feeds.join(', ')}, ${restMs})`)) === true;
}

/** Whether a rate is of the last `maxAgeMs` milliseconds; one of the future is not. */
function fresh(maxAgeMs: number) {
  return sql`at <= now() and at > now() - ${maxAgeMs} * interval '1 millisecond'`;
}

/** Deposits that wait for their credit, the oldest first. */
export async function listSeenDeposits(db: Database, chain: string, limit: number) {
  return db
    .select({ blockHash: deposits.blockHash, eventIndex: deposits.eventIndex })
    .from(deposits)
    .where(and(eq(deposits.chain, chain), eq(deposits.state, 'seen')))
    .orderBy(deposits.seenAt, deposits.blockNumber, deposits.eventIndex)
    .limit(limit);
}

/**
 * Values a deposit at the newest rate and credits it, once: transfer and mark are one statement. False where there is no
 * fresh rate or it is done already.
 */
export async function creditDeposit(
  db: Database,
  of: { chain: string; blockHash: string; eventIndex: number; transferId: string; rateMaxAgeMs: number },
): Promise<boolean> {
  const result = await db.execute(sql`
    with due as (
      select d.*, r.id as rate, floor(d.rao * r.nanousd::numeric / 1000000000)::bigint as value
      from deposits d, lateral (select id, nanousd from rates where asset = d.asset and ${fresh(of.rateMaxAgeMs)} order by at desc, id desc limit 1) r
      where d.chain = ${of.chain} and d.block_hash = ${of.blockHash} and d.event_index = ${of.eventIndex} and d.state = 'seen'
      for update of d
    ), posted as (
      select due.*, post_transfer(${of.transferId}::uuid, 'deposit', 'deposit/' || chain || '/' || block_hash || '/' || event_index, account_id,
        jsonb_build_object('tao_clearing', -value, 'cash/' || account_id, value), '') as transfer
      from due where value > 0
    )
    update deposits d set state = 'credited', rate_id = p.rate, nanousd = p.value, transfer_id = p.transfer, credited_at = now()
    from posted p where d.chain = p.chain and d.block_hash = p.block_hash and d.event_index = p.event_index
    returning 1`);
  return rowsOf(result).length === 1;
}
