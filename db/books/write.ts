/** What an operator does to the books. Each is one statement, and with `--ref` it happens once. */
import { sql } from 'drizzle-orm';
import type { Database } from '../client.ts';
import { isConflict, isRowFault, isUncovered, isUnknown } from '../errors.ts';
import { fenceLease } from '../leases.ts';
import { forfeit, postTransfer, refundCall } from '../ledger.ts';
import { rowsOf } from '../rows.ts';
import { Failure, refused, usage } from './failure.ts';
import { findAccount } from './read.ts';
import { showUsd } from '#protocol/usd.ts';

/** What was done: as `--json` prints it, and in words. */
export interface Done {
  facts: Record<string, unknown>;
  words: string;
}

const GIFTS = {
  credit: { from: 'operator_clearing', to: 'cash' },
  promo: { from: 'promo_fund', to: 'promo' },
} as const;

/** Money of the operator into an account: as cash, or as promo credit. */
export async function give(
  db: Database,
  kind: keyof typeof GIFTS,
  ask: { account: string; nanousd: bigint; reason: string; ref: string | undefined },
): Promise<Done> {
  const account = await findAccount(db, ask.account);
  const id = crypto.randomUUID();
  const { from, to } = GIFTS[kind];
  const entries = { [from]: -ask.nanousd, [`${to}/${account.id}`]: ask.nanousd };
  const ref = refOf(ask.ref, id);
  const transfer = await told(postTransfer(db, { id, kind, ref, owner: account.id, entries, reason: ask.reason }));
  const before = transfer !== id;
  return {
    facts: { transfer, account: account.id, handle: account.handle, kind, nanousd: ask.nanousd, ref, before },
    words: `${account.handle ?? account.id} ${before ? 'got' : 'gets'} ${showUsd(ask.nanousd)} USD of ${to}${before ? ' when this ref was used before' : ''}. Transfer ${transfer}`,
  };
}

/** `nanousd` null: all that is left of what the call cost. */
export async function refund(
  db: Database,
  ask: { call: string; nanousd: bigint | null; reason: string; ref: string | undefined },
): Promise<Done> {
  const { call, reason } = ask;
  if (!UUID.test(call)) throw usage(`${JSON.stringify(call)} is no id of a call.`);
  const ref = refOf(ask.ref, crypto.randomUUID());
  const transfer = await told(refundCall(db, { callId: call, amount: ask.nanousd, ref, reason }));
  const [row] = rowsOf(await db.execute(sql`select amount from refunds where transfer_id = ${transfer}::uuid`));
  const nanousd = BigInt(String(row?.['amount']));
  return {
    facts: { transfer, call, nanousd, ref },
    words: `${showUsd(nanousd)} USD of call ${call} are given back. Transfer ${transfer}`,
  };
}

export async function fence(db: Database, named: string, epoch: number): Promise<Done> {
  const account = await findAccount(db, named);
  const { cash, promo } = await told(fenceLease(db, account.id, epoch));
  return {
    facts: { account: account.id, epoch, cash_nanousd: cash, promo_nanousd: promo },
    words: `Lease ${epoch} of ${account.handle ?? account.id} is closed; ${showUsd(cash)} USD of cash and ${showUsd(promo)} USD of promo are free again. Calls of it that come now are refused.`,
  };
}

export async function takeEarnings(db: Database, hotkey: string, reason: string, given: string | undefined): Promise<Done> {
  const ref = refOf(given, crypto.randomUUID());
  const nanousd = await told(forfeit(db, { hotkey, reason, ref }));
  return { facts: { hotkey, nanousd, ref }, words: `${hotkey} forfeits ${showUsd(nanousd)} USD; what is in flight stays.` };
}

/** The same rate of the same time and source is kept once. */
export async function setRate(db: Database, asset: string, ask: { nanousd: bigint; source: string; at: Date }): Promise<Done> {
  if (asset !== 'TAO') throw usage(`There are rates of TAO only, none of ${JSON.stringify(asset)}.`);
  const at = ask.at.toISOString();
  await db.execute(sql`
    insert into rates (asset, nanousd, source, at) select ${asset}, ${String(ask.nanousd)}::bigint, ${ask.source}, ${at}::timestamptz
    where not exists (select from rates where asset = ${asset} and nanousd = ${String(ask.nanousd)}::bigint and source = ${ask.source} and at = ${at}::timestamptz)`);
  return {
    facts: { asset, nanousd: ask.nanousd, source: ask.source, at },
    words: `One ${asset} is ${showUsd(ask.nanousd)} USD from ${at} on, says ${ask.source}.`,
  };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function refOf(given: string | undefined, made: string): string {
  const ref = `books/${given ?? made}`;
  if (!/^[!-~]{1,200}$/.test(ref)) throw usage('A ref is at most 194 characters without blanks.');
  return ref;
}

/** What the ledger refuses, in a line. */
async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (isConflict(error)) throw refused(`This ref was used before, for something else: ${causeOf(error)}.`);
    if (isUnknown(error) || isUncovered(error) || isRowFault(error)) throw refused(`The ledger refuses: ${causeOf(error)}.`);
    throw error;
  }
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? '';
}
