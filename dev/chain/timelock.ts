/** Opens timelocked commits (version 4): the other side of what validators encrypt, with the signature of the round that they named. */
import { createDecipheriv, createHash } from 'node:crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { blob, decode, Reader, u16, u64, struct, vec, type Of } from './scale.ts';

const payload = struct([], { hotkey: blob, uids: vec(u16), values: vec(u16), version_key: u64 });
export type Hidden = Of<typeof payload>;

const TAG = 16;

/** Null for whatever cannot be opened: the chain drops it without a word. `signature`: of the round, hex. */
export function openCommit(commit: Uint8Array, signature: string): Hidden | null {
  try {
    return decode(payload, decrypted(commit, signature));
  } catch {
    return null;
  }
}

/** `U | len V | len W | len body (len text ‖ tag, len nonce, nonce, "AES_GCM_")`; lengths are 8 bytes, little-endian. */
function decrypted(commit: Uint8Array, signature: string): Uint8Array {
  const from = new Reader(commit);
  const u = from.take(96);
  const [v, w, body] = [counted(from), counted(from), new Reader(counted(from))];
  const text = counted(body);
  const nonce = counted(body);
  const shared = bls12_381.pairing(bls12_381.G1.Point.fromHex(signature), bls12_381.G2.Point.fromHex(Buffer.from(u).toString('hex')));
  const sigma = xor(v, sha256(serialised(shared)));
  const key = xor(w, sha256(sigma));
  const cipher = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(text.subarray(-TAG));
  return Buffer.concat([cipher.update(text.subarray(0, -TAG)), cipher.final()]);
}

function counted(from: Reader): Uint8Array {
  const length = from.uint(8);
  if (length > BigInt(from.left())) throw new Error('cut off');
  return from.take(Number(length));
}

type Fp12 = ReturnType<typeof bls12_381.pairing>;

/** Twelve coordinates of 48 bytes, little-endian, in the order of the tower. */
function serialised({ c0, c1 }: Fp12): Uint8Array {
  const coordinates = [c0, c1].flatMap((six) => [six.c0, six.c1, six.c2]).flatMap((two) => [two.c0, two.c1]);
  return Buffer.concat(coordinates.map((value) => Buffer.from(value.toString(16).padStart(96, '0'), 'hex').reverse()));
}

function sha256(of: Uint8Array): Buffer {
  return createHash('sha256').update(of).digest();
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== b.length) throw new Error('of different length');
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
