/** Payouts as the operator sees and ends them. */
import type { Database } from '../client.ts';
import { confirmPayout, failPayout, findPayout, listOpenPayouts, listPayoutsByHand, type PayoutRow } from '../payouts.ts';
import { refused, usage } from './failure.ts';
import { showUsd } from '#protocol/usd.ts';
import type { Done } from './write.ts';

interface PayoutView {
  id: string;
  hotkey: string;
  state: string;
  by: string;
  address: string;
  nanousd: bigint;
  requested_at: string;
}

export interface PayoutsView {
  /** They wait for the operator. */
  by_hand: PayoutView[];
  others: PayoutView[];
}

const SHOWN = 500;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export async function readPayouts(db: Database): Promise<PayoutsView> {
  const [byHand, others] = await Promise.all([listPayoutsByHand(db, SHOWN), listOpenPayouts(db, SHOWN)]);
  return { by_hand: byHand.map(viewOf), others: others.map(viewOf) };
}

/** Ends one, once. What only the chain knows the end of is refused. */
export async function settle(db: Database, how: 'confirm' | 'fail', id: string, reason: string): Promise<Done> {
  if (!UUID.test(id)) throw usage(`${JSON.stringify(id)} is no id of a payout.`);
  const done = how === 'confirm' ? await confirmPayout(db, id, reason) : await failPayout(db, id, reason);
  const payout = await findPayout(db, id);
  if (payout === null) throw refused(`There is no payout ${id}.`);
  if (!done) throw refused(`Payout ${id} goes by ${payout.adapter} and is ${payout.state}: this is not for you to say.`);
  const { nanousd, hotkey } = payout;
  return {
    facts: { payout: id, hotkey, state: payout.state, nanousd, reason },
    words: `${showUsd(nanousd)} USD of ${hotkey} ${how === 'confirm' ? 'are paid' : 'are payable again'}.`,
  };
}

function viewOf({ id, hotkey, state, adapter, address, nanousd, requestedAt }: PayoutRow): PayoutView {
  return { id, hotkey, state, by: adapter, address, nanousd, requested_at: requestedAt.toISOString() };
}
