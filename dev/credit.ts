/** Operator credit on this machine's own ledger: what the demo, the judge and tests pay their calls with. */
import { Client } from 'pg';

/** Nano-USD of the demo and of the judge: a hundred dollars. */
export const DEMO_NANOUSD = 100_000_000_000n;

/** Once per `ref`: a second start gives nothing again. */
export async function giveCredit(databaseUrl: string, account: string, nanousd: bigint, ref: string): Promise<void> {
  const postgres = new Client({ connectionString: databaseUrl });
  await postgres.connect();
  try {
    const entries = `{"operator_clearing": ${-nanousd}, "cash/${account}": ${nanousd}}`;
    const text = `select post_transfer(gen_random_uuid(), 'credit', $1, $2, $3::jsonb, 'credit of this machine')`;
    await postgres.query(text, [ref, account, entries]);
  } finally {
    await postgres.end();
  }
}
