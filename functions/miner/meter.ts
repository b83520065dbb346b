/**
 * What was handed on to a client, counted while its frames are parsed. The miner's own claim only ever lowers what it
 * could have earned: tokens ≤ bytes of text + 1 (every token but an end marker adds at least one byte).
 */
import type { Metered } from '../prices/terms.ts';

export interface Meter {
  /** Reply bytes handed on. */
  bytes: number;
  /** Events that carried text. */
  events: number;
  /** UTF-8 bytes of generated text seen. */
  text: number;
  /** The engine's last `usage`, as claimed. */
  claimIn: number | null;
  claimOut: number | null;
  /** Of the input, what its cache had; as claimed. */
  claimCached: number | null;
}

export const emptyMeter = (): Meter => ({ bytes: 0, events: 0, text: 0, claimIn: null, claimOut: null, claimCached: null });

/** Adds what one OpenAI-shaped object (a whole reply or one event) says and carries. */
export function meterObject(meter: Meter, object: Record<string, unknown>): void {
  const text = generatedText(object);
  if (text > 0) {
    meter.text += text;
    meter.events += 1;
  }
  const usage = object['usage'];
  if (!isObject(usage)) return;
  meter.claimIn = count(usage['prompt_tokens']) ?? meter.claimIn;
  meter.claimOut = count(usage['completion_tokens']) ?? meter.claimOut;
  const details = usage['prompt_tokens_details'];
  if (isObject(details)) meter.claimCached = count(details['cached_tokens']) ?? meter.claimCached;
}

/**
 * Tokens to charge for. Without a claim, one per event that carried text. Input is bounded by the request's bytes, output
 * by `paid`, where the reply was ended because no more of it was paid for. `prompt` stands in for the input that an engine
 * never told of, once it wrote text: its stream was left or broke before its usage.
 */
export function meteredTokens(meter: Meter, requestBytes: number, paid = Infinity, prompt: number | null = null): Omit<Metered, 'ms'> {
  const out = meter.claimOut ?? (meter.events > 0 ? meter.events : null);
  const told = meter.claimIn ?? (meter.events > 0 ? prompt : null);
  const tokensIn = told === null ? null : Math.min(told, requestBytes);
  return {
    tokensIn,
    cachedIn: tokensIn === null || meter.claimCached === null ? null : Math.min(meter.claimCached, tokensIn),
    tokensOut: out === null ? null : Math.min(out, meter.text + 1, paid),
  };
}

/** Output tokens handed on, of which the Account is asked for more: never fewer than will be charged. */
export function tokensUsed(meter: Meter): number {
  return Math.max(meter.events, Math.min(meter.claimOut ?? 0, meter.text + 1));
}

/** UTF-8 bytes of text in one OpenAI-shaped object. */
export function generatedText(object: Record<string, unknown>): number {
  const choices = object['choices'];
  if (!Array.isArray(choices)) return 0;
  let bytes = 0;
  for (const choice of choices) {
    if (!isObject(choice)) continue;
    bytes += textBytes(choice['text']);
    for (const part of [choice['delta'], choice['message']]) {
      if (!isObject(part)) continue;
      bytes += textBytes(part['content']) + reasoningBytes(part) + toolBytes(part['tool_calls']);
    }
  }
  return bytes;
}

/** Engines call it by either name, some by both. */
function reasoningBytes(part: Record<string, unknown>): number {
  return Math.max(textBytes(part['reasoning_content']), textBytes(part['reasoning']));
}

function toolBytes(calls: unknown): number {
  if (!Array.isArray(calls)) return 0;
  let bytes = 0;
  for (const call of calls) {
    if (isObject(call) && isObject(call['function']))
      bytes += textBytes(call['function']['arguments']) + textBytes(call['function']['name']);
  }
  return bytes;
}

/** UTF-8 length without encoding. */
function textBytes(text: unknown): number {
  if (typeof text !== 'string') return 0;
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) bytes += unit > 0x7ff ? (unit >= 0xd800 && unit <= 0xdfff ? 1 : 2) : 1;
  }
  return bytes;
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
