/** Events and errors, with the numbers they have on Subtensor (spec 424). */
import {
  account,
  compact,
  fixed,
  hash,
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
} from './scale.ts';

/** Only those that come up here. */
export const ERRORS = {
  System: { CallFiltered: 5 },
  Balances: { InsufficientBalance: 2, ExistentialDeposit: 3 },
  SubtensorModule: {
    HotKeyNotRegisteredInSubNet: 4,
    NotEnoughStakeToSetWeights: 10,
    NeuronNoValidatorPermit: 15,
    WeightVecNotEqualSize: 16,
    DuplicateUids: 17,
    UidVecContainInvalidOne: 18,
    WeightVecLengthIsLow: 19,
    HotKeyAlreadyRegisteredInSubNet: 21,
    SettingWeightsTooFast: 29,
    IncorrectWeightVersionKey: 30,
    UidsLengthExceedUidsInSubNet: 32,
    CommitRevealEnabled: 53,
    CommitRevealDisabled: 54,
    MechanismDoesNotExist: 74,
    SubnetNotExists: 76,
    TooManyUnrevealedCommits: 77,
    CommittingWeightsTooFast: 81,
    IncorrectCommitRevealVersion: 110,
    InvalidRevealRound: 111,
  },
} as const;
export type ChainErrorName = keyof typeof ERRORS.SubtensorModule;

const TOKEN_ERRORS = {
  FundsUnavailable: [0, none],
  OnlyProvider: [1, none],
  BelowMinimum: [2, none],
  CannotCreate: [3, none],
  UnknownAsset: [4, none],
  Frozen: [5, none],
  Unsupported: [6, none],
  CannotCreateHold: [7, none],
  NotExpendable: [8, none],
  Blocked: [9, none],
} as const;

export const dispatchError = variant(['sp_runtime', 'DispatchError'], {
  Other: [0, none],
  CannotLookup: [1, none],
  BadOrigin: [2, none],
  Module: [3, wrapped(struct(['sp_runtime', 'ModuleError'], { index: u8, error: fixed(4) }))],
  ConsumerRemaining: [4, none],
  NoProviders: [5, none],
  TooManyConsumers: [6, none],
  Token: [7, wrapped(variant(['sp_runtime', 'TokenError'], TOKEN_ERRORS))],
});
type DispatchError = Of<typeof dispatchError>;

/** A call that was included and failed. */
export class Failed extends Error {
  readonly dispatch: DispatchError;
  constructor(name: string, dispatch: DispatchError) {
    super(name);
    this.dispatch = dispatch;
  }
}

const SUBTENSOR = 7;

export function failed(name: ChainErrorName): Failed {
  const error = Uint8Array.from([ERRORS.SubtensorModule[name], 0, 0, 0]);
  return new Failed(name, { type: 'Module', value: { _0: { index: SUBTENSOR, error } } });
}

export function tokenFailed(name: keyof typeof TOKEN_ERRORS): Failed {
  return new Failed(name, { type: 'Token', value: { _0: { type: name, value: {} } } });
}

const pays = variant(['frame_support', 'dispatch', 'Pays'], { Yes: [0, none], No: [1, none] });
const dispatchClass = variant(['frame_support', 'dispatch', 'DispatchClass'], {
  Normal: [0, none],
  Operational: [1, none],
  Mandatory: [2, none],
});
export const weight = struct(['sp_weights', 'weight_v2', 'Weight'], { ref_time: compact(u64), proof_size: compact(u64) });
const info = struct(['frame_system', 'DispatchEventInfo'], { weight, class: dispatchClass, pays_fee: pays });

export function infoOf(paysFee: boolean): Of<typeof info> {
  return {
    weight: { ref_time: 1_000_000n, proof_size: 3_000n },
    class: { type: 'Normal', value: {} },
    pays_fee: { type: paysFee ? 'Yes' : 'No', value: {} },
  };
}

/** Fields without a name. */
function unnamed<const T extends readonly Type<unknown>[]>(...of: T): Struct<Record<string, Type<unknown>>> {
  return struct([], Object.fromEntries(of.map((type, i) => [`_${i}`, type])));
}

export const EVENTS = {
  System: variant(['frame_system', 'pallet', 'Event'], {
    ExtrinsicSuccess: [0, struct([], { dispatch_info: info })],
    ExtrinsicFailed: [1, struct([], { dispatch_error: dispatchError, dispatch_info: info })],
    CodeUpdated: [2, none],
    NewAccount: [3, struct([], { account })],
  }),
  Balances: variant(['pallet_balances', 'pallet', 'Event'], {
    Endowed: [0, struct([], { account, free_balance: u64 })],
    Transfer: [2, struct([], { from: account, to: account, amount: u64 })],
    Deposit: [7, struct([], { who: account, amount: u64 })],
    Withdraw: [8, struct([], { who: account, amount: u64 })],
  }),
  SubtensorModule: variant(['pallet_subtensor', 'pallet', 'Event'], {
    WeightsSet: [5, unnamed(u16, u16)],
    NeuronRegistered: [6, unnamed(u16, u16, account)],
    TimelockedWeightsCommitted: [107, unnamed(account, u16, hash, u64)],
    TimelockedWeightsRevealed: [108, unnamed(u16, account)],
  }),
  Drand: variant(['pallet_drand', 'pallet', 'Event'], { NewPulse: [1, struct([], { rounds: vec(u64) })] }),
} as const;

export const runtimeEvent = variant(['node_subtensor_runtime', 'RuntimeEvent'], {
  System: [0, wrapped(EVENTS.System)],
  Balances: [5, wrapped(EVENTS.Balances)],
  SubtensorModule: [7, wrapped(EVENTS.SubtensorModule)],
  Drand: [26, wrapped(EVENTS.Drand)],
});
export type RuntimeEvent = Of<typeof runtimeEvent>;

const phase = variant(['frame_system', 'Phase'], { ApplyExtrinsic: [0, wrapped(u32)], Finalization: [1, none], Initialization: [2, none] });
export type Phase = Of<typeof phase>;

const record = struct(['frame_system', 'EventRecord'], { phase, event: runtimeEvent, topics: vec(hash) }, { E: runtimeEvent, T: hash });
export const records = vec(record);
