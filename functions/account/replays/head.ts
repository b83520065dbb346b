/** An answer as bytes: one line of JSON (its status and headers, or the error that it is), then its body. Pure. */
import type { ErrorCode, ErrorDetail } from '../../errors.ts';

export type Head = { status: number; headers: [string, string][] } | { error: ErrorCode; detail: ErrorDetail };

const NEWLINE = 10;

export function headBytes(head: Head): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(head, bigintOut)}\n`);
}

/** Null: the line is not complete yet. */
export function splitHead(bytes: Uint8Array): { head: Head; body: Uint8Array } | null {
  const end = bytes.indexOf(NEWLINE);
  if (end < 0) return null;
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)), bigintIn) as Head;
  return { head, body: bytes.subarray(end + 1) };
}

/** Amounts of a refusal are bigints. */
function bigintOut(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { bigint: value.toString() } : value;
}

function bigintIn(_: string, value: unknown): unknown {
  const text = typeof value === 'object' && value !== null && 'bigint' in value ? value.bigint : null;
  return typeof text === 'string' ? BigInt(text) : value;
}
