/** A signed extrinsic of version 4: mortal, without a tip, without a metadata hash. Layout in `functions/chain/extrinsic.ts`. */
import { blake2b } from '@noble/hashes/blake2.js';
import { concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import { compact, extrinsicHash, little } from '../../functions/chain/extrinsic.ts';
import { blobBytes } from '../../functions/chain/scale.ts';

/** Blocks an extrinsic may be included for; a power of two. What is lost is known to be lost after them. */
export const ERA_BLOCKS = 64;

/** Payloads longer than this are signed by their hash. */
const SIGNED_BYTES = 256;
const TIP = 0n;
const NO_METADATA_HASH = Uint8Array.of(0);

export interface Terms {
  runtime: { spec: number; transaction: number };
  /** `0x…` */
  genesis: string;
  /** A finalized block: the era starts at it. */
  birth: { number: number; hash: string };
  nonce: number;
}

export interface ExtrinsicSigner {
  publicKey: Uint8Array;
  /** sr25519, context `substrate`. */
  signBytes: (bytes: Uint8Array) => Uint8Array;
}

export function signExtrinsic(call: Uint8Array, terms: Terms, signer: ExtrinsicSigner): { bytes: Uint8Array; hash: Uint8Array } {
  const extra = concatBytes(eraBytes(terms.birth.number), compact(BigInt(terms.nonce)), compact(TIP), NO_METADATA_HASH);
  const signature = signer.signBytes(signedBytes(call, extra, terms));
  const body = concatBytes(Uint8Array.of(0x84, 0), signer.publicKey, Uint8Array.of(1), signature, extra, call);
  const bytes = blobBytes(body);
  return { bytes, hash: extrinsicHash(bytes) };
}

/** What is signed: the call, what it travels with, and what both sides know of the chain. */
export function signedBytes(call: Uint8Array, extra: Uint8Array, { runtime, genesis, birth }: Omit<Terms, 'nonce'>): Uint8Array {
  const known = [
    little(BigInt(runtime.spec), 4),
    little(BigInt(runtime.transaction), 4),
    unhex(genesis),
    unhex(birth.hash),
    NO_METADATA_HASH,
  ];
  const all = concatBytes(call, extra, ...known);
  return all.length > SIGNED_BYTES ? blake2b(all, { dkLen: 32 }) : all;
}

/** Mortal, for `period` blocks from this one on. */
export function eraBytes(birth: number, period = ERA_BLOCKS): Uint8Array {
  const quantum = Math.max(1, period >> 12);
  const exponent = Math.min(15, Math.max(1, Math.log2(period) - 1));
  return little(BigInt(exponent | (Math.floor((birth % period) / quantum) << 4)), 2);
}

function unhex(text: string): Uint8Array {
  return hexToBytes(text.slice(2));
}
