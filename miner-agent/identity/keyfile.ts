/**
 * Bittensor keyfiles: JSON, all fields optional. The address in the file is the ground truth: whatever key material is
 * there counts only if it leads to that address, because writers disagree about everything else.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { getPublicKey, secretFromSeed } from '@scure/sr25519';
import { encodeAddress } from './ss58.ts';

export type KeyfileRead = { secret: Uint8Array } | { problem: string };

const ENCRYPTED = ['$NACL', '$ANSIBLE_VAULT', 'gAAAAA'];

/** The sr25519 secret (64 bytes, the form @scure/sr25519 takes) of a keyfile's text, or why there is none. */
export function secretOfKeyfile(text: string): KeyfileRead {
  const trimmed = text.trim();
  if (ENCRYPTED.some((tag) => trimmed.startsWith(tag)))
    return { problem: 'the file is encrypted; use an unencrypted hotkey (a hotkey is meant to be one)' };
  const bare = hexBytes(trimmed, 32);
  if (bare !== null) return { secret: secretFromSeed(bare) };
  const fields = parseFields(trimmed);
  if (fields === null) return { problem: 'this is not a Bittensor keyfile (JSON with secretSeed and ss58Address)' };
  if ('encoded' in fields) return { problem: 'this is a polkadot-js export, not a Bittensor keyfile' };
  return secretOfFields(fields);
}

function secretOfFields(fields: Record<string, unknown>): KeyfileRead {
  // Very old files wrote the name of the field with a space in front.
  const address = textOf(fields['ss58Address']) ?? textOf(fields[' ss58Address']);
  const candidates = candidateSecrets(fields);
  if (candidates.length === 0) {
    if (textOf(fields['secretPhrase']) !== null)
      return { problem: 'the file has only a phrase; write it anew with btcli so that it holds secretSeed' };
    return { problem: 'the file holds no secret; it is a public key file' };
  }
  for (const candidate of candidates) {
    if (address === null || addressOf(candidate) === address) return { secret: candidate };
  }
  if (isEd25519(fields, address)) return { problem: 'this is an ed25519 key; Bittensor hotkeys are sr25519' };
  return { problem: 'the secret in the file does not belong to its ss58Address' };
}

/** In order of trust: the seed, then the private key in schnorrkel's own form, then as if already in ed25519's form. */
function candidateSecrets(fields: Record<string, unknown>): Uint8Array[] {
  const candidates: Uint8Array[] = [];
  const seed = hexBytes(fields['secretSeed'], 32);
  if (seed !== null) candidates.push(secretFromSeed(seed));
  const key = hexBytes(fields['privateKey'], 64);
  if (key !== null) candidates.push(shiftScalar(key, 3n), key);
  return candidates;
}

/**
 * Keyfiles hold schnorrkel's canonical scalar, @scure/sr25519 takes it times eight (the form ed25519 keys have). The
 * wrong form gives a wrong public key and no error.
 */
export function shiftScalar(key: Uint8Array, bits: bigint): Uint8Array {
  let scalar = 0n;
  for (let i = 31; i >= 0; i--) scalar = (scalar << 8n) | BigInt(key[i] ?? 0);
  scalar = bits >= 0n ? scalar << bits : scalar >> -bits;
  const out = Uint8Array.from(key);
  for (let i = 0; i < 32; i++) out[i] = Number((scalar >> BigInt(8 * i)) & 0xffn);
  return out;
}

/** What `createHotkeyFile` writes: the fields btcli reads. */
export function keyfileText(seed: Uint8Array): string {
  const secret = secretFromSeed(seed);
  const publicKey = getPublicKey(secret);
  const fields = {
    accountId: `0x${hex(publicKey)}`,
    publicKey: `0x${hex(publicKey)}`,
    privateKey: `0x${hex(shiftScalar(secret, -3n))}`,
    secretPhrase: null,
    secretSeed: `0x${hex(seed)}`,
    ss58Address: encodeAddress(publicKey),
    cryptoType: 1,
  };
  return `${JSON.stringify(fields)}\n`;
}

function isEd25519(fields: Record<string, unknown>, address: string | null): boolean {
  const seed = hexBytes(fields['secretSeed'], 32);
  if (seed === null) return fields['cryptoType'] === 0;
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const jwk = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
  return encodeAddress(Buffer.from(jwk.x ?? '', 'base64url')) === address;
}

function addressOf(secret: Uint8Array): string | null {
  try {
    return encodeAddress(getPublicKey(secret));
  } catch {
    return null;
  }
}

function parseFields(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function hexBytes(value: unknown, length: number): Uint8Array | null {
  if (typeof value !== 'string') return null;
  const digits = value.startsWith('0x') ? value.slice(2) : value;
  return digits.length === 2 * length && /^[0-9a-fA-F]+$/.test(digits) ? Uint8Array.from(Buffer.from(digits, 'hex')) : null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
