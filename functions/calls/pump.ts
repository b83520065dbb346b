/**
 * The client's stream: heartbeats while the call waits, then the reply's bytes, taken up again where they broke. A client
 * sees whole events only, never a byte twice, and a typed error where a reply cannot go on: never a false end.
 */
import { RipcordError, isErrorCode, openAiError } from '../errors.ts';
import { LIMITS } from '#protocol';
import type { ByteSink, ByteSource, Place } from './ports.ts';

/** A reply that is complete, or one that is pumped into the client's stream. */
export type Reply =
  | { status: number; headers: [string, string][]; body: Uint8Array }
  | { status: number; headers: [string, string][]; pump: (sink: ByteSink) => Promise<void> };

export interface Streamed {
  /** What the client was told before: 200 while the call still waited, else what the first reply said. */
  status: number;
  /** Server-sent events: whole events are written, and an error can be told inside the stream. */
  events: boolean;
  callId: string;
  /** Null: the call still waits for an instance. */
  source: ByteSource | null;
  signal: AbortSignal;
  sleep(ms: number): Promise<void>;
  /** Where the call stands in the queue; null where that is not known. `anew`: now, else as it was when it joined. */
  standing(anew: boolean): Promise<Place | null>;
  /** The reply of a (new) instance, when none of this call has reached the client. */
  first(): Promise<{ status: number; headers: [string, string][]; body: Uint8Array | ByteSource }>;
  /** After a break: the rest from this offset; null to start over on another instance; or why it ends. */
  resume(offset: number): Promise<Uint8Array | ByteSource | RipcordError | null>;
}

/** Milliseconds between comments to a client whose call waits; a client that left is noticed by them. */
const HEARTBEAT_MS = 1_000;
/** Comments between two that ask the Chute where the call stands: a full line of them is a hundred questions a second. */
const ASK_EVERY = 10;

export async function pump(it: Streamed, sink: ByteSink): Promise<void> {
  const out = new Output(it, sink);
  const cancel = (): void => void out.source?.cancel('client left').catch(() => {});
  it.signal.addEventListener('abort', cancel, { once: true });
  try {
    await run(it, out);
    await sink.close();
  } catch (error) {
    await giveUp(it, out, sink, error);
  } finally {
    it.signal.removeEventListener('abort', cancel);
  }
}

async function run(it: Streamed, out: Output): Promise<void> {
  out.source = it.source ?? (await waitForReply(it, out));
  for (;;) {
    const part = await out.source.read().catch(() => null);
    if (part === null) out.source = await goOn(it, out);
    else if (part.done) {
      await out.flush();
      return;
    } else await out.write(part.value);
  }
}

async function goOn(it: Streamed, out: Output): Promise<ByteSource> {
  if (it.signal.aborted) throw new RipcordError('cancelled');
  const rest = await it.resume(out.offset);
  if (rest instanceof RipcordError) throw rest;
  if (rest === null) return waitForReply(it, out);
  const source = rest instanceof Uint8Array ? bytesSource(rest) : rest;
  return out.plain ? oneEvent(source) : source;
}

/** Comments until an instance replies; its status is told inside the stream, since the client has its 200. */
async function waitForReply(it: Streamed, out: Output): Promise<ByteSource> {
  const first = it.first();
  first.catch(() => {});
  for (let beat = 0; ; beat++) {
    if (it.events && beat % ASK_EVERY === 0) await out.comment(standing(await it.standing(beat > 0)));
    const reply = await Promise.race([first, it.sleep(HEARTBEAT_MS).then(() => null)]);
    if (reply !== null) {
      if (reply.status !== it.status)
        throw new RipcordError(reply.status >= 400 && reply.status < 500 ? 'invalid_request' : 'engine_error', {
          message: `The instance answered ${reply.status}.`,
        });
      return asPromised(it, out, reply.headers, reply.body);
    }
    if (it.signal.aborted) throw new RipcordError('cancelled');
    if (it.events && (beat + 1) % ASK_EVERY !== 0) await out.comment(standing(null));
  }
}

function standing(place: Place | null): Uint8Array {
  if (place === null) return encoder.encode(': waiting\n\n');
  const eta = place.etaMs === null ? '' : ` eta_ms=${place.etaMs}`;
  return encoder.encode(`: queued position=${place.position}${eta}\n\n`);
}

