/**
 * API keys: `rip_{account}{key}_{secret}{check}{crc}`.
 *
 *   account, key   the ids without their prefix, 24 characters each: where to look the key up
 *   secret         43 characters base62, 256 random bits
 *   check          8 characters of a MAC of the edge over all before: a made-up key costs nobody a look-up
 *   crc            CRC-32 of all before, 6 characters base62: a scanner of leaked secrets has no false hits
 *
 * One HMAC-SHA-512 gives both `check` (its first bytes) and the proof (its last 32 bytes) that is kept in place of the
 * secret.
 */
import { base32crockford } from '@scure/base';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { KeyClaim } from '../calls/ports.ts';
import { RipcordError } from '../errors.ts';
import { sameText } from './constant-time.ts';
import { makeId } from './ids.ts';
import { edgeMac, type EdgeSecret } from './secrets.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const SECRET_CHARS = 43;
const CRC_CHARS = 6;

/** What a scanner of leaked secrets looks for. */
export const KEY_FORM = /^rip_([0-9a-z]{24})([0-9a-z]{24})_([0-9A-Za-z]{43})([0-9a-z]{8})([0-9A-Za-z]{6})$/;

export interface MintedKey {
  /** The id, `key_…`. */
  key: string;
  /** The whole key, shown once and kept nowhere. */
  secretKey: string;
  /** What the account keeps. */
  proof: string;
}

/** A new key of this account. */
export async function mintKey(account: string, env: EdgeSecret): Promise<MintedKey> {
  const key = await makeId('key', env);
  const open = `rip_${account.slice(4)}${key.slice(4)}_${randomBase62(SECRET_CHARS)}`;
  const { check, proof } = await sealOf(open, env);
  return { key, secretKey: open + check + crcOf(open + check), proof };
}

/**
 * The claim of an `Authorization` header, its form, checksum and MAC checked with no I/O; whether the key lives is the
 * Account object's to say. Throws `invalid_api_key`.
 */
export async function parseKey(header: string | null | undefined, env: EdgeSecret): Promise<KeyClaim> {
  const text = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
  if (text === undefined) throw refused('Send the key as "Authorization: Bearer rip_…".');
  const known = passed.get(`${env.EDGE_SECRET} ${text}`);
  if (known !== undefined) return known;
  const parts = KEY_FORM.exec(text);
  if (parts === null || crcOf(text.slice(0, -CRC_CHARS)) !== parts[5]) throw refused('The key is cut or mistyped; copy it again.');
  const { check, proof } = await sealOf(text.slice(0, -CRC_CHARS - 8), env);
  if (!sameText(check, parts[4] ?? '')) throw refused('This key is not of this service.');
  const claim = { account: `acc_${parts[1]}`, key: `key_${parts[2]}`, proof };
  if (passed.size >= REMEMBERED) passed.clear();
  passed.set(`${env.EDGE_SECRET} ${text}`, claim);
  return claim;
}

/** Keys whose form and MAC were found right, per isolate. It says nothing of whether they live, so it cannot go stale. */
const passed = new Map<string, KeyClaim>();
const REMEMBERED = 5_000;

function refused(hint: string): RipcordError {
  return new RipcordError('invalid_api_key', { hint });
}

async function sealOf(open: string, env: EdgeSecret): Promise<{ check: string; proof: string }> {
  const mac = await edgeMac(env, 'key', open, 'SHA-512');
  return { check: base32crockford.encode(mac.subarray(0, 5)).toLowerCase(), proof: bytesToHex(mac.subarray(32)) };
}

/** Uniform: bytes of 248 and more, which would favour the first digits, are thrown away. */
function randomBase62(chars: number): string {
  let out = '';
  while (out.length < chars) {
    for (const byte of crypto.getRandomValues(new Uint8Array(64))) {
      if (byte < 248 && out.length < chars) out += BASE62[byte % 62];
    }
  }
  return out;
}

function crcOf(text: string): string {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++) crc = (CRC_TABLE[(crc ^ text.charCodeAt(i)) & 0xff] ?? 0) ^ (crc >>> 8);
  let rest = (crc ^ 0xffffffff) >>> 0;
  let out = '';
  for (let i = 0; i < CRC_CHARS; i++) {
    out = BASE62[rest % 62] + out;
    rest = Math.floor(rest / 62);
  }
  return out;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
