/** The id of a checkout, which is also its Idempotency-Key at Stripe. */
import { newCallId } from '../calls/call-id.ts';

/** `by`: the key that asks, or `hotkey`. The same for the same asker and Idempotency-Key, so that who asks again gets the session of before. */
export async function checkoutIdOf(account: string, by: string, idempotencyKey: string | undefined): Promise<string> {
  if (idempotencyKey === undefined) return newCallId(Date.now(), crypto.getRandomValues(new Uint8Array(16)));
  const text = new TextEncoder().encode(`checkout\n${account}\n${by}\n${idempotencyKey}`);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', text)).subarray(0, 16);
  // UUIDv8 (RFC 9562): of our own making.
  digest[6] = 0x80 | ((digest[6] ?? 0) & 0x0f);
  digest[8] = 0x80 | ((digest[8] ?? 0) & 0x3f);
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
