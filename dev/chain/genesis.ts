/** The first block's state: one subnet with an owner, the validators it begins with, and the hyperparameters of development. */
import { INITIALIZATION, addBalance, type BlockBeing } from './block.ts';
import { place, register } from './neurons.ts';
import { ITEMS, State } from './state.ts';

export interface GenesisAsk {
  netuid: number;
  /** Hotkey and coldkey (ss58) of the subnet's owner, who is uid 0. */
  owner: { hotkey: string; coldkey: string };
  /** They may set weights from the first block on. */
  validators?: readonly { hotkey: string; coldkey?: string; stake: bigint }[];
  /** rao by account. */
  funds?: Record<string, bigint>;
  tempo?: number;
  /** Whether weights must be committed. */
  commitReveal?: boolean;
  /** Blocks between two settings of one hotkey. */
  rateLimit?: number;
  /** Share of stake (rao of alpha) from which on a hotkey may set weights. */
  stakeThreshold?: bigint;
  minWeights?: number;
}

/** A million of alpha: no miner of a development network earns that. */
const STAKE_THRESHOLD = 1_000_000_000_000_000n;

export function genesisState(ask: GenesisAsk): State {
  const state = new State();
  const { netuid } = ask;
  state.set(ITEMS.number, [], 0);
  state.set(ITEMS.totalNetworks, [], 2);
  state.set(ITEMS.added, [netuid], true);
  state.set(ITEMS.tempo, [netuid], ask.tempo ?? 20);
  state.set(ITEMS.minWeights, [netuid], ask.minWeights ?? 1);
  state.set(ITEMS.rateLimit, [netuid], BigInt(ask.rateLimit ?? 10));
  state.set(ITEMS.commitReveal, [netuid], ask.commitReveal ?? false);
  state.set(ITEMS.stakeThreshold, [], ask.stakeThreshold ?? STAKE_THRESHOLD);
  state.set(ITEMS.ownerHotkey, [netuid], ask.owner.hotkey);
  state.set(ITEMS.ownerColdkey, [netuid], ask.owner.coldkey);
  const block: BlockBeing = { number: 0, nowMs: 0, state, beacon: null, phase: INITIALIZATION, events: [] };
  register(block, { netuid, ...ask.owner });
  for (const { hotkey, coldkey = hotkey, stake } of ask.validators ?? []) {
    const uid = register(block, { netuid, hotkey, coldkey });
    state.set(ITEMS.alpha, [hotkey, netuid], stake);
    place(state, ITEMS.permits, netuid, uid, true);
  }
  for (const [who, rao] of Object.entries(ask.funds ?? {})) addBalance(block, who, rao);
  return state;
}
