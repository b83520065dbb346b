/** The calls there are: their numbers on Subtensor (spec 424), arguments, what the pool asks of them, and what they do. */
import { addBalance, balancesEvent, emit, type BlockBeing } from './block.ts';
import { failed, tokenFailed } from './events.ts';
import { register } from './neurons.ts';
import {
  account,
  blob,
  compact,
  decode,
  fixed,
  none,
  struct,
  u16,
  u32,
  u64,
  u8,
  variant,
  vec,
  wrapped,
  type Of,
  type Struct,
  type Type,
  type Values,
} from './scale.ts';
import { ITEMS, type PalletName, type State } from './state.ts';
import { commitWeights, poolErrorOf, setWeights } from './weights.ts';

/** A call with its arguments read. */
export interface Bound {
  name: string;
  paysFee: boolean;
  /** Why the pool does not take it: the number of a custom error. */
  refusal(state: State, who: string, number: number): number | null;
  /** Throws `Failed`. `who`: null for what the block's author put in. */
  run(block: BlockBeing, who: string | null): void;
}

interface Call {
  pallet: PalletName;
  index: number;
  name: string;
  args: Struct<Record<string, Type<unknown>>>;
  /** Throws `Undecodable`. */
  bind(bytes: Uint8Array): Bound;
}

interface Doing<A> {
  paysFee?: boolean;
  refusal?: (args: A, state: State, who: string, number: number) => number | null;
  run: (args: A, block: BlockBeing, who: string) => void;
}

function call<F extends Record<string, Type<unknown>>>(
  pallet: PalletName,
  index: number,
  name: string,
  fields: F,
  { paysFee = false, refusal, run }: Doing<Values<F>>,
): Call {
  const args = struct([], fields);
  return {
    pallet,
    index,
    name,
    args,
    bind(bytes) {
      const values = decode(args, bytes);
      return {
        name: `${pallet}.${name}`,
        paysFee,
        refusal: (state, who, number) => refusal?.(values, state, who, number) ?? null,
        run: (block, who) => run(values, block, who ?? ''),
      };
    },
  };
}

export const multiAddress = variant(
  ['sp_runtime', 'multiaddress', 'MultiAddress'],
  {
    Id: [0, wrapped(account)],
    Index: [1, wrapped(compact(u32))],
    Raw: [2, wrapped(blob)],
    Address32: [3, wrapped(fixed(32))],
    Address20: [4, wrapped(fixed(20))],
  },
  { AccountId: account, AccountIndex: none },
);

/** Rao that an account must hold, and what a call that pays costs. */
export const EXISTENTIAL_DEPOSIT = 500n;
export const FEE = 125_000n;

interface TransferArgs {
  dest: Of<typeof multiAddress>;
  value: bigint;
}

function transfer({ dest, value }: TransferArgs, block: BlockBeing, from: string, least: bigint): void {
  if (dest.type !== 'Id') throw tokenFailed('CannotCreate');
  const to = dest.value._0;
  const [given, taken] = [block.state.get(ITEMS.account, from).data.free, block.state.get(ITEMS.account, to).data.free];
  if (given < value) throw tokenFailed('FundsUnavailable');
  if (from !== to && given - value < least) throw tokenFailed('NotExpendable');
  if (taken + value < EXISTENTIAL_DEPOSIT) throw tokenFailed('BelowMinimum');
  addBalance(block, from, -value);
  addBalance(block, to, value);
  if (taken === 0n) emit(block, balancesEvent({ type: 'Endowed', value: { account: to, free_balance: value } }));
  emit(block, balancesEvent({ type: 'Transfer', value: { from, to, amount: value } }));
}

const TRANSFER = { dest: multiAddress, value: compact(u64) };
const SET = { dests: vec(u16), weights: vec(u16), version_key: u64 };
const COMMIT = { commit: blob, reveal_round: u64, commit_reveal_version: u16 };

