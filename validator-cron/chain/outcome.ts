/**
 * Why the chain does not take an extrinsic, by its own codes: those of the pool (`author_submitExtrinsic`), and those of the
 * dry run (`TaggedTransactionQueue_validate_transaction`). Each is one word, with what happens next: `wait` (a later tick tries
 * again by itself), `refuse` (a person must do something), `known` (it is there already).
 */
import type { Refusal } from '../../functions/chain/rpc.ts';
import { ScaleReader } from '../../functions/chain/scale.ts';

export interface Outcome {
  next: 'wait' | 'refuse' | 'known';
  word: string;
  /** One line: cause, and what to do. */
  why: string;
}

const wait = (word: string, why: string): Outcome => ({ next: 'wait', word, why });
const refuse = (word: string, why: string): Outcome => ({ next: 'refuse', word, why });

/** `Custom error: N` of Subtensor. */
const CUSTOM: Record<number, Outcome> = {
  1: refuse('stake_too_low', 'the hotkey has less stake than the subnet wants for weights: stake more on it'),
  3: refuse('no_subnet', 'there is no such subnet: set NETUID'),
  4: refuse('no_account', 'the chain does not know the hotkey: register it on the subnet'),
  6: wait('rate_limited', 'the subnet takes weights of a hotkey only every so many blocks'),
  10: refuse('not_registered', 'the hotkey is not registered on the subnet: register it'),
  15: wait('round_passed', 'the round of the reveal is out already: a later one is chosen'),
  16: refuse('commit_not_found', 'the chain has no such commit'),
  17: wait('not_in_reveal_range', 'the commit cannot be revealed yet'),
  18: refuse('lengths_unequal', 'as many values as uids are due: report this'),
  19: refuse('not_registered', 'the hotkey has no uid on the subnet: register it'),
  255: refuse('bad_request', 'the chain does not take these weights: see the runtime’s errors'),
};

const POOL: Record<number, Outcome> = {
  1011: wait('cannot_validate', 'the node cannot judge it now'),
  1012: wait('banned', 'the node has set it aside for a while'),
  1013: { next: 'known', word: 'already_there', why: 'the node has it already' },
  1014: wait('low_priority', 'another extrinsic of the hotkey with this nonce waits'),
  1015: wait('cycle', 'the node’s pool has it in a cycle'),
  1016: wait('dropped', 'the node’s pool is full'),
};

const OUTDATED = wait('outdated', 'its nonce is used: another extrinsic of the hotkey came first');
const FUTURE = wait('future', 'an extrinsic of the hotkey before it is missing');
const BAD_PROOF = refuse('bad_signature', 'the chain does not take the signature: check CHAIN_GENESIS and the runtime');
const ANCIENT = wait('era_over', 'the block its era starts at is too old for the node, or was dropped');
const PAYMENT = refuse('cannot_pay', 'the chain wants a fee for it, which a hotkey should not have to pay: report this');
const FULL = wait('block_full', 'it does not fit into a block now');

/** Data that nodes give with 1010 where it is no custom error. */
const SAID: [RegExp, Outcome][] = [
  [/outdated|stale/i, OUTDATED],
  [/bad signature|bad proof/i, BAD_PROOF],
  [/ancient birth/i, ANCIENT],
  [/inability to pay/i, PAYMENT],
  [/future/i, FUTURE],
  [/exhaust/i, FULL],
];

/** Of an answer to `author_submitExtrinsic`. */
export function outcomeOfPool({ code, data }: Refusal): Outcome {
  const known = POOL[code];
  if (known !== undefined) return known;
  if (code !== 1010) return wait('node_refused', `the node refused it with code ${code}`);
  const custom = /custom error: ?(\d{1,3})\b/i.exec(data)?.[1];
  if (custom !== undefined) return outcomeOfCustom(Number(custom));
  return SAID.find(([said]) => said.test(data))?.[1] ?? refuse('invalid', 'the node calls it invalid and does not say why');
}

/** By the index of `InvalidTransaction`. */
const INVALID: (Outcome | null)[] = [
  refuse('call_refused', 'the chain does not take this call'),
  PAYMENT,
  FUTURE,
  OUTDATED,
  BAD_PROOF,
  ANCIENT,
  FULL,
  null,
  refuse('mandatory', 'the chain does not take this call from a hotkey'),
  refuse('mandatory', 'the chain does not take this call from a hotkey'),
  refuse('bad_signer', 'the chain does not take this signer'),
];
const CUSTOM_VARIANT = 7;

/** Of a dry run; null: the chain would take it. Throws `ChainError` (`malformed`). */
export function outcomeOfDryRun(answer: Uint8Array): Outcome | null {
  const r = new ScaleReader(answer, 'the dry run');
  if (!r.bool()) return null;
  if (r.u8() !== 0) return wait('cannot_validate', 'the node cannot judge it now');
  const variant = r.u8();
  if (variant === CUSTOM_VARIANT) return outcomeOfCustom(r.u8());
  return INVALID[variant] ?? refuse('invalid', `the chain calls it invalid (${variant})`);
}

function outcomeOfCustom(code: number): Outcome {
  return CUSTOM[code] ?? refuse('chain_error', `the chain refuses it with its error ${code}`);
}
