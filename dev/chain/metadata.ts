/**
 * Metadata of the stand-in's runtime: only the pallets, items, calls, events, errors and runtime APIs that there are. Written as
 * version 15 (version 14 has no runtime APIs), and as version 14 for `state_getMetadata`.
 */
import { metadata, type V14, type V15 } from '@polkadot-api/substrate-bindings';
import { CHAIN_LIMITS, type Runtime } from './chain.ts';
import { CALLS, callsOf, EXISTENTIAL_DEPOSIT, multiAddress, PALLETS } from './calls.ts';
import { ERRORS, EVENTS, runtimeEvent } from './events.ts';
import {
  encode,
  fixed,
  hash,
  hex,
  none,
  option,
  Registry,
  struct,
  u16,
  u32,
  u64,
  u8,
  variant,
  vec,
  wrapped,
  account,
  blob,
  bool,
  compact,
  type Type,
} from './scale.ts';
import { ITEMS, type PalletName } from './state.ts';
import { subnetState } from './state-of-subnet.ts';

const MAGIC = 0x6174656d;

/** A parameter that a changed runtime wants first in every call for weights. */
const CHANGED = { hotkey: account };

export function metadataOf(runtime: Runtime, blockMs: number): { v14: Uint8Array; v15: Uint8Array } {
  const types = new Registry();
  const pallets = (Object.keys(PALLETS) as PalletName[]).map((name) => palletOf(name, types, runtime, blockMs));
  const call = variant(
    ['node_subtensor_runtime', 'RuntimeCall'],
    Object.fromEntries(
      (Object.keys(PALLETS) as PalletName[]).flatMap((name) => {
        const calls = callTypeOf(name, runtime);
        return calls === null ? [] : [[name, [PALLETS[name], wrapped(calls)] as const]];
      }),
    ),
  );
  const signature = variant(['sp_runtime', 'MultiSignature'], {
    Ed25519: [0, wrapped(fixed(64))],
    Sr25519: [1, wrapped(fixed(64))],
    Ecdsa: [2, wrapped(fixed(65))],
  });
  const error = variant(['node_subtensor_runtime', 'RuntimeError'], {});
  const [address, callId, signatureId, nothing] = [multiAddress.id(types), call.id(types), signature.id(types), none.id(types)];
  const extrinsic = uncheckedExtrinsic(types, [address, callId, signatureId, nothing]);
  const signedExtensions = extensionsOf(types);
  const outerEnums = { call: callId, event: runtimeEvent.id(types), error: error.id(types) };
  const apis = apisOf(types, extrinsic);
  const runtimeType = struct(['node_subtensor_runtime', 'Runtime'], {}).id(types);
  const v14: V14 = {
    lookup: types.lookup(),
    pallets,
    extrinsic: { type: extrinsic, version: 4, signedExtensions },
    type: runtimeType,
    apis: [],
  };
  const v15: V15 = {
    lookup: types.lookup(),
    pallets,
    extrinsic: { version: 4, address, call: callId, signature: signatureId, extra: nothing, signedExtensions },
    type: runtimeType,
    apis,
    outerEnums,
    custom: [],
  };
  return {
    v14: metadata.enc({ magicNumber: MAGIC, metadata: { tag: 'v14', value: v14 } }),
    v15: metadata.enc({ magicNumber: MAGIC, metadata: { tag: 'v15', value: v15 } }),
  };
}

type Pallet = V15['pallets'][number];

function palletOf(name: PalletName, types: Registry, runtime: Runtime, blockMs: number): Pallet {
  const items = Object.values(ITEMS).filter((item) => item.pallet === name);
  return {
    name,
    index: PALLETS[name],
    docs: [],
    storage: { prefix: name, items: items.map((item) => itemOf(item, types)) },
    calls: callTypeOf(name, runtime)?.id(types),
    events: name in EVENTS ? EVENTS[name as keyof typeof EVENTS].id(types) : undefined,
    errors: name in ERRORS ? errorsOf(name, ERRORS[name as keyof typeof ERRORS]).id(types) : undefined,
    constants: constantsOf(name, blockMs).map(([constant, type, value]) => ({
      name: constant,
      type: type.id(types),
      value: hex(encode(type, value)) as `0x${string}`,
      docs: [],
    })),
  };
}

