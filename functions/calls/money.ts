/** What the caller is told of the money of a call: headers of its reply, or why it may not be made. Pure. */
import { showUsd } from '#protocol/usd.ts';
import { RipcordError } from '../errors.ts';
import { chargeOf } from '../prices/charge.ts';
import type { QuoteFacts } from '../prices/terms.ts';
import type { OpenRefused, Opened, RelayMeter } from './ports.ts';
import { rateHeaders } from './rate.ts';

/** Settled where the reply is whole; of one that streams, the most it can cost. */
export function moneyHeaders(opened: Opened, facts: QuoteFacts, meter: RelayMeter | null): [string, string][] {
  return [...rateHeaders(opened.rate), meter === null ? held(opened) : settled(opened, facts, meter)];
}

function held({ hold }: Opened): [string, string] {
  return ['x-ripcord-hold-nanousd', hold.toString()];
}

function settled({ terms, hold }: Opened, facts: QuoteFacts, meter: RelayMeter): [string, string] {
  const charge = chargeOf(terms, facts, { outcome: 'completed', ...meter });
  return ['x-ripcord-cost-nanousd', (charge < hold ? charge : hold).toString()];
}

export function refusalOf({ code, retryAfterMs, required, available, resetAt, rate }: OpenRefused): RipcordError {
  const amounts = required === undefined || available === undefined ? {} : { message: shortOf(code, required, available) };
  return new RipcordError(code, { ...amounts, retryAfterMs, required, available, resetAt, rate });
}

function shortOf(code: OpenRefused['code'], required: bigint, available: bigint): string {
  const whose = code === 'key_cap_reached' ? 'the cap of the API key leaves' : 'the account has';
  return `The call may cost up to ${showUsd(required)} USD, and ${whose} ${showUsd(available)} USD.`;
}
