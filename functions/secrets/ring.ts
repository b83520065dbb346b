/**
 * The keys that wrap secrets at rest, newest first: those of SECRETS_KEYS, then the one derived from EDGE_SECRET, which an
 * edge without SECRETS_KEYS uses. The first wraps, all of them open: a key is retired by putting another before it.
 */
import { hexToBytes } from '@noble/hashes/utils.js';
import { edgeMac, type EdgeSecret } from '../gate/secrets.ts';

export interface RingEnv extends EdgeSecret {
  /** `id:64 hex digits`, comma separated, newest first. */
  SECRETS_KEYS?: string;
}

export type AesKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

export interface RingKey {
  id: string;
  key: AesKey;
}

/** Never empty. */
export type Ring = readonly [RingKey, ...RingKey[]];

/** The id of the derived key. */
const DERIVED = 'edge';
const ENTRY = /^([a-z0-9-]{1,32}):([0-9a-f]{64})$/;

/** Null: it is not written as it should be, or an id stands there twice. */
export function parseKeys(text: string | undefined): { id: string; hex: string }[] | null {
  const entries = (text ?? '') === '' ? [] : (text ?? '').split(',').map((entry) => ENTRY.exec(entry.trim()));
  const keys = entries.flatMap((found) => (found === null ? [] : [{ id: found[1] ?? '', hex: found[2] ?? '' }]));
  const ids = new Set([DERIVED, ...keys.map(({ id }) => id)]);
  return keys.length === entries.length && ids.size === keys.length + 1 ? keys : null;
}

/** Imported keys by their bytes; never promises, which one request may not await for another under workerd. */
const imported = new Map<string, AesKey>();

export async function ringOf(env: RingEnv): Promise<Ring> {
  const configured = await Promise.all((parseKeys(env.SECRETS_KEYS) ?? []).map(async ({ id, hex }) => ({ id, key: await aesKey(hex) })));
  const derived = { id: DERIVED, key: await derivedKey(env) };
  const [newest, ...older] = configured;
  return newest === undefined ? [derived] : [newest, ...older, derived];
}

async function derivedKey(env: EdgeSecret): Promise<AesKey> {
  const name = `edge ${env.EDGE_SECRET}`;
  const known = imported.get(name) ?? (await importAes(await edgeMac(env, 'secrets/wrap', '1')));
  imported.set(name, known);
  return known;
}

async function aesKey(hex: string): Promise<AesKey> {
  const known = imported.get(hex) ?? (await importAes(hexToBytes(hex)));
  imported.set(hex, known);
  return known;
}

export function importAes(bytes: Uint8Array): Promise<AesKey> {
  return crypto.subtle.importKey('raw', new Uint8Array(bytes), 'AES-GCM', false, ['encrypt', 'decrypt']);
}
