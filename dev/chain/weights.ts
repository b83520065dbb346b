/** The rules for weights, in the order in which Subtensor checks them. */
import { blake2b } from '@noble/hashes/blake2.js';
import { emit, subtensorEvent, type BlockBeing } from './block.ts';
import { failed } from './events.ts';
import { place, stakeOf } from './neurons.ts';
import { ITEMS, type State } from './state.ts';

export interface WeightsAsk {
  netuid: number;
  uids: readonly number[];
  values: readonly number[];
  versionKey: bigint;
}

export interface CommitAsk {
  netuid: number;
  commit: Uint8Array;
  round: bigint;
  version: number;
}

/** Commits of one hotkey in one epoch that are not revealed; bytes of one. */
const MOST_COMMITS = 10;
const COMMIT_BYTES = 5_000;

/** A call's weights: only where they need not be committed. Throws `Failed`. */
export function setWeights(block: BlockBeing, who: string, ask: WeightsAsk): void {
  if (block.state.get(ITEMS.commitReveal, ask.netuid)) throw failed('CommitRevealEnabled');
  putWeights(block, who, ask);
}

/** Weights of a call or of a commit that was opened. Throws `Failed`. */
export function putWeights(block: BlockBeing, who: string, { netuid, uids, values, versionKey }: WeightsAsk): void {
  const { state, number } = block;
  const size = state.get(ITEMS.size, netuid);
  const isCommitted = state.get(ITEMS.commitReveal, netuid);
  if (uids.length !== values.length) throw failed('WeightVecNotEqualSize');
  if (uids.length > size) throw failed('UidsLengthExceedUidsInSubNet');
  const uid = state.find(ITEMS.uids, netuid, who);
  if (uid === null) throw failed('HotKeyNotRegisteredInSubNet');
  if (!hasStake(state, netuid, who)) throw failed('NotEnoughStakeToSetWeights');
  const least = state.get(ITEMS.versionKey, netuid);
  if (least !== 0n && versionKey < least) throw failed('IncorrectWeightVersionKey');
  if (!isCommitted && isTooSoon(state, netuid, uid, number)) throw failed('SettingWeightsTooFast');
  const isOfItself = uids.length === 1 && uids[0] === uid;
  if (!isOfItself && !mayJudge(state, netuid, who, uid)) throw failed('NeuronNoValidatorPermit');
  if (new Set(uids).size !== uids.length) throw failed('DuplicateUids');
  if (uids.some((of) => of >= size)) throw failed('UidVecContainInvalidOne');
  if (!isOfItself && uids.length < Math.min(state.get(ITEMS.minWeights, netuid), size)) throw failed('WeightVecLengthIsLow');
  state.set(ITEMS.weights, [netuid, uid], scaledUp(uids, values));
  if (!isCommitted) place(state, ITEMS.lastUpdate, netuid, uid, BigInt(number));
  emit(block, subtensorEvent('WeightsSet', netuid, uid));
}

/** Throws `Failed`. */
export function commitWeights(block: BlockBeing, who: string, { netuid, commit, round, version }: CommitAsk): void {
  const { state, number } = block;
  if (version !== state.get(ITEMS.commitVersion)) throw failed('IncorrectCommitRevealVersion');
  if (!state.get(ITEMS.commitReveal, netuid)) throw failed('CommitRevealDisabled');
  const uid = state.find(ITEMS.uids, netuid, who);
  if (uid === null) throw failed('HotKeyNotRegisteredInSubNet');
  if (isTooSoon(state, netuid, uid, number)) throw failed('CommittingWeightsTooFast');
  if (round < state.get(ITEMS.lastStoredRound)) throw failed('InvalidRevealRound');
  const epoch = state.get(ITEMS.epochIndex, netuid);
  const commits = state.get(ITEMS.commits, netuid, epoch);
  if (commits.filter(([by]) => by === who).length >= MOST_COMMITS) throw failed('TooManyUnrevealedCommits');
  state.set(ITEMS.commits, [netuid, epoch], [...commits, [who, BigInt(number), commit.subarray(0, COMMIT_BYTES), round]]);
  place(state, ITEMS.lastUpdate, netuid, uid, BigInt(number));
  emit(block, subtensorEvent('TimelockedWeightsCommitted', who, netuid, blake2b(commit, { dkLen: 32 }), round));
}

/** What the pool asks before it takes a call, by the numbers of Subtensor's own errors; null: nothing is wrong. */
export function poolErrorOf(state: State, who: string, netuid: number, number: number, round: bigint | null): number | null {
  if (!state.get(ITEMS.added, netuid)) return CUSTOM.noSubnet;
  if (!hasStake(state, netuid, who)) return CUSTOM.stakeTooLow;
  const uid = state.find(ITEMS.uids, netuid, who);
  if (uid === null) return CUSTOM.uidNotFound;
  if (round !== null && round < state.get(ITEMS.lastStoredRound)) return CUSTOM.badRound;
  return isTooSoon(state, netuid, uid, number) ? CUSTOM.rateLimit : null;
}

const CUSTOM = { stakeTooLow: 1, noSubnet: 3, rateLimit: 6, badRound: 15, uidNotFound: 19 } as const;

function hasStake(state: State, netuid: number, who: string): boolean {
  return who === state.get(ITEMS.ownerHotkey, netuid) || stakeOf(state, netuid, who) >= state.get(ITEMS.stakeThreshold);
}

function mayJudge(state: State, netuid: number, who: string, uid: number): boolean {
  return who === state.get(ITEMS.ownerHotkey, netuid) || state.get(ITEMS.permits, netuid)[uid] === true;
}

/** Registration counts as an update too: who comes new waits. */
function isTooSoon(state: State, netuid: number, uid: number, number: number): boolean {
  const last = state.get(ITEMS.lastUpdate, netuid)[uid] ?? 0n;
  return last !== 0n && BigInt(number) - last < state.get(ITEMS.rateLimit, netuid);
}

/** The largest becomes 65,535; zeros are left out. */
function scaledUp(uids: readonly number[], values: readonly number[]): [number, number][] {
  const most = Math.max(...values, 1);
  return uids.flatMap((uid, i): [number, number][] => {
    const value = Math.floor(((values[i] ?? 0) * 65_535) / most);
    return value === 0 ? [] : [[uid, value]];
  });
}
