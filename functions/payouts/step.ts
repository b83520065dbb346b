/** What a payout does next, and whether what was signed may be sent. Pure: facts in, a decision with its reason out. */
import { extrinsicHash, eraOf, compact, type Era } from '../chain/extrinsic.ts';

export type PayoutState = 'requested' | 'begun' | 'submitted' | 'paid' | 'failed';
export type AdapterName = 'tao' | 'operator';

/** What was signed, stored before it is sent. */
export interface Attempt {
  /** `0x…` */
  extrinsic: string;
  hash: string;
  /** It may be in blocks `birth` to `death - 1` and in no other. */
  birth: number;
  death: number;
  /** Finalized blocks up to here were read, and it is in none of them. */
  read: number;
}

export interface PayoutFacts {
  state: PayoutState;
  adapter: AdapterName;
  attempt: Attempt | null;
  /** Whether there is a rate to value it by. */
  hasRate: boolean;
  /** What the chain made of the attempt; null: it was not found so far. */
  outcome: 'success' | 'failed' | null;
}

export type Step =
  /** Payable money goes in flight. */
  | { kind: 'begin' }
  /** The signer is asked; what it signed is stored, then sent. */
  | { kind: 'sign' }
  /** The operator has it from here. */
  | { kind: 'hand_over' }
  | { kind: 'paid' }
  /** Money in flight is payable again. */
  | { kind: 'fail'; reason: string }
  | { kind: 'wait'; why: 'no_rate' | 'operator' | 'chain' | 'over' };

export function nextStep(payout: PayoutFacts): Step {
  switch (payout.state) {
    case 'requested':
      return payout.adapter === 'tao' && !payout.hasRate ? { kind: 'wait', why: 'no_rate' } : { kind: 'begin' };
    case 'begun':
      return payout.adapter === 'tao' ? { kind: 'sign' } : { kind: 'hand_over' };
    case 'submitted':
      return payout.adapter === 'tao' ? onChain(payout) : { kind: 'wait', why: 'operator' };
    case 'paid':
    case 'failed':
      return { kind: 'wait', why: 'over' };
  }
}

/** It was sent, or was about to be when something died: only the chain knows. It is never sent again. */
function onChain({ attempt, outcome }: PayoutFacts): Step {
  if (outcome === 'success') return { kind: 'paid' };
  if (outcome === 'failed') return { kind: 'fail', reason: 'the chain refused the transfer' };
  if (attempt !== null && attempt.read >= attempt.death - 1) return { kind: 'fail', reason: 'it was in no block while it was valid' };
  return { kind: 'wait', why: 'chain' };
}

export const ERA = {
  /** Blocks a transfer may be valid at most: so long its outcome can stay unknown. */
  longest: 128,
  /** Blocks that must be left of it after the finalized head: time to be included. Nodes differ in that head by less. */
  left: 16,
} as const;

/** What a signer answered. */
export interface Signed {
  extrinsic: Uint8Array;
  hash: Uint8Array;
  birth: number;
  death: number;
}

/** `expired`: it can be in no block any more, so it may be forgotten. `wrong`: nothing may be done with it. */
export type Verdict = { kind: 'good' } | { kind: 'expired' } | { kind: 'wrong'; reason: string };

/**
 * Whether this is the transfer that was asked for, and can be in blocks `birth` to `death - 1` only. The chain's metadata is not needed: a transfer ends with its address and amount.
 */
export function judgeSigned(signed: Signed, ask: { to: Uint8Array; rao: bigint }, finalized: number): Verdict {
  const era = eraOf(signed.extrinsic);
  if (era === null) return wrong('it is no mortal extrinsic signed by sr25519');
  if (!sameBytes(extrinsicHash(signed.extrinsic), signed.hash)) return wrong('its hash is another');
  if (!lastsAs(era, signed)) return wrong('its era is another');
  if (!endsWith(signed.extrinsic, [0, ...ask.to, ...compact(ask.rao)])) return wrong('it is not the transfer that was asked for');
  if (finalized + ERA.left < signed.birth) return wrong('its era is not begun');
  if (finalized >= signed.death) return { kind: 'expired' };
  return finalized + ERA.left > signed.death ? wrong('too little is left of its era') : { kind: 'good' };
}

function lastsAs({ period, phase }: Era, { birth, death }: Signed): boolean {
  return period <= ERA.longest && death - birth === period && birth % period === phase;
}

function endsWith(bytes: Uint8Array, tail: readonly number[]): boolean {
  return bytes.length >= tail.length && sameBytes(bytes.subarray(bytes.length - tail.length), tail);
}

function sameBytes(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  return a.length === b.length && Array.from(a).every((byte, i) => byte === b[i]);
}

function wrong(reason: string): Verdict {
  return { kind: 'wrong', reason };
}
