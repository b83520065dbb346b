/** Operator credit on this machine's own ledger: what the demo, the judge and tests pay their calls with. */
import { drizzle } from 'drizzle-orm/node-postgres';
import { Client } from 'pg';
import { postTransfer } from '#db';

/** Nano-USD of the demo and of the judge: a hundred dollars. */
export const DEMO_NANOUSD = 100_000_000_000n;

/** Once per `ref`: a second start gives nothing again. */
export async function giveCredit(databaseUrl: string, account: string, nanousd: bigint, ref: string): Promise<void> {
  const postgres = new Client({ connectionString: databaseUrl });
  await postgres.connect();
  try {
    const entries = { operator_clearing: -nanousd, [`cash/${account}`]: nanousd };
    const of = { id: crypto.randomUUID(), kind: 'credit' as const, ref, owner: account };
    await postTransfer(drizzle(postgres), { ...of, entries, reason: 'credit of this machine' });
  } finally {
    await postgres.end();
  }
}
