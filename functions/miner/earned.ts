/** What an attempt earns for its miner, by its own row: told to the Chute for the board. Money moves by the Account alone. Pure. */
import type { Settlement } from '../calls/ports.ts';
import { chargeOf } from '../prices/charge.ts';
import { shareOf } from '../prices/cost.ts';
import type { AttemptRow } from './rows.ts';

/** Nano-USD. What is held of an extensible call grows with it, so its hold is no bound here. */
export function earnedBy({ ask }: AttemptRow, settlement: Settlement): number {
  const charge = chargeOf(ask.terms, ask.facts, settlement);
  const hold = ask.hold === undefined ? charge : BigInt(ask.hold);
  return Number(shareOf(ask.allowance === null && charge > hold ? hold : charge, ask.terms.feeBps));
}
