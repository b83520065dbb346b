/** Opens what a grant carries for this agent alone. The secrets stay in memory; no error says anything of them. */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { NO_SECRETS, sealInfo, secretsSchema, type Grant, type Secrets } from '#protocol';
import { StartFailed } from '../runtimes/runtime.ts';
import type { SessionKeys } from './session.ts';

/** Bytes of an encapsulated X25519 key. */
const ENCAPSULATED = 32;
const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** `agent`: this agent's id. Throws `StartFailed`. */
export async function secretsOf(
  { sealed, instance }: Pick<Grant, 'sealed' | 'instance'>,
  agent: string,
  keys: SessionKeys,
): Promise<Secrets> {
  if (sealed === undefined) return NO_SECRETS;
  try {
    return secretsSchema.parse(JSON.parse(await unseal(sealed, sealInfo(agent, instance), keys)));
  } catch {
    // The cause would quote what it could not read.
    throw new StartFailed('the secrets of this grant do not open with the key of this agent; the next grant is sealed anew');
  }
}

async function unseal(sealed: string, info: string, keys: SessionKeys): Promise<string> {
  const bytes = new Uint8Array(Buffer.from(sealed, 'base64url'));
  const recipientKey = await suite.kem.importKey('raw', keys.sealSecret().buffer, false);
  const context = { recipientKey, enc: bytes.slice(0, ENCAPSULATED).buffer, info: new TextEncoder().encode(info) };
  return new TextDecoder().decode(await suite.open(context, bytes.slice(ENCAPSULATED).buffer));
}
