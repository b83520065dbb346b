/**
 * Commits that open by themselves: encrypted to a round of the beacon, readable once its signature is out. Byte for byte what
 * Subtensor reads (crate `tle` of ideal-lab5/timelock at 5416406: BLS12-381, signatures on G1, AES-256-GCM). drand's own
 * `tlock` containers are something else.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { little } from '../../functions/chain/extrinsic.ts';
import { ScaleReader, u64Bytes } from '../../functions/chain/scale.ts';

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';
const SUITE = 'AES_GCM_';

/** Fresh random bytes: 32, 32 and 12. Used twice they give the weights away. */
export interface Dice {
  secret: Uint8Array;
  sigma: Uint8Array;
  nonce: Uint8Array;
}

/** `publicKey`: of the beacon, compressed, on G2 (hex). */
export async function encryptTo(
  round: number,
  publicKey: string,
  message: Uint8Array,
  { secret, sigma, nonce }: Dice,
): Promise<Uint8Array> {
  const id = roundId(round);
  const r = bytesToBig(sha256(concatBytes(sigma, secret))) % bls12_381.fields.Fr.ORDER;
  const u = bls12_381.G2.Point.BASE.multiply(r).toBytes();
  const point = bls12_381.G1.hashToCurve(id, { DST }) as InstanceType<typeof bls12_381.G1.Point>;
  const shared = bls12_381.pairing(point.multiply(r), bls12_381.G2.Point.fromHex(publicKey));
  const v = xor(sigma, sha256(fieldBytes(shared)));
  const w = xor(secret, sha256(sigma));
  const sealed = await aes('encrypt', secret, nonce, message);
  const body = concatBytes(sized(sealed), sized(nonce));
  return concatBytes(u, sized(v), sized(w), sized(body), sized(utf8ToBytes(SUITE)));
}

/** `signature`: of the round it was encrypted to, compressed, on G1 (hex). Throws where it does not open. */
export async function decryptWith(signature: string, ciphertext: Uint8Array): Promise<Uint8Array> {
  const r = new ScaleReader(ciphertext, 'a ciphertext');
  const next = () => r.bytes(Number(r.u64()));
  const u = bls12_381.G2.Point.fromHex(bytesToHex(r.bytes(96)));
  const [v, w] = [next(), next()];
  r.u64();
  const [sealed, nonce] = [next(), next()];
  const shared = bls12_381.pairing(bls12_381.G1.Point.fromHex(signature), u);
  const sigma = xor(v, sha256(fieldBytes(shared)));
  return aes('decrypt', xor(w, sha256(sigma)), nonce, sealed);
}

/** What a beacon signs for a round. */
function roundId(round: number): Uint8Array {
  return sha256(little(BigInt(round), 8).toReversed());
}

type Field = ReturnType<typeof bls12_381.pairing>;

/** As arkworks writes it: twelve coordinates, each 48 bytes, little-endian. */
function fieldBytes({ c0, c1 }: Field): Uint8Array {
  const coordinates = [c0, c1].flatMap((half) => [half.c0, half.c1, half.c2]).flatMap(({ c0: re, c1: im }) => [re, im]);
  return concatBytes(...coordinates.map((value) => little(value, 48)));
}

async function aes(way: 'encrypt' | 'decrypt', secret: Uint8Array, iv: Uint8Array, data: Uint8Array): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey('raw', new Uint8Array(secret), 'AES-GCM', false, [way]);
  return new Uint8Array(await crypto.subtle[way]({ name: 'AES-GCM', iv: new Uint8Array(iv) }, key, new Uint8Array(data)));
}

function sized(bytes: Uint8Array): Uint8Array {
  return concatBytes(u64Bytes(BigInt(bytes.length)), bytes);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}

function bytesToBig(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes)}`);
}
