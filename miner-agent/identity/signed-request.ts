/** Headers that prove an HTTP request comes from a hotkey; good once, for half a minute. */
import { createHash, randomBytes } from 'node:crypto';
import { SIGNED_HEADERS, requestText } from '#protocol';
import type { Hotkey } from './hotkey.ts';

export interface RequestToSign {
  /** The edge's origin, without a slash at the end. */
  origin: string;
  method: string;
  /** Path and query. */
  target: string;
  /** The raw bytes that will be sent. */
  body?: Uint8Array | string;
}

/** The four headers of `SIGNED_HEADERS` for this request. */
export function signedHeaders(hotkey: Hotkey, request: RequestToSign, timestampMs = Date.now()): Record<string, string> {
  const nonce = randomBytes(16).toString('hex');
  const bodySha256 = createHash('sha256')
    .update(request.body ?? '')
    .digest('hex');
  const text = requestText({ origin: request.origin, method: request.method, target: request.target, bodySha256, timestampMs, nonce });
  return {
    [SIGNED_HEADERS.hotkey]: hotkey.ss58,
    [SIGNED_HEADERS.timestamp]: String(timestampMs),
    [SIGNED_HEADERS.nonce]: nonce,
    [SIGNED_HEADERS.signature]: hotkey.sign(text),
  };
}
