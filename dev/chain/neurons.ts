/** Who is on a subnet: registration, stake, and columns by uid. */
import { addBalance, emit, subtensorEvent, type BlockBeing } from './block.ts';
import { failed } from './events.ts';
import type { Type } from './scale.ts';
import { ITEMS, type Item, type State } from './state.ts';

export interface Registration {
  netuid: number;
  hotkey: string;
  coldkey: string;
}

/** Gives the hotkey a uid: the next one, or in a full subnet that of who earns least. Throws `Failed`. */
export function register(block: BlockBeing, { netuid, hotkey, coldkey }: Registration): number {
  const { state, number } = block;
  if (!state.get(ITEMS.added, netuid)) throw failed('SubnetNotExists');
  if (state.find(ITEMS.uids, netuid, hotkey) !== null) throw failed('HotKeyAlreadyRegisteredInSubNet');
  const size = state.get(ITEMS.size, netuid);
  const isFull = size >= state.get(ITEMS.maxUids, netuid);
  const uid = isFull ? leastUid(state, netuid, size) : size;
  if (isFull) state.remove(ITEMS.uids, [netuid, state.get(ITEMS.keys, netuid, uid)]);
  else state.set(ITEMS.size, [netuid], size + 1);
  state.set(ITEMS.uids, [netuid, hotkey], uid);
  state.set(ITEMS.keys, [netuid, uid], hotkey);
  state.set(ITEMS.owner, [hotkey], coldkey);
  state.set(ITEMS.registeredAt, [netuid, uid], BigInt(number));
  state.remove(ITEMS.weights, [netuid, uid]);
  place(state, ITEMS.permits, netuid, uid, false);
  place(state, ITEMS.active, netuid, uid, true);
  place(state, ITEMS.lastUpdate, netuid, uid, BigInt(number));
  for (const column of [ITEMS.incentive, ITEMS.dividends, ITEMS.consensus]) place(state, column, netuid, uid, 0);
  place(state, ITEMS.emission, netuid, uid, 0n);
  addBalance(block, hotkey, 0n);
  emit(block, subtensorEvent('NeuronRegistered', netuid, uid, hotkey));
  return uid;
}

/** One value of a column. */
export function place<V>(state: State, of: Item<readonly [Type<number>], V[]>, netuid: number, uid: number, value: V): void {
  const column = [...state.get(of, netuid)];
  column[uid] = value;
  state.set(of, [netuid], column);
}

/** Not the owner's and no validator's. */
function leastUid(state: State, netuid: number, size: number): number {
  const incentive = state.get(ITEMS.incentive, netuid);
  const permits = state.get(ITEMS.permits, netuid);
  const owner = state.find(ITEMS.uids, netuid, state.get(ITEMS.ownerHotkey, netuid));
  const uids = Array.from({ length: size }, (_, uid) => uid).filter((uid) => uid !== owner && permits[uid] !== true);
  return uids.toSorted((a, b) => (incentive[a] ?? 0) - (incentive[b] ?? 0))[0] ?? size - 1;
}

/** The stake that counts for weights. Nobody has staked TAO here, so it is all alpha. */
export function stakeOf(state: State, netuid: number, hotkey: string): bigint {
  return state.get(ITEMS.alpha, hotkey, netuid);
}
