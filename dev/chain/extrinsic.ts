/** Extrinsics of version 4 out of their bytes: what was signed, by whom, for how long; and all that the pool checks. */
import { blake2b } from '@noble/hashes/blake2.js';
import { verify } from '@scure/sr25519';
import { decodeAddress, encodeAddress } from '../../miner-agent/identity/ss58.ts';
import { bindCall, EXISTENTIAL_DEPOSIT, FEE, type Bound } from './calls.ts';
import { compactBytes, encode, hash, option, readCompact, Reader, u32, Undecodable } from './scale.ts';
import { ITEMS, type State } from './state.ts';

export interface Extrinsic {
  /** blake2b-256 of all its bytes. */
  hash: Uint8Array;
  bytes: Uint8Array;
  who: string;
  signature: Uint8Array;
  era: Era;
  nonce: number;
  tip: bigint;
  /** As they stand in the extrinsic; both are signed. */
  extra: Uint8Array;
  callBytes: Uint8Array;
  call: Bound;
}

/** How long it may be included; null: for ever. */
export type Era = { period: number; phase: number } | null;

/** Why the pool or a block does not take it, as nodes name it. */
export type Invalidity =
  | { kind: 'Call' | 'Payment' | 'Future' | 'Stale' | 'BadProof' | 'AncientBirthBlock' }
  | { kind: 'Custom'; code: number };

const SIGNED_V4 = 0x84;
const LONGEST = 65_536;

/** Throws `Undecodable`. */
export function openExtrinsic(bytes: Uint8Array): Extrinsic {
  if (bytes.length > LONGEST) throw new Undecodable('it is too long');
  const all = new Reader(bytes);
  if (readCompact(all) !== BigInt(all.left())) throw new Undecodable('its length is not what it says');
  const body = all.rest();
  const from = new Reader(body);
  if (from.uint(1) !== BigInt(SIGNED_V4)) throw new Undecodable('it is not signed, or of another version');
  if (from.uint(1) !== 0n) throw new Undecodable('the signer is no account id');
  const who = encodeAddress(from.take(32));
  if (from.uint(1) !== 1n) throw new Undecodable('the signature is not sr25519');
  const signature = from.take(64);
  const start = body.length - from.left();
  const era = readEra(from);
  const [nonce, tip] = [Number(readCompact(from)), readCompact(from)];
  if (from.uint(1) !== 0n) throw new Undecodable('it wants the hash of the metadata checked');
  const extra = body.subarray(start, body.length - from.left());
  const callBytes = from.rest();
  const call = bindCall(callBytes);
  if (call === null) throw new Undecodable('there is no such call');
  return { hash: blake2b(bytes, { dkLen: 32 }), bytes, who, signature, era, nonce, tip, extra, callBytes, call };
}

function readEra(from: Reader): Era {
  const low = Number(from.uint(1));
  if (low === 0) return null;
  const encoded = low | (Number(from.uint(1)) << 8);
  const period = 2 << (encoded & 15);
  const phase = (encoded >> 4) * Math.max(1, period >> 12);
  if (period < 4 || phase >= period) throw new Undecodable('an era that there is not');
  return { period, phase };
}

/** What the extrinsic would be included on. */
export interface On {
  state: State;
  /** Number of the block it would be in. */
  number: number;
  genesis: Uint8Array;
  spec: number;
}

/** Null: it may be included; in the order in which Substrate and Subtensor check. */
export function invalidityOf(extrinsic: Extrinsic, on: On): Invalidity | null {
  const { who, nonce, tip, era, call } = extrinsic;
  const birth = birthHash(era, on);
  if (birth === null) return { kind: 'AncientBirthBlock' };
  if (!isSigned(extrinsic, birth, on)) return { kind: 'BadProof' };
  const { nonce: due, data } = on.state.get(ITEMS.account, who);
  if (nonce < due) return { kind: 'Stale' };
  if (nonce > due) return { kind: 'Future' };
  if (call.paysFee && data.free < FEE + tip + EXISTENTIAL_DEPOSIT) return { kind: 'Payment' };
  const code = call.refusal(on.state, who, on.number);
  return code === null ? null : { kind: 'Custom', code };
}

/** Null where the chain has forgotten that block, or it is yet to come. */
function birthHash(era: Era, { state, number, genesis }: On): Uint8Array | null {
  if (era === null) return genesis;
  const birth = Math.floor((Math.max(number, era.phase) - era.phase) / era.period) * era.period + era.phase;
  const known = birth === 0 ? genesis : state.find(ITEMS.blockHash, birth);
  return known === null || known.every((byte) => byte === 0) ? null : known;
}

function isSigned({ callBytes, extra, signature, who }: Extrinsic, birth: Uint8Array, { spec, genesis }: On): boolean {
  const additional = [...encode(u32, spec), ...encode(u32, TX_VERSION), ...genesis, ...birth, ...encode(option(hash), null)];
  const payload = Uint8Array.from([...callBytes, ...extra, ...additional]);
  try {
    const signed = payload.length > 256 ? blake2b(payload, { dkLen: 32 }) : payload;
    return verify(signed, signature, decodeAddress(who) ?? new Uint8Array(32));
  } catch {
    return false;
  }
}

export const TX_VERSION = 1;

/** The author's own first extrinsic: the time. */
export function timeExtrinsic(nowMs: number): Uint8Array {
  const body = [0x04, 2, 0, ...compactBytes(BigInt(nowMs))];
  return Uint8Array.from([...compactBytes(BigInt(body.length)), ...body]);
}
