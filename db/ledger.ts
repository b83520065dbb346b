/** The ledger: transfers between purses, what follows from them in time, and whether the books are right. `docs/books.md` */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { answerOf, jsonOf, rowsOf } from './rows.ts';
import { bookChecks } from './schema.ts';

/** From which purses each may take and to which it may give is in the table `flows`. */
export type TransferKind =
  | 'deposit' // tao_clearing → cash
  | 'card' // stripe_clearing → cash
  | 'credit' // operator_clearing → cash
  | 'promo' // promo_fund → promo
  | 'capture' // cash, promo → pending, fee
  | 'refund' // loss → cash, promo
  | 'mature' // pending → payable
  | 'forfeit' // pending, payable → forfeited
  | 'payout_begin' // payable → in_flight
  | 'payout_paid' // in_flight → tao_clearing, operator_clearing
  | 'payout_failed'; // in_flight → payable

export interface Transfer {
  id: string;
  kind: TransferKind;
  /** What makes it happen once. */
  ref: string;
  /** An account id, a hotkey or `platform`: whose chain it belongs to. */
  owner: string;
  /** Nano-USD by purse, below zero for what is taken; adds up to zero. */
  entries: Record<string, bigint>;
  reason: string;
}

/**
 * Posts a transfer and returns its id; one with this `ref` that is there already is left as it is, and its id returned.
 * Fails with `isUncovered` when a purse has too little, `isConflict` when the `ref` belongs to another transfer.
 */
export async function postTransfer(db: Database, t: Transfer): Promise<string> {
  const result = await db.execute(
    sql`select post_transfer(${t.id}::uuid, ${t.kind}, ${t.ref}, ${t.owner}, ${jsonOf(t.entries)}::jsonb, ${t.reason})`,
  );
  return answerOf(result) as string;
}

/** The projector: adds waiting credits to their purses, at most `most`. Returns how many; fewer than `most`: none is left. */
export async function foldEntries(db: Database, most: number): Promise<number> {
  return Number(answerOf(await db.execute(sql`select fold_entries(${most}::int)`)));
}

/** Makes earnings of 72 hours ago payable, for at most `most` miners. Returns for how many; fewer: none is left. */
export async function matureEarnings(db: Database, now: Date, most: number): Promise<number> {
  return Number(answerOf(await db.execute(sql`select mature_earnings(${now.toISOString()}::timestamptz, ${most}::int)`)));
}

/** Takes a miner's pending and payable earnings; what is in flight stays. Returns nano-USD. `ref`: once. */
export async function forfeit(db: Database, ask: { hotkey: string; reason: string; ref: string }): Promise<bigint> {
  return BigInt(String(answerOf(await db.execute(sql`select forfeit(${ask.hotkey}, ${ask.reason}, ${ask.ref})::text`))));
}

/**
 * Gives back what a call cost (null), or part of it: cash first, then promo, out of the platform's `loss`. Returns the transfer.
 * Fails with `isUnknown` for no such call, `isUncovered` beyond what it cost. `ref`: once.
 */
export async function refundCall(
  db: Database,
  ask: { callId: string; amount: bigint | null; ref: string; reason: string },
): Promise<string> {
  const { callId, amount, ref, reason } = ask;
  return answerOf(
    await db.execute(sql`select refund_call(${callId}::uuid, ${amount === null ? null : String(amount)}::bigint, ${ref}, ${reason})`),
  ) as string;
}

export interface BookCheck {
  /** `I1` to `I15`. */
  invariant: string;
  /** How many rows break it. */
  broken: number;
  /** What it says, or the first row that breaks it. */
  detail: string;
}

const INVARIANTS = Array.from({ length: 15 }, (_, i) => `I${i + 1}`);

/** Looks at every invariant, or only at one. Each is a statement of its own: over long books they take seconds. */
export async function checkBooks(db: Database, only?: string): Promise<BookCheck[]> {
  const checks: BookCheck[] = [];
  for (const invariant of only === undefined ? INVARIANTS : [only]) {
    const [row] = rowsOf(await db.execute(sql`select broken::text as broken, detail from check_books(${invariant})`));
    if (row !== undefined) checks.push({ invariant, broken: Number(row['broken']), detail: String(row['detail']) });
  }
  return checks;
}

/**
 * Looks at the books and keeps what was found, unless that was done in the last `freshMs` milliseconds. Returns how many
 * invariants are broken; null: it was done.
 */
export async function recordBookCheck(db: Database, freshMs: number): Promise<number | null> {
  const fresh = await db.execute(sql`select 1 from book_checks where at > now() - ${freshMs} * interval '1 millisecond' limit 1`);
  if (rowsOf(fresh).length > 0) return null;
  const broken = (await checkBooks(db)).filter((check) => check.broken > 0);
  const found = Object.fromEntries(broken.map(({ invariant, ...what }) => [invariant, what]));
  await db
    .insert(bookChecks)
    .values({ ok: broken.length === 0, broken: found })
    .onConflictDoNothing();
  return broken.length;
}