function itemOf(item: (typeof ITEMS)[keyof typeof ITEMS], types: Registry): NonNullable<Pallet['storage']>['items'][number] {
  const value = item.value.id(types);
  const keys: readonly Type<unknown>[] = item.keys;
  const [only] = keys;
  const type: Type<unknown> = item.value;
  return {
    name: item.name,
    modifier: item.fallback === null ? 0 : 1,
    type:
      only === undefined
        ? { tag: 'plain', value }
        : {
            tag: 'map',
            value: {
              hashers: item.hashers.map((tag) => ({ tag, value: undefined })),
              key: keys.length === 1 ? only.id(types) : tupleId(keys, types),
              value,
            },
          },
    fallback: item.fallback === null ? '0x00' : (hex(encode(type, item.fallback)) as `0x${string}`),
    docs: [],
  };
}

function tupleId(of: readonly Type<unknown>[], types: Registry): number {
  const ids = of.map((type) => type.id(types));
  return types.of(`tuple/${ids.join()}`, () => ({ def: { tag: 'tuple', value: ids } }));
}

function callTypeOf(name: PalletName, { changed }: Runtime) {
  const calls = callsOf(name);
  if (calls === null || !changed || name !== 'SubtensorModule') return calls;
  const own = CALLS.filter((one) => one.pallet === name);
  return variant(
    ['pallet_subtensor', 'pallet', 'Call'],
    Object.fromEntries(
      own.map(({ name: call, index, args }) => [
        call,
        [index, call.includes('weights') ? struct([], { ...CHANGED, ...args.fields }) : args] as const,
      ]),
    ),
  );
}

function errorsOf(pallet: string, errors: Record<string, number>) {
  return variant(
    [`pallet_${pallet.toLowerCase()}`, 'pallet', 'Error'],
    Object.fromEntries(Object.entries(errors).map(([name, index]) => [name, [index, none] as const])),
  );
}

function constantsOf(name: PalletName, blockMs: number): [string, Type<unknown>, unknown][] {
  if (name === 'System')
    return [
      ['BlockHashCount', u32, CHAIN_LIMITS.hashes],
      ['SS58Prefix', u16, 42],
    ];
  if (name === 'Timestamp') return [['MinimumPeriod', u64, BigInt(Math.floor(blockMs / 2))]];
  return name === 'Balances' ? [['ExistentialDeposit', u64, EXISTENTIAL_DEPOSIT]] : [];
}

/** Subtensor's own, in their order; the custom ones have no bytes. */
function extensionsOf(types: Registry): V15['extrinsic']['signedExtensions'] {
  const nothing = none.id(types);
  const empty = (name: string) => ({ identifier: name, type: struct(['extensions', name], {}).id(types), additionalSigned: nothing });
  const carrying = (name: string, type: Type<unknown>, signed: number) => ({
    identifier: name,
    type: struct(['extensions', name], { _0: type }).id(types),
    additionalSigned: signed,
  });
  const checked = (name: string, signed: Type<unknown>) => ({ ...empty(name), additionalSigned: signed.id(types) });
  const mode = variant(['frame_metadata_hash_extension', 'Mode'], { Disabled: [0, none], Enabled: [1, none] });
  return [
    empty('CheckNonZeroSender'),
    checked('CheckSpecVersion', u32),
    checked('CheckTxVersion', u32),
    checked('CheckGenesis', hash),
    carrying('CheckMortality', era(), hash.id(types)),
    carrying('CheckNonce', compact(u32), nothing),
    empty('CheckWeight'),
    carrying('ChargeTransactionPayment', compact(u64), nothing),
    empty('SudoTransactionExtension'),
    empty('CheckShieldedTxValidity'),
    empty('SubtensorTransactionExtension'),
    empty('DrandPriority'),
    {
      identifier: 'CheckMetadataHash',
      type: struct(['frame_metadata_hash_extension', 'CheckMetadataHash'], { mode }).id(types),
      additionalSigned: option(fixed(32)).id(types),
    },
  ];
}

