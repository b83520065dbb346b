/** The answer of `SubnetInfoRuntimeApi_get_subnet_state`: a whole subnet in columns by uid. */
import { stakeOf } from './neurons.ts';
import { account, bool, compact, struct, u16, u64, vec, type Of } from './scale.ts';
import { ITEMS, type State } from './state.ts';

const shares = vec(compact(u16));
const amounts = vec(compact(u64));

export const subnetState = struct(['pallet_subtensor', 'rpc_info', 'show_subnet', 'SubnetState'], {
  netuid: compact(u16),
  hotkeys: vec(account),
  coldkeys: vec(account),
  active: vec(bool),
  validator_permit: vec(bool),
  pruning_score: shares,
  last_update: amounts,
  emission: amounts,
  dividends: shares,
  incentives: shares,
  consensus: shares,
  trust: shares,
  rank: shares,
  block_at_registration: amounts,
  alpha_stake: amounts,
  tao_stake: amounts,
  total_stake: amounts,
  emission_history: vec(amounts),
});
export type SubnetState = Of<typeof subnetState>;

/** Null: there is no such subnet. */
export function stateOfSubnet(state: State, netuid: number): SubnetState | null {
  if (!state.get(ITEMS.added, netuid)) return null;
  const uids = Array.from({ length: state.get(ITEMS.size, netuid) }, (_, uid) => uid);
  const hotkeys = uids.map((uid) => state.get(ITEMS.keys, netuid, uid));
  const alpha = hotkeys.map((hotkey) => stakeOf(state, netuid, hotkey));
  const zeros = uids.map(() => 0n);
  const wide = (values: readonly number[]) => values.map(BigInt);
  const emission = state.get(ITEMS.emission, netuid);
  const incentives = wide(state.get(ITEMS.incentive, netuid));
  return {
    netuid: BigInt(netuid),
    hotkeys,
    coldkeys: hotkeys.map((hotkey) => state.get(ITEMS.owner, hotkey)),
    active: state.get(ITEMS.active, netuid),
    validator_permit: state.get(ITEMS.permits, netuid),
    pruning_score: zeros,
    last_update: state.get(ITEMS.lastUpdate, netuid),
    emission,
    dividends: wide(state.get(ITEMS.dividends, netuid)),
    incentives,
    consensus: wide(state.get(ITEMS.consensus, netuid)),
    trust: zeros,
    rank: incentives,
    block_at_registration: uids.map((uid) => state.get(ITEMS.registeredAt, netuid, uid)),
    alpha_stake: alpha,
    tao_stake: zeros,
    total_stake: alpha,
    emission_history: [emission],
  };
}
