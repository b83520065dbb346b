/**
 * What of a keyed request is stored, so that nobody but its caller can use it. Names and prints are MACs of the edge. An
 * answer is sealed (AES-256-GCM) under a key that HKDF-SHA-256 derives from the caller's secret and the Idempotency-Key:
 * neither of them, nor the derived key, is ever on disk.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import { edgeMac, type EdgeSecret } from '../../gate/secrets.ts';

const IV_BYTES = 12;
const encoder = new TextEncoder();

/** Under which the account finds it again. */
export async function nameOf(env: EdgeSecret, account: string, idempotencyKey: string): Promise<string> {
  return bytesToHex(await edgeMac(env, 'replay/name', `${account}\n${idempotencyKey}`));
}

/** What makes two requests the same: who asks, for what, with which body. None of `parts` may hold a line break. */
export async function printOf(env: EdgeSecret, parts: readonly string[], body: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(body)));
  return bytesToHex(await edgeMac(env, 'replay/print', [...parts, bytesToHex(digest)].join('\n')));
}

/** 32 bytes. `secret`: the whole API key, or the edge's word for a hotkey that has no secret here. */
export async function answerKeyOf(secret: string, account: string, idempotencyKey: string): Promise<Uint8Array> {
  const from = await crypto.subtle.importKey('raw', encoder.encode(secret), 'HKDF', false, ['deriveBits']);
  const info = encoder.encode(`ripcord/replay/1\n${account}\n${idempotencyKey}`);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info }, from, 256));
}

/** For a caller that signs with its hotkey: the edge itself could open what it keeps for it. */
export async function hotkeySecret(env: EdgeSecret, account: string): Promise<string> {
  return bytesToHex(await edgeMac(env, 'replay/hotkey', account));
}

/** `bound`: what the answer belongs to; it opens only together with that. */
export async function seal(key: Uint8Array, bound: string, bytes: Uint8Array): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = await crypto.subtle.encrypt(gcm(iv, bound), await aes(key, 'encrypt'), new Uint8Array(bytes));
  const out = new Uint8Array(IV_BYTES + sealed.byteLength);
  out.set(iv);
  out.set(new Uint8Array(sealed), IV_BYTES);
  return out;
}

/** Throws when the key, what it is bound to, or a byte is another. */
export async function open(key: Uint8Array, bound: string, sealed: Uint8Array): Promise<Uint8Array> {
  const iv = new Uint8Array(sealed.subarray(0, IV_BYTES));
  return new Uint8Array(await crypto.subtle.decrypt(gcm(iv, bound), await aes(key, 'decrypt'), new Uint8Array(sealed.subarray(IV_BYTES))));
}

function gcm(iv: Uint8Array<ArrayBuffer>, bound: string) {
  return { name: 'AES-GCM', iv, additionalData: encoder.encode(bound) };
}

function aes(key: Uint8Array, use: 'encrypt' | 'decrypt') {
  return crypto.subtle.importKey('raw', new Uint8Array(key), 'AES-GCM', false, [use]);
}
