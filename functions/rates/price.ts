/** A price of TAO in what a feed answered: exact, rounded down to a whole nano-USD. Pure. */

/** Nano-USD: 0.01 and 1,000,000 USD. What is outside is no price of TAO. */
export const LEAST = 10_000_000n;
export const MOST = 1_000_000_000_000_000n;

/** No JSON, no price at the path, or one out of bounds. */
export type PriceFault = 'no_json' | 'no_price' | 'out_of_bounds';

/** A decimal as JSON writes numbers, but for the sign. */
const DECIMAL = /^(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,3}))?$/;

/** Nano-USD per TAO: the number, or the text of one, at the path of a JSON text. */
export function priceIn(text: string, path: readonly string[]): bigint | PriceFault {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch {
    return 'no_json';
  }
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return 'no_price';
    value = (value as Record<string, unknown>)[step];
  }
  const price = typeof value === 'string' ? nanoOf(value) : null;
  if (price === null) return 'no_price';
  return price < LEAST || price > MOST ? 'out_of_bounds' : price;
}

/** `JSON.parse` whose reviver is told how a number was written, as ES2026 has it. */
const parse = JSON.parse as (text: string, revive: (key: string, value: unknown, its: { source?: string }) => unknown) => unknown;

/** Numbers stay the text they were: a float would lose digits. Throws for what is no JSON, or too deep. */
function parseExactly(text: string): unknown {
  return parse(text, (_, value, { source }) => (typeof value === 'number' ? source : value));
}

function nanoOf(text: string): bigint | null {
  const [, whole, part = '', power = '0'] = DECIMAL.exec(text) ?? [];
  if (whole === undefined) return null;
  const digits = BigInt(whole + part);
  const shift = 9 + Number(power) - part.length;
  return shift < 0 ? digits / 10n ** BigInt(-shift) : digits * 10n ** BigInt(shift);
}
