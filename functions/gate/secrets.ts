/** Keys of the edge: each is derived from EDGE_SECRET by a label, so that none of them tells anything of another. */
import { hexToBytes } from '@noble/hashes/utils.js';

/** The part of `Env` that this folder needs. */
export interface EdgeSecret {
  EDGE_SECRET: string;
}

type HmacKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

const encoder = new TextEncoder();

/** Holds keys, never promises: a promise of one request must not be awaited by another under workerd. */
const derived = new Map<string, HmacKey>();

/** An HMAC over `text` by the edge's key of this label: 32 bytes (SHA-256) or 64 (SHA-512). */
export async function edgeMac(env: EdgeSecret, label: string, text: string, hash: 'SHA-256' | 'SHA-512' = 'SHA-256'): Promise<Uint8Array> {
  const key = await edgeKey(env, label, hash);
  return new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(text)));
}

async function edgeKey(env: EdgeSecret, label: string, hash: string): Promise<HmacKey> {
  const name = `${hash} ${label} ${env.EDGE_SECRET}`;
  const known = derived.get(name);
  if (known !== undefined) return known;
  const root = await importHmac(hexToBytes(env.EDGE_SECRET), 'SHA-256');
  const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', root, encoder.encode(`ripcord/${label}`)));
  const key = await importHmac(bytes, hash);
  derived.set(name, key);
  return key;
}

function importHmac(bytes: Uint8Array, hash: string): Promise<HmacKey> {
  return crypto.subtle.importKey('raw', new Uint8Array(bytes), { name: 'HMAC', hash }, false, ['sign']);
}
