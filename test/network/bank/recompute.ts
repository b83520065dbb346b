/**
 * What everything must have cost, from the engines' own receipt files and the price table alone. Shares no code with
 * metering, pricing or the ledger on purpose.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface PriceRow {
  input_per_million: number;
  cached_per_million: number;
  output_per_million: number;
  per_request: number;
}

interface ReceiptLine {
  /** `{account}:{number of the call}`, as its client named it. */
  call: string;
  in: number;
  cached: number;
  out: number;
}

export interface Recomputed {
  /** Nano-USD by the client's name for an account. */
  byAccount: Map<string, bigint>;
  total: bigint;
  /** Replies written, and how many of them were for a call that had one already (another attempt). */
  receipts: number;
  repeated: number;
}

export function recompute(folder: string, price: PriceRow): Recomputed {
  const calls = new Map<string, bigint>();
  let receipts = 0;
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.ndjson'))) {
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      if (line === '') continue;
      const receipt = JSON.parse(line) as Partial<ReceiptLine> & Omit<ReceiptLine, 'call'>;
      if (receipt.call === undefined) continue; // the probe of the start
      receipts += 1;
      calls.set(receipt.call, costOfReceipt(receipt, price));
    }
  }
  const byAccount = new Map<string, bigint>();
  let total = 0n;
  for (const [call, cost] of calls) {
    const account = call.slice(0, call.indexOf(':'));
    byAccount.set(account, (byAccount.get(account) ?? 0n) + cost);
    total += cost;
  }
  return { byAccount, total, receipts, repeated: receipts - calls.size };
}

/** Each line of the bill is rounded up to a whole nano-USD. */
function costOfReceipt(receipt: Omit<ReceiptLine, 'call'>, price: PriceRow): bigint {
  const line = (tokens: number, perMillion: number): bigint => {
    const product = BigInt(tokens) * BigInt(perMillion);
    const whole = product / 1_000_000n;
    return product % 1_000_000n === 0n ? whole : whole + 1n;
  };
  return (
    BigInt(price.per_request) +
    line(receipt.in - receipt.cached, price.input_per_million) +
    line(receipt.cached, price.cached_per_million) +
    line(receipt.out, price.output_per_million)
  );
}
