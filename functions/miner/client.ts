/**
 * How a Worker reaches a Miner object. `relay` and `attach` travel as `fetch`, whose body streams natively in both
 * directions; everything else is RPC.
 */
import type { MinerPort, RelayAnswer, RelayAsk } from '../calls/ports.ts';
import { withEnd } from './upload.ts';

/** The parts of a Miner object's stub that a call needs. */
export interface MinerStub {
  fetch(url: string, init?: RequestInit): Promise<Response>;
  keep(instance: string, version: string, call: string): Promise<boolean>;
}

export const ASK_HEADER = 'x-ask';
export const ANSWER_HEADER = 'x-answer';

export function minerCalls(stub: MinerStub): Pick<MinerPort, 'relay' | 'attach' | 'keep'> {
  return {
    relay: (ask, body, signal) => send(stub, 'relay', ask, body, signal),
    attach: (call, attempt, offset, signal) => send(stub, 'attach', { call, attempt, offset }, null, signal),
    keep: (instance, version, call) => stub.keep(instance, version, call),
  };
}

async function send(
  stub: MinerStub,
  what: 'relay' | 'attach',
  ask: RelayAsk | { call: string; attempt: number; offset: number },
  body: Uint8Array | ReadableStream<Uint8Array> | null,
  signal: AbortSignal | undefined,
): Promise<RelayAnswer> {
  const response = await stub.fetch(`http://miner/${what}`, {
    method: 'POST',
    headers: { [ASK_HEADER]: asciiJson({ ...ask, streamed: body instanceof ReadableStream }) },
    ...(body === null ? {} : { body: body instanceof ReadableStream ? withEnd(body) : body }),
    ...(signal === undefined ? {} : { signal }),
  });
  const answer = JSON.parse(response.headers.get(ANSWER_HEADER) ?? 'null') as (RelayAnswer & { whole?: boolean }) | null;
  if (answer === null) throw new Error('the miner object gave no answer');
  if (answer.kind !== 'reply') {
    await response.body?.cancel();
    return answer;
  }
  const { whole, ...told } = answer;
  if (whole === true) return { ...told, body: new Uint8Array(await response.arrayBuffer()) };
  const reader = (response.body ?? new Response('').body)?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  return { ...told, body: reader };
}

/** JSON that fits in a header. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
