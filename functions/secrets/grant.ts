/** What a grant carries: the secrets of a chute, opened here and sealed for one agent's memory in the same breath. */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { hexToBytes } from '@noble/hashes/utils.js';
import { base64urlnopad } from '@scure/base';
import { LIMITS, registryCredentialSchema, sealInfo, type Secrets } from '#protocol';
import { openSecret, rewrap, type SealedSecret, type SecretKind } from './envelope.ts';
import type { Ring } from './ring.ts';

/** A secret of a chute, as its object keeps it. */
export interface SecretRow {
  kind: SecretKind;
  key: string;
  sealed: SealedSecret;
}

export interface Granted {
  /** Account id of the chute's owner. */
  owner: string;
  chute: string;
  instance: string;
  /** Its id, and the X25519 key of its newest login, hex. */
  agent: string;
  sealKey: string;
}

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const encoder = new TextEncoder();

/** base64url of the encapsulated key and the ciphertext. Throws where a row does not open or the agent's key is none. */
export async function sealForGrant(ring: Ring, rows: readonly SecretRow[], to: Granted): Promise<string> {
  const secrets = await opened(ring, rows, to);
  const recipientPublicKey = await suite.kem.deserializePublicKey(hexToBytes(to.sealKey));
  const info = encoder.encode(sealInfo(to.agent, to.instance));
  const { enc, ct } = await suite.seal({ recipientPublicKey, info }, encoder.encode(JSON.stringify(secrets)));
  const bytes = new Uint8Array(enc.byteLength + ct.byteLength);
  bytes.set(new Uint8Array(enc));
  bytes.set(new Uint8Array(ct), enc.byteLength);
  const sealed = base64urlnopad.encode(bytes);
  if (sealed.length > LIMITS.sealedChars) throw new RangeError('the secrets of this chute do not fit in a grant');
  return sealed;
}

async function opened(ring: Ring, rows: readonly SecretRow[], { owner, chute }: Granted): Promise<Secrets> {
  const texts = await Promise.all(rows.map(({ kind, key, sealed }) => openSecret(ring, { owner, chute, kind, key }, sealed)));
  const of = (kind: SecretKind) => rows.flatMap((row, i) => (row.kind === kind ? [{ key: row.key, text: texts[i] ?? '' }] : []));
  return {
    env: Object.fromEntries(of('env').map(({ key, text }) => [key, text])),
    registries: of('registry').map(({ key, text }) => registryCredentialSchema.parse({ server: key, ...JSON.parse(text) })),
  };
}

/** Bytes that a secret takes of a grant: of its part of the JSON there. */
export function grantBytes(kind: SecretKind, key: string, text: string): number {
  const part =
    kind === 'env' ? `${JSON.stringify(key)}:${JSON.stringify(text)},` : `${JSON.stringify({ server: key, ...JSON.parse(text) })},`;
  return encoder.encode(part).byteLength;
}

/** The rows under the newest key of the ring; null: they are already. */
export async function rewrapped(ring: Ring, rows: readonly SecretRow[], of: { owner: string; chute: string }): Promise<SecretRow[] | null> {
  const fresh = await Promise.all(rows.map((row) => rewrap(ring, { ...of, kind: row.kind, key: row.key }, row.sealed)));
  if (fresh.every((sealed) => sealed === null)) return null;
  return rows.map((row, i) => ({ ...row, sealed: fresh[i] ?? row.sealed }));
}
