/** The metadata (v14) of a runtime that was made up: enough of System, Balances and SubtensorModule to write events. */
import { metadata, type V14 } from '@polkadot-api/substrate-bindings';

/** What differs between the versions of the made-up runtime. */
export interface Runtime {
  spec: number;
  /** Index of the pallet Balances, and of its event Transfer. */
  balances: number;
  transfer: number;
  /** Another name of that event, for a runtime nobody knows. */
  transferName?: string;
}

export const FIRST_RUNTIME: Runtime = { spec: 424, balances: 5, transfer: 2 };
export const NEXT_RUNTIME: Runtime = { spec: 425, balances: 6, transfer: 1 };

type Def = V14['lookup'][number]['def'];
type Field = [name: string | null, type: number];
type Variant = [name: string, index: number, fields: Field[]];

/** Types by number; the order is the one of `types` below. */
const T = {
  u8: 0,
  u16: 1,
  u32: 2,
  u64: 3,
  key: 4,
  account: 5,
  hash: 6,
  hashes: 7,
  compactU64: 8,
  weight: 9,
  class: 10,
  info: 11,
  error: 12,
  phase: 13,
  system: 14,
  balances: 15,
  subtensor: 16,
  event: 17,
  record: 18,
  records: 19,
} as const;

const MAGIC = 0x6174656d;

export function metadataOf(runtime: Runtime): Uint8Array {
  const types = [
    primitive('u8'),
    primitive('u16'),
    primitive('u32'),
    primitive('u64'),
    array(T.u8, 32),
    composite([[null, T.key]]),
    composite([[null, T.key]]),
    sequence(T.hash),
    compact(T.u64),
    composite([
      ['ref_time', T.compactU64],
      ['proof_size', T.compactU64],
    ]),
    variant([
      ['Normal', 0, []],
      ['Operational', 1, []],
      ['Mandatory', 2, []],
    ]),
    composite([
      ['weight', T.weight],
      ['class', T.class],
      ['pays_fee', T.class],
    ]),
    variant([
      ['Other', 0, []],
      ['CannotLookup', 1, []],
      ['BadOrigin', 2, []],
    ]),
    variant([
      ['ApplyExtrinsic', 0, [[null, T.u32]]],
      ['Finalization', 1, []],
      ['Initialization', 2, []],
    ]),
    variant([
      ['ExtrinsicSuccess', 0, [['dispatch_info', T.info]]],
      [
        'ExtrinsicFailed',
        1,
        [
          ['dispatch_error', T.error],
          ['dispatch_info', T.info],
        ],
      ],
      ['CodeUpdated', 2, []],
    ]),
    variant([
      [
        runtime.transferName ?? 'Transfer',
        runtime.transfer,
        [
          ['from', T.account],
          ['to', T.account],
          ['amount', T.u64],
        ],
      ],
      [
        'Endowed',
        7,
        [
          ['account', T.account],
          ['free_balance', T.u64],
        ],
      ],
    ]),
    variant([
      [
        'WeightsSet',
        1,
        [
          [null, T.u16],
          [null, T.u16],
        ],
      ],
      [
        'StakeTransferred',
        91,
        [
          [null, T.account],
          [null, T.account],
          [null, T.account],
          [null, T.u16],
          [null, T.u16],
          [null, T.u64],
        ],
      ],
    ]),
    variant([
      ['System', 0, [[null, T.system]]],
      ['Balances', runtime.balances, [[null, T.balances]]],
      ['SubtensorModule', 7, [[null, T.subtensor]]],
    ]),
    composite([
      ['phase', T.phase],
      ['event', T.event],
      ['topics', T.hashes],
    ]),
    sequence(T.record),
  ];
  const paths: Record<number, string[]> = {
    [T.account]: ['sp_core', 'crypto', 'AccountId32'],
    [T.hash]: ['primitive_types', 'H256'],
    [T.event]: ['node_subtensor_runtime', 'RuntimeEvent'],
  };
  const events = { name: 'Events', modifier: 1, type: { tag: 'plain' as const, value: T.records }, fallback: '0x00', docs: [] };
  return metadata.enc({
    magicNumber: MAGIC,
    metadata: {
      tag: 'v14',
      value: {
        lookup: types.map((def, id) => ({ id, path: paths[id] ?? [], params: [], def, docs: [] })),
        pallets: [
          pallet('System', 0, T.system, { prefix: 'System', items: [events] }),
          pallet('Balances', runtime.balances, T.balances),
          pallet('SubtensorModule', 7, T.subtensor),
        ],
        extrinsic: { type: T.key, version: 4, signedExtensions: [] },
        type: T.event,
        apis: [],
      },
    },
  });
}

type Pallet = V14['pallets'][number];

function pallet(name: string, index: number, events: number, storage?: Pallet['storage']): Pallet {
  return { name, index, events, storage, calls: undefined, errors: undefined, constants: [], docs: [] };
}

function primitive(tag: 'u8' | 'u16' | 'u32' | 'u64'): Def {
  return { tag: 'primitive', value: { tag, value: undefined } };
}

function array(type: number, len: number): Def {
  return { tag: 'array', value: { len, type } };
}

function sequence(value: number): Def {
  return { tag: 'sequence', value };
}

function compact(value: number): Def {
  return { tag: 'compact', value };
}

function composite(fields: Field[]): Def {
  return { tag: 'composite', value: fields.map(fieldOf) };
}

function variant(variants: Variant[]): Def {
  return { tag: 'variant', value: variants.map(([name, index, fields]) => ({ name, index, fields: fields.map(fieldOf), docs: [] })) };
}

function fieldOf([name, type]: Field) {
  return { name: name ?? undefined, type, typeName: undefined, docs: [] };
}
