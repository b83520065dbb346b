/**
 * What a call asks of the stub engine. Rate and tag travel in `user` and the count in `max_tokens`, because a gateway may
 * drop fields it does not know; so every path is asked the same, and the engine can prove it.
 */
import { hash } from 'node:crypto';

/** The same for every target, so that bodies are equal to the byte. */
export const MODEL = 'demo/bench';
/** The same engine behind several agents: an instance takes 256 calls at most. */
export const WIDE_MODEL = 'demo/wide';

export interface Ask {
  /** Number of the run this call belongs to. */
  run: number;
  /** Number of the call within its run. */
  index: number;
  /** Tokens per second; 0 asks for one instant JSON reply. */
  rate: number;
  /** Tokens in the reply. */
  tokens: number;
  /** Default: `MODEL`. */
  model?: string;
}

const PROMPT = 'Say numbers, one after the other, until you are told to stop. '.repeat(4);

/** Fixed width, so that bodies of a run have one length. */
function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

export function chatBody(ask: Ask): string {
  return JSON.stringify({
    model: ask.model ?? MODEL,
    messages: [{ role: 'user', content: PROMPT }],
    max_tokens: ask.tokens,
    stream: ask.rate > 0,
    user: `${pad(ask.run, 5)}.${pad(ask.index, 7)}.${pad(ask.rate, 4)}`,
  });
}

/** What reached the engine, or null if it is not a body of ours. */
export function readAsk(body: Record<string, unknown>): Ask | null {
  const [run, index, rate] = String(body['user']).split('.');
  if (run === undefined || index === undefined || rate === undefined) return null;
  return {
    run: Number(run),
    index: Number(index),
    rate: Number(rate),
    tokens: Number(body['max_tokens']),
  };
}

const SUM_MODULUS = 2 ** 52;

/** A sum of hashes over what was asked: equal sums on both ends mean the same set of calls, none lost or sent twice. */
export function addDigest(sum: number, body: Record<string, unknown>): number {
  const asked = [body['model'], body['messages'], body['max_tokens'], body['stream'], body['user']];
  return (sum + Number.parseInt(hash('sha1', JSON.stringify(asked), 'hex').slice(0, 12), 16)) % SUM_MODULUS;
}
