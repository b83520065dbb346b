/** USD as people write it, and nano-USD as everything counts it. Exact: no floating point is involved. */
import { usage } from './failure.ts';

const NANO = 1_000_000_000n;
/** One entry takes no more: 10 million USD. */
const MOST = 10_000_000n * NANO;

/** `12`, `12.50`, `$0.000000001`. Throws a `Failure` that says what is wrong with anything else. */
export function parseUsd(text: string): bigint {
  const match = /^\$?(\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) throw usage(`${JSON.stringify(text)} is no amount of USD: write digits and at most one point, like 12.50.`);
  const [, whole = '', part = ''] = match;
  if (part.length > 9) throw usage(`${text} has more than 9 decimals: a nano-USD, 0.000000001, is the least there is.`);
  const nanousd = BigInt(whole) * NANO + BigInt(part.padEnd(9, '0'));
  if (nanousd === 0n) throw usage('An amount is more than zero.');
  if (nanousd > MOST) throw usage(`${text} USD is more than one entry takes, 10000000.`);
  return nanousd;
}
