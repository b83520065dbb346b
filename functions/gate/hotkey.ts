/** Hotkey signatures (sr25519, context "substrate"): one function, and what a signed HTTP request must carry. */
import { hexToBytes } from '@noble/hashes/utils.js';
import { sr25519Verify } from '@polkadot/util-crypto/sr25519/verify';
import { SIGNED_HEADERS, requestText } from '#protocol/hello.ts';
import { RipcordError } from '../errors.ts';
import { decodeSs58 } from './ss58.ts';
import { SIGNATURE_WINDOW_MS } from './windows.ts';

const encoder = new TextEncoder();

/** Whether this hotkey (ss58, prefix 42) signed exactly this text. False for anything malformed; never throws. */
export function verifyHotkey(text: string, signatureHex: string, ss58: string): boolean {
  const digits = /^(?:0x)?([0-9a-f]{128})$/.exec(signatureHex)?.[1];
  const publicKey = decodeSs58(ss58);
  if (digits === undefined || publicKey === null) return false;
  try {
    return sr25519Verify(encoder.encode(text), hexToBytes(digits), publicKey);
  } catch {
    return false; // the library throws on bytes that are no curve point
  }
}

/** The curve's tables are built by the first verification; better at start-up than in the first request. */
verifyHotkey(
  'ripcord',
  'b4ee1c974d121bbaa31a024294b9e3e51b3066c2f40d656b15c0337e1d9be6551e65e8fa89f684e17b50afae302535693b5a0cf48426f29a37c0b6ba86b2f789',
  '5EsNLFaGe9XK5LzWH3i6eC2Wqv6YqZS1442N1C4yeSdP6uxy',
);

/** A request as it arrived; `origin` is the edge's own, never what the client says. */
export interface SignedRequest {
  origin: string;
  method: string;
  /** Path and query. */
  target: string;
  body: Uint8Array;
  header(name: string): string | undefined;
}

/**
 * Who signed this request. The nonce is still to be spent. Cheap checks come before the costly one. Throws
 * `invalid_signature`.
 */
export async function checkSigned(request: SignedRequest, nowMs: number): Promise<{ hotkey: string; nonce: string }> {
  const hotkey = request.header(SIGNED_HEADERS.hotkey) ?? '';
  const timestamp = request.header(SIGNED_HEADERS.timestamp) ?? '';
  const nonce = request.header(SIGNED_HEADERS.nonce) ?? '';
  const signature = request.header(SIGNED_HEADERS.signature) ?? '';
  if (!/^[1-9][0-9]{12,14}$/.test(timestamp) || !/^[0-9a-f]{32}$/.test(nonce))
    throw refused('Send hotkey, timestamp (ms), nonce (32 hex digits) and signature.');
  if (Math.abs(nowMs - Number(timestamp)) > SIGNATURE_WINDOW_MS)
    throw refused('The timestamp is more than 30 s off; set the clock and sign again.');
  const text = requestText({
    origin: request.origin,
    method: request.method,
    target: request.target,
    bodySha256: await sha256Hex(request.body),
    timestampMs: Number(timestamp),
    nonce,
  });
  if (!verifyHotkey(text, signature, hotkey))
    throw refused('Sign origin, method, path with query, body hash, timestamp and nonce with the hotkey.');
  return { hotkey, nonce };
}

async function sha256Hex(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function refused(hint: string): RipcordError {
  return new RipcordError('invalid_signature', { hint });
}