function era() {
  const mortal = Array.from({ length: 255 }, (_, i) => [`Mortal${i + 1}`, [i + 1, wrapped(u8)] as const] as const);
  return variant(['sp_runtime', 'generic', 'era', 'Era'], { Immortal: [0, none], ...Object.fromEntries(mortal) });
}

function uncheckedExtrinsic(types: Registry, [address = 0, call = 0, signature = 0, extra = 0]: number[]): number {
  const names = ['Address', 'Call', 'Signature', 'Extra'];
  return types.of('unchecked-extrinsic', () => ({
    path: ['sp_runtime', 'generic', 'unchecked_extrinsic', 'UncheckedExtrinsic'],
    params: [address, call, signature, extra].map((type, i) => ({ name: names[i] ?? '', type })),
    def: { tag: 'composite', value: [{ name: undefined, type: blob.id(types), typeName: undefined, docs: [] }] },
  }));
}

const source = variant(['sp_runtime', 'transaction_validity', 'TransactionSource'], {
  InBlock: [0, none],
  Local: [1, none],
  External: [2, none],
});

const validTransaction = struct(['sp_runtime', 'transaction_validity', 'ValidTransaction'], {
  priority: u64,
  requires: vec(blob),
  provides: vec(blob),
  longevity: u64,
  propagate: bool,
});

const invalidTransaction = variant(['sp_runtime', 'transaction_validity', 'InvalidTransaction'], {
  Call: [0, none],
  Payment: [1, none],
  Future: [2, none],
  Stale: [3, none],
  BadProof: [4, none],
  AncientBirthBlock: [5, none],
  ExhaustsResources: [6, none],
  Custom: [7, wrapped(u8)],
});

const validityError = variant(['sp_runtime', 'transaction_validity', 'TransactionValidityError'], {
  Invalid: [0, wrapped(invalidTransaction)],
  Unknown: [1, wrapped(variant(['sp_runtime', 'transaction_validity', 'UnknownTransaction'], { CannotLookup: [0, none] }))],
});

export const validity = variant(
  ['Result'],
  { Ok: [0, wrapped(validTransaction)], Err: [1, wrapped(validityError)] },
  { T: validTransaction, E: validityError },
);

function apisOf(types: Registry, extrinsic: number): V15['apis'] {
  const input = (name: string, type: Type<unknown>) => ({ name, type: type.id(types) });
  const method = (name: string, inputs: { name: string; type: number }[], output: Type<unknown>) => ({
    name,
    inputs,
    output: output.id(types),
    docs: [],
  });
  const opaque = struct(['sp_core', 'OpaqueMetadata'], { _0: blob });
  return [
    {
      name: 'Metadata',
      docs: [],
      methods: [
        method('metadata', [], opaque),
        method('metadata_at_version', [input('version', u32)], option(opaque)),
        method('metadata_versions', [], vec(u32)),
      ],
    },
    {
      name: 'TaggedTransactionQueue',
      docs: [],
      methods: [
        method('validate_transaction', [input('source', source), { name: 'tx', type: extrinsic }, input('block_hash', hash)], validity),
      ],
    },
    { name: 'AccountNonceApi', docs: [], methods: [method('account_nonce', [input('account', account)], u32)] },
    { name: 'SubnetInfoRuntimeApi', docs: [], methods: [method('get_subnet_state', [input('netuid', u16)], option(subnetState))] },
  ];
}
