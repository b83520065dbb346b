/** The judge's hotkey: made from its seed, which signs requests to the edge and extrinsics of the chain. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { getPublicKey, secretFromSeed, sign } from '@scure/sr25519';
import { requestText, SIGNED_HEADERS } from '#protocol/hello.ts';
import { encodeSs58 } from '../functions/gate/ss58.ts';

export interface Hotkey {
  ss58: string;
  /** sr25519 over the text, hex. */
  sign: (text: string) => string;
  /** Of an extrinsic's bytes. */
  signBytes: (bytes: Uint8Array) => Uint8Array;
  publicKey: Uint8Array;
  /** Another secret of the judge, for one use; 64 hex digits. */
  secretFor: (use: string) => string;
}

/** The secret lives in the closure, so printing a `Hotkey` shows no more than its address. */
export function hotkeyFromSeed(seedHex: string): Hotkey {
  const seed = hexToBytes(seedHex.replace(/^0x/i, ''));
  const secret = secretFromSeed(seed);
  const publicKey = getPublicKey(secret);
  return {
    ss58: encodeSs58(publicKey),
    publicKey,
    sign: (text) => bytesToHex(sign(secret, utf8ToBytes(text))),
    signBytes: (bytes) => sign(secret, bytes),
    secretFor: (use) => bytesToHex(hmac(sha256, seed, utf8ToBytes(`judge/${use}`))),
  };
}

/** The headers that sign one request. `nonceHex` is 16 random bytes and good once. */
export function signedHeaders(
  hotkey: Hotkey,
  r: { origin: string; method: string; target: string; body: Uint8Array; timestampMs: number; nonceHex: string },
): Record<string, string> {
  const text = requestText({ ...r, bodySha256: bytesToHex(sha256(r.body)), nonce: r.nonceHex });
  return {
    [SIGNED_HEADERS.hotkey]: hotkey.ss58,
    [SIGNED_HEADERS.timestamp]: String(r.timestampMs),
    [SIGNED_HEADERS.nonce]: r.nonceHex,
    [SIGNED_HEADERS.signature]: hotkey.sign(text),
  };
}
