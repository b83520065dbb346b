/** Earnings for a miner without the call: an account pays, a call is captured, and three days go by. */
import * as db from '../../../db/index.ts';
import { closedCall } from '../books/records.ts';

const HOUR = 3_600_000;
let payers = 0;

/** Calls that earn a miner so much each, still pending. The calls' ids. */
export async function earnPending(handle: db.Database, hotkey: string, ...amounts: bigint[]): Promise<string[]> {
  const account = `acc_payer${payers++}`;
  const sum = amounts.reduce((all, amount) => all + amount, 0n);
  const entries = { operator_clearing: -sum, [`cash/${account}`]: sum };
  await db.postTransfer(handle, { id: crypto.randomUUID(), kind: 'credit', ref: crypto.randomUUID(), owner: account, entries, reason: '' });
  await db.moveLease(handle, { accountId: account, epoch: 1, n: 1, want: sum, cash: 0n, promo: 0n });
  const calls = amounts.map((cost) => closedCall({ account, feeBps: 0, attempts: [{ hotkey, cost }] }));
  const now = Date.now();
  await db.flushCalls(
    handle,
    calls.map((call) => ({ ...call, attempts: call.attempts.map((attempt) => ({ ...attempt, startedAt: now })) })),
  );
  return calls.map((call) => call.callId);
}

/** Earns so much, and makes it payable. */
export async function earnPayable(handle: db.Database, hotkey: string, amount: bigint): Promise<void> {
  await earnPending(handle, hotkey, amount);
  await mature(handle);
}

export async function mature(handle: db.Database): Promise<void> {
  while ((await db.foldEntries(handle, 1_000)) === 1_000);
  await db.matureEarnings(handle, new Date(Date.now() + 80 * HOUR), 1_000);
}
