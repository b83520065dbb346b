import { sqlState } from '#db';

/** One line per business event. Ids and codes only: never a prompt, an answer, a key, or a miner's text. */
export type EventName =
  | 'agent_closed'
  | 'agent_login'
  | 'agents_dismissed'
  | 'books_broken'
  | 'ask_failed'
  | 'call_failed'
  | 'call_quarantined'
  | 'card_reversal'
  | 'checkout_aside'
  | 'checkout_unmade'
  | 'deposit_refused'
  | 'deposits_wait'
  | 'epoch_closed'
  | 'errand_failed'
  | 'evidence_left_out'
  | 'hotkey_jailed'
  | 'internal_error'
  | 'lease_lost'
  | 'payout_begun'
  | 'payout_failed'
  | 'payout_paid'
  | 'payout_stuck'
  | 'payout_submitted'
  | 'rate_feed_failed'
  | 'rate_feed_invalid'
  | 'rate_refused'
  | 'secrets_not_sealed';

/** What a failure says of itself, without the values of its statement: those are what clients sent. */
export function whyOf(error: unknown, most: number): string {
  if (!(error instanceof Error)) return 'unknown';
  const [what] = error.message.split('\nparams:');
  return [sqlState(error) ?? '', `${error.name}: ${what}`].join(' ').trim().slice(0, most);
}

export function event(name: EventName, fields: Record<string, string | number | boolean>): void {
  console.log(JSON.stringify({ event: name, ...fields }));
}
