/** A miner's hotkey: its public address, and a way to sign that never hands the secret out. */
import { readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { getPublicKey, secretFromSeed, sign as signSr25519 } from '@scure/sr25519';
import { keyfileText, secretOfKeyfile } from './keyfile.ts';
import { encodeAddress } from './ss58.ts';

/** The secret is private to the object, so printing a hotkey shows its address only. */
export class Hotkey {
  readonly ss58: string;
  readonly #secret: Uint8Array;
  constructor(secret: Uint8Array) {
    this.#secret = secret;
    this.ss58 = encodeAddress(getPublicKey(secret));
  }
  /** sr25519 over the UTF-8 bytes of the text: 128 hex digits. Two signatures of one text differ. */
  sign(text: string): string {
    return Buffer.from(signSr25519(this.#secret, new TextEncoder().encode(text))).toString('hex');
  }
}

/** The file cannot be used as a hotkey; the message says why and never holds any of it. */
export class KeyfileError extends Error {
  override readonly name = 'KeyfileError';
}

/** Reads a Bittensor keyfile. Throws `KeyfileError`. */
export function loadHotkey(file: string): Hotkey {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new KeyfileError(`cannot read the hotkey file ${file} (${errorCode(error)})`);
  }
  const read = secretOfKeyfile(text);
  if ('problem' in read) throw new KeyfileError(`${file}: ${read.problem}`);
  return new Hotkey(read.secret);
}

/** Makes a new hotkey in a new file that only its owner can read. Throws `KeyfileError` if the file exists. */
export function createHotkeyFile(file: string): Hotkey {
  const seed = randomBytes(32);
  try {
    writeFileSync(file, keyfileText(seed), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw new KeyfileError(`cannot create the hotkey file ${file} (${errorCode(error)})`);
  }
  return new Hotkey(secretFromSeed(seed));
}

/** The hotkey's signature of a text, 128 hex digits. */
export function sign(hotkey: Hotkey, text: string): string {
  return hotkey.sign(text);
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