type SetArgs = Values<typeof SET> & { netuid: number; mecid?: number };
type CommitArgs = Values<typeof COMMIT> & { netuid: number; mecid?: number };

const setting: Doing<SetArgs> = {
  refusal: ({ netuid }, state, who, number) => poolErrorOf(state, who, netuid, number, null),
  run({ netuid, mecid = 0, dests, weights, version_key }, block, who) {
    checkMechanism(block, netuid, mecid);
    setWeights(block, who, { netuid, uids: dests, values: weights, versionKey: version_key });
  },
};

const committing: Doing<CommitArgs> = {
  refusal: ({ netuid, reveal_round }, state, who, number) => poolErrorOf(state, who, netuid, number, reveal_round),
  run({ netuid, mecid = 0, commit, reveal_round, commit_reveal_version }, block, who) {
    checkMechanism(block, netuid, mecid);
    commitWeights(block, who, { netuid, commit, round: reveal_round, version: commit_reveal_version });
  },
};

function checkMechanism({ state }: BlockBeing, netuid: number, mecid: number): void {
  if (mecid >= state.get(ITEMS.mechanisms, netuid)) throw failed('MechanismDoesNotExist');
}

export const CALLS: readonly Call[] = [
  call('System', 0, 'remark', { remark: blob }, { paysFee: true, run: () => undefined }),
  call('Timestamp', 0, 'set', { now: compact(u64) }, { run: ({ now }, { state }) => state.set(ITEMS.now, [], now) }),
  call('Balances', 0, 'transfer_allow_death', TRANSFER, { paysFee: true, run: (args, block, who) => transfer(args, block, who, 0n) }),
  call('Balances', 3, 'transfer_keep_alive', TRANSFER, {
    paysFee: true,
    run: (args, block, who) => transfer(args, block, who, EXISTENTIAL_DEPOSIT),
  }),
  call('SubtensorModule', 0, 'set_weights', { netuid: u16, ...SET }, setting),
  call(
    'SubtensorModule',
    7,
    'burned_register',
    { netuid: u16, hotkey: account },
    {
      paysFee: true,
      run({ netuid, hotkey }, block, who) {
        const price = block.state.get(ITEMS.burn, netuid);
        if (block.state.get(ITEMS.account, who).data.free < price) throw tokenFailed('FundsUnavailable');
        register(block, { netuid, hotkey, coldkey: who });
        addBalance(block, who, -price);
      },
    },
  ),
  call('SubtensorModule', 113, 'commit_timelocked_weights', { netuid: u16, ...COMMIT }, committing),
  call('SubtensorModule', 118, 'commit_timelocked_mechanism_weights', { netuid: u16, mecid: u8, ...COMMIT }, committing),
  call('SubtensorModule', 119, 'set_mechanism_weights', { netuid: u16, mecid: u8, ...SET }, setting),
];

/** Indexes of the pallets that have calls. */
export const PALLETS: Record<PalletName, number> = { System: 0, Timestamp: 2, Balances: 5, SubtensorModule: 7, Drand: 26 };

const callPath = (pallet: PalletName) => [`pallet_${pallet.toLowerCase()}`, 'pallet', 'Call'];

/** How metadata shows a pallet's calls; null: it has none. */
export function callsOf(pallet: PalletName): ReturnType<typeof variant> | null {
  const own = CALLS.filter((one) => one.pallet === pallet);
  if (own.length === 0) return null;
  return variant(callPath(pallet), Object.fromEntries(own.map(({ name, index, args }) => [name, [index, args] as const])));
}

/** Throws `Undecodable`, and for a call that there is not, null. */
export function bindCall(bytes: Uint8Array): Bound | null {
  const [pallet, index] = bytes;
  const found = CALLS.find((one) => PALLETS[one.pallet] === pallet && one.index === index);
  return found?.bind(bytes.subarray(2)) ?? null;
}
