/**
 * Keys of one run of the agent: Ed25519 signs receipts, X25519 is what secrets are sealed to. They outlive reconnects, so
 * a receipt signed before one is still good after it; the hotkey vouches for them anew at every login.
 */
import { generateKeyPairSync, sign as signBytes } from 'node:crypto';

export interface SessionKeys {
  /** 64 hex digits. */
  sessionKey: string;
  sealKey: string;
  /** Ed25519 over the UTF-8 text, base64url. */
  sign: (text: string) => string;
  /** The 32 bytes that open what is sealed to `sealKey`; a function, so that keys that are printed do not show it. */
  sealSecret: () => Uint8Array<ArrayBuffer>;
}

export function makeSessionKeys(): SessionKeys {
  const ed = generateKeyPairSync('ed25519');
  const x = generateKeyPairSync('x25519');
  return {
    sessionKey: rawHex(ed.publicKey.export({ format: 'jwk' }).x),
    sealKey: rawHex(x.publicKey.export({ format: 'jwk' }).x),
    sign: (text) => signBytes(null, Buffer.from(text), ed.privateKey).toString('base64url'),
    sealSecret: () => new Uint8Array(Buffer.from(x.privateKey.export({ format: 'jwk' }).d ?? '', 'base64url')),
  };
}

function rawHex(x: string | undefined): string {
  return Buffer.from(x ?? '', 'base64url').toString('hex');
}
