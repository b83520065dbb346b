/**
 * A secret at rest: AES-256-GCM by a random key of its own, which is wrapped by a key of the ring. Both cover what the
 * secret is of, so that a row that is moved to another account, chute or name opens nowhere.
 */
import { base64urlnopad } from '@scure/base';
import * as z from 'zod/mini';
import { importAes, type AesKey, type Ring } from './ring.ts';

export const secretKind = z.enum(['env', 'registry']);
export type SecretKind = z.infer<typeof secretKind>;

/** What a secret is of. */
export interface SecretOf {
  /** Account id. */
  owner: string;
  chute: string;
  kind: SecretKind;
  /** The variable, or the registry's host. */
  key: string;
}

/** As Postgres and the Chute object keep it: nonce and ciphertext, base64url. */
export const sealedSchema = z.strictObject({
  form: z.literal(1),
  /** The key of the ring that wraps `wrapped`. */
  by: z.string(),
  wrapped: z.string(),
  box: z.string(),
});
export type SealedSecret = z.infer<typeof sealedSchema>;

/** No key of the ring opens it, or it is not what it says: a key was taken from the ring too early, or a row was changed. */
export class Unopened extends Error {
  override readonly name = 'Unopened';
}

const FORM = 1;
const NONCE = 12;

export async function sealSecret(ring: Ring, of: SecretOf, text: string): Promise<SealedSecret> {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const about = aad(of);
  const [newest] = ring;
  return {
    form: FORM,
    by: newest.id,
    wrapped: await encrypt(newest.key, about, key),
    box: await encrypt(await importAes(key), about, utf8(text)),
  };
}

/** Throws `Unopened`. */
export async function openSecret(ring: Ring, of: SecretOf, sealed: SealedSecret): Promise<string> {
  const key = await importAes(await unwrap(ring, of, sealed));
  return new TextDecoder().decode(await decrypt(key, aad(of), sealed.box));
}

/** Under the newest key of the ring; null: it is already. Throws `Unopened`. */
export async function rewrap(ring: Ring, of: SecretOf, sealed: SealedSecret): Promise<SealedSecret | null> {
  const [newest] = ring;
  if (sealed.by === newest.id) return null;
  return { ...sealed, by: newest.id, wrapped: await encrypt(newest.key, aad(of), await unwrap(ring, of, sealed)) };
}

function unwrap(ring: Ring, of: SecretOf, sealed: SealedSecret): Promise<Uint8Array<ArrayBuffer>> {
  const known = ring.find(({ id }) => id === sealed.by);
  if (known === undefined) throw new Unopened(`the key ${sealed.by} is not in the ring`);
  return decrypt(known.key, aad(of), sealed.wrapped);
}

function aad({ owner, chute, kind, key }: SecretOf): Uint8Array<ArrayBuffer> {
  return utf8(['ripcord-secret', FORM, owner, chute, kind, key].join('\n'));
}

async function encrypt(key: AesKey, additionalData: Uint8Array<ArrayBuffer>, data: Uint8Array<ArrayBuffer>): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  const box = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData }, key, data));
  const bytes = new Uint8Array(NONCE + box.byteLength);
  bytes.set(iv);
  bytes.set(box, NONCE);
  return base64urlnopad.encode(bytes);
}

async function decrypt(key: AesKey, additionalData: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const bytes = new Uint8Array(base64urlnopad.decode(text));
    const [iv, box] = [bytes.subarray(0, NONCE), bytes.subarray(NONCE)];
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData }, key, box));
  } catch {
    throw new Unopened('it does not open under its key');
  }
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}
