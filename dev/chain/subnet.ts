/** A subnet's epochs and what they reveal: what Subtensor does at the start of each block. */
import { openCommit } from './timelock.ts';
import { emit, subtensorEvent, type BlockBeing } from './block.ts';
import { runEpoch } from './consensus.ts';
import { Failed } from './events.ts';
import { encodeAddress } from '../../miner-agent/identity/ss58.ts';
import { stakeOf } from './neurons.ts';
import { ITEMS, type State } from './state.ts';
import { putWeights } from './weights.ts';

/** Rao of alpha that a block brings; of it the owner's cut, in hundredths. */
const EMISSION_PER_BLOCK = 1_000_000_000n;
const OWNER_CUT = 18n;
/** An epoch comes at the latest after so many blocks. */
const LONGEST = 50_400n;

/** Whether the subnet's epoch ends in this block, as its stateful clock has it. */
export function isDue(state: State, netuid: number, number: number): boolean {
  const tempo = BigInt(state.get(ITEMS.tempo, netuid));
  const pending = state.get(ITEMS.pendingEpoch, netuid);
  const block = BigInt(number);
  if (tempo === 0n) return false;
  return (
    (pending > 0n && block >= pending) ||
    state.get(ITEMS.sinceStep, netuid) > LONGEST ||
    block - state.get(ITEMS.lastEpoch, netuid) >= tempo
  );
}

/** Reveals come before the epoch's counter moves. */
export function beginSubnet(block: BlockBeing, netuid: number): void {
  const { state, number } = block;
  state.set(ITEMS.sinceStep, [netuid], state.get(ITEMS.sinceStep, netuid) + 1n);
  const due = isDue(state, netuid, number);
  const epoch = state.get(ITEMS.epochIndex, netuid) + (due ? 1n : 0n);
  reveal(block, netuid, epoch - state.get(ITEMS.revealPeriod, netuid));
  if (!due) return;
  endEpoch(block, netuid);
  state.set(ITEMS.lastEpoch, [netuid], BigInt(number));
  state.set(ITEMS.pendingEpoch, [netuid], 0n);
  state.set(ITEMS.epochIndex, [netuid], epoch);
  state.set(ITEMS.sinceStep, [netuid], 0n);
}

/** Commits of this epoch are opened; one whose round has not come is tried again in the next block, until the epoch is over. */
function reveal(block: BlockBeing, netuid: number, epoch: bigint): void {
  const { state, beacon } = block;
  if (epoch > 0n) state.remove(ITEMS.commits, [netuid, epoch - 1n]);
  const commits = epoch < 0n ? [] : state.get(ITEMS.commits, netuid, epoch);
  if (commits.length === 0) return;
  const waiting = commits.filter(([who, , commit, round]) => {
    const signature = beacon?.signature(Number(round)) ?? null;
    if (signature === null) return true;
    const hidden = openCommit(commit, signature);
    // What cannot be opened, is another's or breaks a rule is dropped without a word.
    if (hidden === null || hidden.hotkey.length !== 32 || encodeAddress(hidden.hotkey) !== who) return false;
    try {
      putWeights(block, who, { netuid, uids: hidden.uids, values: hidden.values, versionKey: hidden.version_key });
      emit(block, subtensorEvent('TimelockedWeightsRevealed', netuid, who));
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
    }
    return false;
  });
  if (waiting.length > 0) state.set(ITEMS.commits, [netuid, epoch], waiting);
  else state.remove(ITEMS.commits, [netuid, epoch]);
}

function endEpoch({ state, number }: BlockBeing, netuid: number): void {
  const size = state.get(ITEMS.size, netuid);
  const uids = Array.from({ length: size }, (_, uid) => uid);
  const hotkeys = uids.map((uid) => state.get(ITEMS.keys, netuid, uid));
  const stakes = hotkeys.map((hotkey) => stakeOf(state, netuid, hotkey));
  const permits = permitsOf(state, netuid, stakes);
  const blocks = BigInt(number) - state.get(ITEMS.lastEpoch, netuid);
  const total = EMISSION_PER_BLOCK * blocks;
  const owners = (total * OWNER_CUT) / 100n;
  const outcome = runEpoch({
    stakes,
    permits,
    weights: uids.map((uid) => state.get(ITEMS.weights, netuid, uid)),
    kappa: state.get(ITEMS.kappa, netuid),
    emission: total - owners,
  });
  state.set(ITEMS.permits, [netuid], permits);
  state.set(
    ITEMS.active,
    [netuid],
    uids.map(() => true),
  );
  state.set(ITEMS.consensus, [netuid], outcome.consensus);
  state.set(ITEMS.incentive, [netuid], outcome.incentive);
  state.set(ITEMS.dividends, [netuid], outcome.dividends);
  state.set(ITEMS.emission, [netuid], outcome.emission);
  const give = (hotkey: string, rao: bigint) => state.set(ITEMS.alpha, [hotkey, netuid], state.get(ITEMS.alpha, hotkey, netuid) + rao);
  give(state.get(ITEMS.ownerHotkey, netuid), owners);
  for (const [uid, hotkey] of hotkeys.entries()) give(hotkey, outcome.emission[uid] ?? 0n);
}

/** The largest stakes from the threshold on. */
function permitsOf(state: State, netuid: number, stakes: readonly bigint[]): boolean[] {
  const threshold = state.get(ITEMS.stakeThreshold);
  const able = [...stakes.entries()].filter(([, stake]) => stake > 0n && stake >= threshold);
  const chosen = able.toSorted(([, a], [, b]) => (a < b ? 1 : a > b ? -1 : 0)).slice(0, state.get(ITEMS.maxValidators, netuid));
  const uids = new Set(chosen.map(([uid]) => uid));
  return stakes.map((_, uid) => uids.has(uid));
}
