/**
 * Whether a runtime still has the shape that is read and signed here: held against its own description once per runtime. A
 * call whose arguments moved would be signed as something else, so what is not exactly as it is known is not signed.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { getLookupFn, type LookupEntry, type Var } from '@polkadot-api/metadata-builders';
import { decAnyMetadata, unifyMetadata, type UnifiedMetadata } from '@polkadot-api/substrate-bindings';
import * as z from 'zod/mini';
import { CALLS } from './calls.ts';
import { ChainError } from './rpc.ts';
import { ScaleReader } from './scale.ts';
import { STORAGE } from './storage.ts';
import { SUBNET_STATE } from './subnet.ts';

export interface Shape {
  /** What is not as it is known, in words; none: it may be signed for. */
  faults: string[];
  /** Milliseconds between two blocks; 0 where the runtime does not say. */
  blockMs: number;
}

/** Extensions that put bytes into an extrinsic or into what is signed, in their order. All others must be empty. */
const EXTENSIONS = [
  'CheckSpecVersion  u32',
  'CheckTxVersion  u32',
  'CheckGenesis  [u8;32]',
  'CheckMortality era [u8;32]',
  'CheckNonce c<u32> ',
  'ChargeTransactionPayment c<u64> ',
  'CheckMetadataHash Disabled ?[u8;32]',
];

/** Names what is known here: a shape that was found good is good for code that knows the same. */
export const KNOWN = bytesToHex(sha256(utf8ToBytes(JSON.stringify([STORAGE, CALLS, SUBNET_STATE, EXTENSIONS]))));

/** Throws `ChainError` (`malformed`) where the metadata cannot be read at all. */
export function shapeOf(metadata: Uint8Array): Shape {
  const unified = understood(metadata);
  const types = getLookupFn(unified);
  const text = (id: number | undefined) => (id === undefined ? 'absent' : typeText(types(id)));
  return {
    faults: [
      ...storageFaults(unified, text),
      ...callFaults(unified, types),
      ...apiFaults(unified, types),
      ...extrinsicFaults(unified, types),
    ],
    blockMs: blockMsOf(unified),
  };
}

function understood(metadata: Uint8Array): UnifiedMetadata {
  try {
    // The library reads whole buffers, whatever part of one an array shows: so it gets a copy.
    return unifyMetadata(decAnyMetadata(metadata.slice()));
  } catch {
    throw new ChainError('malformed', 'the metadata: not readable');
  }
}

type Types = ReturnType<typeof getLookupFn>;

function storageFaults({ pallets }: UnifiedMetadata, text: (id: number | undefined) => string): string[] {
  return Object.entries(STORAGE).flatMap(([name, { pallet, hashers, type }]) => {
    const found = pallets.find((p) => p.name === pallet)?.storage?.items.find((item) => item.name === name)?.type;
    const due = `${hashers.join(',')} ${type}`;
    if (found === undefined) return [`${pallet}.${name}: there is none`];
    const given =
      found.tag === 'plain' ? ` ${text(found.value)}` : `${found.value.hashers.map((h) => h.tag).join(',')} ${text(found.value.value)}`;
    return given === due ? [] : [`${pallet}.${name}: ${given}, known is ${due}`];
  });
}

function callFaults({ pallets }: UnifiedMetadata, types: Types): string[] {
  const pallet = pallets.find((p) => p.name === 'SubtensorModule');
  const calls = pallet?.calls === undefined ? null : types(pallet.calls.type);
  return Object.entries(CALLS).flatMap(([name, due]) => {
    const call = calls?.type === 'enum' ? calls.value[name] : undefined;
    if (call === undefined) return [`call ${name}: there is none`];
    const args = call.type === 'struct' ? Object.entries(call.value).map(([arg, type]) => `${arg}:${typeText(type)}`) : [call.type];
    const given = `[${pallet?.index},${call.idx}](${args.join(', ')})`;
    const known = `[${due.pallet},${due.call}](${due.args.join(', ')})`;
    return given === known ? [] : [`call ${name}: ${given}, known is ${known}`];
  });
}

