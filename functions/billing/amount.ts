/** What may be put on a card: whole cents, from 5 to 10,000 USD. Pure. */
export const CARD_LIMITS = { leastCents: 500n, mostCents: 1_000_000n } as const;

export const NANO_PER_CENT = 10_000_000n;

export type CardAmount = { ok: true; nanousd: bigint } | { ok: false; param: string; message: string };

/** From decimal texts, of which exactly one is given: `"20.50"` USD or `"20500000000"` nano-USD. */
export function cardAmount(ask: { amount_usd?: string | undefined; amount_nanousd?: string | undefined }): CardAmount {
  const { amount_usd: usd, amount_nanousd: nano } = ask;
  if (usd !== undefined && nano !== undefined) return refused('amount_usd', 'Give amount_usd or amount_nanousd, not both.');
  if (usd !== undefined) return within('amount_usd', centsOfUsd(usd));
  if (nano !== undefined) return within('amount_nanousd', centsOfNano(nano));
  return refused('amount_usd', 'amount_usd is missing.');
}

/** `2050n` of `"20.5"`; null for anything that is no whole number of cents. */
function centsOfUsd(text: string): bigint | null {
  const [, whole, part = ''] = /^(\d{1,12})(?:\.(\d{1,2}))?$/.exec(text) ?? [];
  return whole === undefined ? null : BigInt(whole + part.padEnd(2, '0'));
}

function centsOfNano(text: string): bigint | null {
  if (!/^\d{1,19}$/.test(text)) return null;
  const nano = BigInt(text);
  return nano % NANO_PER_CENT === 0n ? nano / NANO_PER_CENT : null;
}

function within(param: string, cents: bigint | null): CardAmount {
  if (cents === null) return refused(param, `${param} is not a whole number of cents as a decimal text.`);
  if (cents < CARD_LIMITS.leastCents || cents > CARD_LIMITS.mostCents) return refused(param, 'A card takes from 5 to 10,000 USD at once.');
  return { ok: true, nanousd: cents * NANO_PER_CENT };
}

function refused(param: string, message: string): CardAmount {
  return { ok: false, param, message };
}
