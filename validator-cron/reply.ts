/** Reads what an engine answered (pure). The text is hostile: nothing here throws, and nothing is believed unchecked. */
import * as z from 'zod/mini';

const count = z.number().check(z.int(), z.nonnegative(), z.lte(1_000_000));
const text = z.nullish(z.string());

const chunkSchema = z.object({
  choices: z.array(z.object({ text, delta: z.nullish(z.object({ content: text, reasoning_content: text, reasoning: text })) })),
  usage: z.nullish(z.object({ completion_tokens: z.optional(count) })),
});

export interface StreamReply {
  /** Every event was a chunk of a completion. */
  wellFormed: boolean;
  /** The end was said. */
  done: boolean;
  /** An error event came. */
  error: boolean;
  /** Chunks with text in them. */
  deltas: number;
  /** Completion tokens as the usage says, or null. */
  tokens: number | null;
}

/** An event stream of `/v1/chat/completions` or `/v1/completions`. */
export function readStream(body: string): StreamReply {
  const reply: StreamReply = { wellFormed: true, done: false, error: false, deltas: 0, tokens: null };
  const events = body
    .split(/\r?\n\r?\n/)
    .map(dataOf)
    .filter((data) => data !== '');
  for (const data of events) {
    if (reply.done) break;
    if (data === '[DONE]') reply.done = true;
    else takeChunk(reply, parseJson(data));
  }
  if (events.length === 0) reply.wellFormed = false;
  return reply;
}

function takeChunk(reply: StreamReply, json: unknown): void {
  if (typeof json === 'object' && json !== null && 'error' in json) {
    reply.error = true;
    return;
  }
  const chunk = z.safeParse(chunkSchema, json);
  if (!chunk.success) {
    reply.wellFormed = false;
    return;
  }
  if (chunk.data.choices.some((c) => c.text || c.delta?.content || c.delta?.reasoning_content || c.delta?.reasoning)) reply.deltas += 1;
  reply.tokens = chunk.data.usage?.completion_tokens ?? reply.tokens;
}

const embeddingSchema = z.object({
  data: z
    .array(z.object({ embedding: z.union([z.array(z.number()).check(z.minLength(1)), z.string().check(z.minLength(1))]) }))
    .check(z.minLength(1)),
});

/** Whether it is a list of at least one vector, as numbers or in base64. */
export function readEmbedding(body: string): boolean {
  return z.safeParse(embeddingSchema, parseJson(body)).success;
}

function dataOf(event: string): string {
  return event
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .join('\n');
}

function parseJson(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
