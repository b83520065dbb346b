/** Bytes that both the program and the test can name without sending them: any part of them can be checked alone. */
import { createHash } from 'node:crypto';

/** Byte `at` is a function of `at` alone, and no short run of them repeats. */
export function knownBytes(from: number, to: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(to - from);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul((from + i) ^ ((from + i) >>> 7), 0x9e3779b1) >>> 24;
  return bytes;
}

/** Event `k` of a stream: its number, and `pad` characters. */
export function knownEvent(k: number, pad = 40): string {
  return `data: ${JSON.stringify({
    k,
    pad: createHash('sha256')
      .update(String(k))
      .digest('hex')
      .repeat(Math.ceil(pad / 64))
      .slice(0, pad),
  })}\n\n`;
}

export function knownEvents(count: number, pad = 40): string {
  return `${Array.from({ length: count }, (_, k) => knownEvent(k, pad)).join('')}data: [DONE]\n\n`;
}
