/** Accounts with so much credit and no more, and what the ledger says they paid. */
import { randomBytes } from 'node:crypto';
import { Client as Postgres } from 'pg';
import { Client } from '../../cli/client.ts';
import { giveCredit } from '../../dev/credit.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import type { TestNetwork } from './network.ts';

export interface Payer {
  account: string;
  key: string;
  /** Nano-USD it was given. */
  credit: bigint;
}

export async function newPayer(network: TestNetwork, credit: bigint): Promise<Payer> {
  const client = new Client({ api: network.api, hotkey: hotkeyOf(randomBytes(32).toString('hex')) });
  const { account_id: account } = await client.signUp(`p${randomBytes(6).toString('hex')}`);
  const { secret_key: key } = await client.createKey({ name: 'payer', scopes: ['invoke', 'read', 'write', 'keys'] });
  if (credit > 0n) await giveCredit(network.databaseUrl, account, credit, `test/${account}`);
  return { account, key, credit };
}

/** What an account paid by its purse, by its calls, and how many of them are on record. */
export async function paidBy(network: TestNetwork, { account, credit }: Payer): Promise<{ purse: bigint; calls: bigint; count: number }> {
  const [row] = await ask<{ posted: string; cost: string; count: string }>(
    network,
    `select (select coalesce(sum(posted), 0) from purses where owner = $1 and kind = 'cash')::text as posted,
      (select coalesce(sum(cost_nanousd), 0) from calls where account_id = $1)::text as cost,
      (select count(*) from calls where account_id = $1)::text as count`,
    [account],
  );
  return { purse: credit - BigInt(row?.posted ?? 0), calls: BigInt(row?.cost ?? 0), count: Number(row?.count ?? 0) };
}

/** Invariants of the books that are broken, with what is wrong. */
export function brokenBooks(network: TestNetwork): Promise<{ invariant: string; detail: string }[]> {
  return ask(network, 'select invariant, detail from check_books(null) where broken > 0', []);
}

async function ask<T extends object>(network: TestNetwork, text: string, values: unknown[]): Promise<T[]> {
  const postgres = new Postgres({ connectionString: network.databaseUrl });
  await postgres.connect();
  try {
    return (await postgres.query<T>(text, values)).rows;
  } finally {
    await postgres.end();
  }
}
