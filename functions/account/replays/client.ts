/** How a Worker asks an Account object for the one answer of an Idempotency-Key, and passes it on. */
import { insist } from '../../calls/insist.ts';
import type { ByteSink, CallId } from '../../calls/ports.ts';
import type { Env } from '../../env.ts';
import { RipcordError, openAiError } from '../../errors.ts';
import { accountStub } from '../../stubs.ts';
import type { Answered, Refused, ReplayCall, ReplayRequest, Streamed, ToldAnswer, Unanswered } from './ask.ts';
import { splitHead, type Head } from './head.ts';
import { answerKeyOf, nameOf, printOf } from './seal.ts';

/** A Worker's request that is under way. */
export interface Errand {
  env: Env;
  /** The client left. */
  signal: AbortSignal;
}

/** An answer whose head has come. `call`: the one that it is of. */
export interface Answer {
  kind: 'answer';
  call: CallId;
  head: Head;
  pump(sink: ByteSink): Promise<void>;
}

const FORM = /^[\x20-\x7e]{1,255}$/;

/** The Idempotency-Key of a request, or null. Throws `invalid_request`. */
export function idempotencyKey(headers: Headers): string | null {
  const key = headers.get('idempotency-key');
  if (key === null || FORM.test(key)) return key;
  throw new RipcordError('invalid_request', {
    message: 'An Idempotency-Key has 1 to 255 printable ASCII characters.',
    param: 'Idempotency-Key',
  });
}

/** MACs and answer key of a request. `target`: method and everything else that makes it this one, without line breaks. */
export async function keyed(env: Env, account: string, idempotencyKey: string, secret: string, target: string[], body: Uint8Array) {
  const [name, print, key] = await Promise.all([
    nameOf(env, account, idempotencyKey),
    printOf(env, target, body),
    answerKeyOf(secret, account, idempotencyKey),
  ]);
  return { name, print, key };
}

/** Has the call conducted by its Account object, or joins it, or gets the kept answer. */
export function answerOf(errand: Errand, ask: ReplayCall): Promise<Answer | Refused> {
  const stub = stubOf(errand.env, ask.call.claim.account);
  return insist(PATIENCE, async () => withHead(await stub.replay(ask), errand.signal));
}

/** The same of a request that this Worker answers itself if it is the first, and then tells by `tellAnswer`. */
export function requestAnswerOf(errand: Errand, account: string, ask: ReplayRequest): Promise<Answer | Refused | Unanswered> {
  const stub = stubOf(errand.env, account);
  return insist(PATIENCE, async () => withHead(await stub.replayRequest(ask), errand.signal));
}

/** What came of a request. If the object does not hear of it, the outcome is unknown to whoever asks again. */
export async function tellAnswer(env: Env, account: string, told: ToldAnswer): Promise<void> {
  const stub = stubOf(env, account);
  await insist(PATIENCE, () => stub.replayAnswered(told)).catch(() => {});
}

const PATIENCE = { sleep: (ms: number) => scheduler.wait(ms) };

interface ReplayStub {
  replay(ask: ReplayCall): Promise<Answered<Streamed>>;
  replayRequest(ask: ReplayRequest): Promise<Answered<Streamed> | Unanswered>;
  replayAnswered(told: ToldAnswer): Promise<void>;
}

function stubOf(env: Env, account: string): ReplayStub {
  return accountStub(env, account) as unknown as ReplayStub;
}

async function withHead<Given extends Answered<Streamed> | Unanswered>(
  given: Given,
  signal: AbortSignal,
): Promise<Answer | Refused | Exclude<Given, Streaming>> {
  if (!isStreaming(given)) return given as Exclude<Given, Streaming>;
  const { call } = given;
  const { bytes: stream, seat } = given.answer;
  const reader = stream.getReader();
  const leave = (): void => {
    reader.cancel('client left').catch(() => {});
    seat[Symbol.dispose]();
  };
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  for (let bytes = new Uint8Array(0); ;) {
    const part = await reader.read();
    if (signal.aborted) return { kind: 'refused', code: 'cancelled', detail: {} };
    if (part.done) throw new Error('the answer has no head');
    bytes = joined(bytes, part.value);
    const split = splitHead(bytes);
    if (split === null) continue;
    return { kind: 'answer', call, head: split.head, pump: (sink) => forward({ call, head: split.head, first: split.body, reader }, sink) };
  }
}

type Streaming = Extract<Answered<Streamed>, { kind: 'answer' }>;

function isStreaming(given: Answered<Streamed> | Unanswered): given is Streaming {
  return given.kind === 'answer';
}

interface Rest {
  call: CallId;
  head: Head;
  /** Came with the head. */
  first: Uint8Array;
  reader: ReadableStreamDefaultReader<Uint8Array>;
}

/** The body as it comes. Where it breaks off, a client of events is told why between two of them; any other is cut. */
async function forward({ call, head, first, reader }: Rest, sink: ByteSink): Promise<void> {
  let last = first;
  try {
    if (first.byteLength > 0) await sink.write(first);
    for (;;) {
      const part = await reader.read().catch(() => null);
      if (part === null) return await breakOff(head, call, last, sink);
      if (part.done) return await sink.close();
      last = part.value;
      await sink.write(last);
    }
  } catch {
    await reader.cancel('client left').catch(() => {});
  }
}

async function breakOff(head: Head, call: CallId, last: Uint8Array, sink: ByteSink): Promise<void> {
  const lost = new RipcordError('outcome_unknown', { message: 'The edge lost this call while it ran.' });
  const betweenEvents = last.byteLength === 0 || (last.at(-1) === NEWLINE && last.at(-2) === NEWLINE);
  if (!isEvents(head) || !betweenEvents) return sink.abort(lost);
  await sink.write(new TextEncoder().encode(`data: ${JSON.stringify({ error: openAiError(lost, call) })}\n\n`));
  await sink.close();
}

const NEWLINE = 10;

function isEvents(head: Head): boolean {
  return 'headers' in head && head.headers.some(([name, value]) => name === 'content-type' && value.startsWith('text/event-stream'));
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(a.byteLength + b.byteLength);
  out.set(a);
  out.set(b, a.byteLength);
  return out;
}
