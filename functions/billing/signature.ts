/** Stripe's signature of a webhook: `Stripe-Signature: t=<Unix seconds>,v1=<hex>[,v1=…]`, HMAC-SHA-256 over `{t}.{body}`. */

/** Seconds a signature is good for, before and after its time. */
export const TOLERANCE_S = 300;

const BOUNDS = {
  /** Characters of the header. */
  header: 2_048,
  /** Signatures that are tried: there are two while a secret is being replaced. */
  signatures: 8,
} as const;

const encoder = new TextEncoder();

/** Whether one of the signatures is that of exactly these bytes, by this secret, now. Never throws. */
export async function isSignedByStripe(
  header: string | undefined,
  body: Uint8Array<ArrayBuffer>,
  secret: string,
  nowMs: number,
): Promise<boolean> {
  const parsed = parseHeader(header ?? '');
  if (parsed === null || Math.abs(nowMs / 1000 - Number(parsed.t)) > TOLERANCE_S) return false;
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  const text = concat(encoder.encode(`${parsed.t}.`), body);
  // `verify` compares in constant time.
  const each = await Promise.all(parsed.signatures.map((signature) => crypto.subtle.verify('HMAC', key, signature, text)));
  return each.includes(true);
}

function parseHeader(header: string): { t: string; signatures: Uint8Array<ArrayBuffer>[] } | null {
  if (header.length > BOUNDS.header) return null;
  const fields = header.split(',').map((field) => field.trim().split('=', 2));
  const times = fields.filter(([name]) => name === 't').map(([, value]) => value ?? '');
  const signatures = fields.filter(([name, value]) => name === 'v1' && /^[0-9a-f]{64}$/.test(value ?? '')).map(([, value]) => value ?? '');
  const [t] = times;
  if (t === undefined || times.length > 1 || !/^\d{1,12}$/.test(t) || signatures.length === 0) return null;
  return { t, signatures: signatures.slice(0, BOUNDS.signatures).map(fromHex) };
}

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