function apiFaults({ apis }: UnifiedMetadata, types: Types): string[] {
  const method = (api: string, name: string) => apis.find((a) => a.name === api)?.methods.find((m) => m.name === name);
  const faults = method('TaggedTransactionQueue', 'validate_transaction') === undefined ? ['no dry run of extrinsics'] : [];
  const state = method('SubnetInfoRuntimeApi', 'get_subnet_state');
  if (state === undefined) return [...faults, 'no get_subnet_state'];
  const output = types(state.output);
  const fields =
    output.type === 'option' && output.value.type === 'struct'
      ? Object.entries(output.value.value).map(([name, type]) => `${name}:${typeText(type)}`)
      : [];
  const wrong = SUBNET_STATE.find((due, i) => fields[i] !== due);
  return wrong === undefined
    ? faults
    : [...faults, `get_subnet_state: ${fields[SUBNET_STATE.indexOf(wrong)] ?? 'nothing'}, known is ${wrong}`];
}

function extrinsicFaults({ extrinsic }: UnifiedMetadata, types: Types): string[] {
  const faults: string[] = [];
  if (!extrinsic.version.includes(4)) faults.push(`extrinsics of version ${extrinsic.version.join(', ')}, known is 4`);
  // Metadata older than version 15 does not say how they are written.
  const { address, signature } = 'address' in extrinsic ? extrinsic : {};
  if (variant(types, address, 'Id') !== 0) faults.push('addresses of signers are written in another way');
  if (variant(types, signature, 'Sr25519') !== 1) faults.push('signatures are written in another way');
  const given = (extrinsic.signedExtensions[0] ?? [])
    .map(({ identifier, type, additionalSigned }) => `${identifier} ${extraText(types(type))} ${emptyOr(types(additionalSigned))}`)
    .filter((line) => !line.endsWith('  '));
  if (given.join('\n') !== EXTENSIONS.join('\n')) faults.push(`signed extensions: ${given.join('; ')}`);
  return faults;
}

function variant(types: Types, id: number | undefined, name: string): number | null {
  const type = id === undefined ? null : types(id);
  return type?.type === 'enum' ? (type.value[name]?.idx ?? null) : null;
}

/** Two of them are chosen out of many: what is chosen here is all that matters. */
function extraText(type: Var | LookupEntry): string {
  if (type.type !== 'enum') return emptyOr(type);
  if (type.value['Immortal']?.idx === 0 && type.value['Mortal1']?.idx === 1) return 'era';
  return type.value['Disabled']?.idx === 0 ? 'Disabled' : 'enum';
}

function emptyOr(type: Var | LookupEntry): string {
  const text = typeText(type);
  return text === '()' ? '' : text;
}

/** A type as one line; what is never read here has only its kind. */
function typeText(type: Var | LookupEntry): string {
  switch (type.type) {
    case 'primitive':
      return type.value;
    case 'compact':
      return `c<${type.size}>`;
    case 'AccountId32':
      return '[u8;32]';
    case 'sequence':
      return `[${typeText(type.value)}]`;
    case 'array':
      return `[${typeText(type.value)};${type.len}]`;
    case 'tuple':
      return `(${type.value.map(typeText).join(',')})`;
    case 'option':
      return `?${typeText(type.value)}`;
    case 'void':
      return '()';
    case 'struct':
      return `{${Object.values(type.value).slice(0, 1).map(typeText).join('')},…}`;
    case 'enum':
    case 'result':
    case 'bitSequence':
    case 'AccountId20':
      return type.type;
  }
}

/** The least time between two blocks, which is half of the usual one. */
function blockMsOf({ pallets }: UnifiedMetadata): number {
  const value = pallets.find((p) => p.name === 'Timestamp')?.constants.find((c) => c.name === 'MinimumPeriod')?.value;
  const bytes = constantSchema.safeParse(value);
  if (!bytes.success) return 0;
  return 2 * Number(new ScaleReader(bytes.data, 'a constant').u64());
}

const constantSchema = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-f]{16}$/)),
  z.transform((hex: string) => Uint8Array.from(hex.slice(2).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))),
);