function isEvents(headers: [string, string][]): boolean {
  return headers.some(([k, v]) => k === 'content-type' && v.startsWith('text/event-stream'));
}

/** What the client was promised: a plain reply goes to a client of events as one event, events to no other client. */
function asPromised(it: Streamed, out: Output, headers: [string, string][], body: Uint8Array | ByteSource): ByteSource {
  const source = body instanceof Uint8Array ? bytesSource(body) : body;
  if (!it.events && isEvents(headers)) throw new RipcordError('engine_error', { message: 'The instance answered in another form.' });
  out.plain = it.events && !isEvents(headers);
  return out.plain ? oneEvent(source) : source;
}

/** A whole plain reply as one event; nothing of it is given before its end. */
function oneEvent(source: ByteSource): ByteSource {
  let given = false;
  return {
    read: async () => {
      if (given) return { done: true };
      const text = new TextDecoder().decode(await collected(source));
      given = true;
      return { done: false, value: encoder.encode(`data: ${text.replaceAll(/\s*[\r\n]\s*/g, ' ')}\n\ndata: [DONE]\n\n`) };
    },
    cancel: (reason) => source.cancel(reason),
  };
}

async function collected(source: ByteSource): Promise<Uint8Array> {
  let bytes: Uint8Array = new Uint8Array(0);
  for (let part = await source.read(); !part.done; part = await source.read()) {
    bytes = joined(bytes, part.value);
    if (bytes.byteLength > LIMITS.bufferedBodyBytes) throw new Error('the reply is too long for an event');
  }
  return bytes;
}

async function giveUp(it: Streamed, out: Output, sink: ByteSink, error: unknown): Promise<void> {
  await out.source?.cancel('gave up').catch(() => {});
  const known = error instanceof RipcordError ? error : new RipcordError(error instanceof ClientLeft ? 'cancelled' : 'internal');
  if (it.events && known.code !== 'cancelled' && isErrorCode(known.code)) {
    const event = encoder.encode(`data: ${JSON.stringify({ error: openAiError(known, it.callId) })}\n\n`);
    await sink.write(event).then(
      () => sink.close(),
      () => {},
    );
    return;
  }
  await sink.abort(known).catch(() => {});
}

class ClientLeft extends Error {}

const encoder = new TextEncoder();

/** Counts what came of the reply, holds back an unfinished event, and notices a client that left. */
class Output {
  source: ByteSource | null = null;
  /** Bytes of the reply taken, written or held back. */
  offset = 0;
  /** The instance answers plainly to a client that was promised events. */
  plain = false;
  private held: Uint8Array | null = null;
  private readonly it: Streamed;
  private readonly sink: ByteSink;

  constructor(it: Streamed, sink: ByteSink) {
    this.it = it;
    this.sink = sink;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.offset += chunk.byteLength;
    if (!this.it.events) return this.put(chunk);
    const bytes = this.held === null ? chunk : joined(this.held, chunk);
    const end = lastEventEnd(bytes);
    this.held = end === bytes.byteLength ? null : bytes.slice(end);
    if (end > 0) await this.put(end === bytes.byteLength ? bytes : bytes.subarray(0, end));
  }

  async flush(): Promise<void> {
    if (this.held !== null) await this.put(this.held);
    this.held = null;
  }

  comment(bytes: Uint8Array): Promise<void> {
    return this.put(bytes);
  }

  private async put(bytes: Uint8Array): Promise<void> {
    try {
      await this.sink.write(bytes);
    } catch {
      throw new ClientLeft();
    }
  }
}

function lastEventEnd(bytes: Uint8Array): number {
  for (let i = bytes.byteLength - 1; i > 0; i--) if (bytes[i] === 10 && bytes[i - 1] === 10) return i + 1;
  return 0;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.byteLength + b.byteLength);
  out.set(a);
  out.set(b, a.byteLength);
  return out;
}

function bytesSource(bytes: Uint8Array): ByteSource {
  let given = false;
  return {
    read: () => {
      const part = given ? ({ done: true } as const) : ({ done: false, value: bytes } as const);
      given = true;
      return Promise.resolve(part);
    },
    cancel: () => Promise.resolve(),
  };
}
