/** What the agent signs about one attempt. Pure: the signature is made by who is asked. */
import { receiptText } from '#protocol';
import type { Receipt } from '#protocol';
import type { CallStream } from './call-stream.ts';

export function makeReceipt(stream: CallStream, now: number, sign: (text: string) => string): Receipt {
  const unsigned = {
    attempt: stream.attempt,
    bytes: stream.log.end,
    sha256: stream.hash.hex(),
    ...stream.usage.read(),
    firstByteMs: Math.max(0, (stream.firstByteAt ?? now) - stream.openedAt),
    lastByteMs: Math.max(0, now - stream.openedAt),
  };
  return { ...unsigned, signature: sign(receiptText(unsigned)) };
}
