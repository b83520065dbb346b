/** Reads what an engine answered (pure). The text is hostile: nothing here throws, and nothing is believed unchecked. */
import * as z from 'zod/mini';

const count = z.number().check(z.int(), z.nonnegative(), z.lte(1_000_000));
const text = z.nullish(z.string());

/** Nothing is more certain than certain; what is fainter than the least is told as the least. */
const LEAST_CHANCE = -1_000_000;
const MOST_TOKENS = 1_024;
const chance = z.pipe(
  z.number().check(z.lte(0.001)),
  z.transform((nats) => Math.min(0, Math.max(LEAST_CHANCE, Math.round(nats * 1000)))),
);
const named = z.object({ token: z.string(), logprob: chance });
const tokenSchema = z.extend(named, { top_logprobs: z._default(z.array(named).check(z.maxLength(20)), []) });
const logprobsSchema = z.object({ content: z.array(tokenSchema).check(z.maxLength(MOST_TOKENS)) });

const chunkSchema = z.object({
  choices: z.array(
    z.object({
      text,
      delta: z.nullish(z.object({ content: text, reasoning_content: text, reasoning: text })),
      logprobs: z.optional(z.unknown()),
    }),
  ),
  usage: z.nullish(z.object({ completion_tokens: z.optional(count) })),
});

/** A token as it was said, with the chance it had: thousandths of a nat, at most 0. `top`: the likeliest, best first. */
export interface Token {
  text: string;
  chance: number;
  top: { text: string; chance: number }[];
}

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
  /** The tokens, where their chances are told. */
  said: Token[];
}

/** An event stream of `/v1/chat/completions` or `/v1/completions`. */
export function readStream(body: string): StreamReply {
  const reply: StreamReply = { wellFormed: true, done: false, error: false, deltas: 0, tokens: null, said: [] };
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
  for (const choice of chunk.data.choices) {
    const room = MOST_TOKENS - reply.said.length;
    const told = z.safeParse(logprobsSchema, choice.logprobs);
    for (const { token, logprob, top_logprobs: top } of told.success ? told.data.content.slice(0, room) : []) {
      reply.said.push({ text: token, chance: logprob, top: top.map((other) => ({ text: other.token, chance: other.logprob })) });
    }
  }
  if (chunk.data.choices.some((choice) => textOf(choice) !== '')) reply.deltas += 1;
  reply.tokens = chunk.data.usage?.completion_tokens ?? reply.tokens;
}

function textOf({ text: plain, delta }: z.output<typeof chunkSchema>['choices'][number]): string {
  return (plain ?? '') + (delta?.content ?? '') + (delta?.reasoning_content ?? '') + (delta?.reasoning ?? '');
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
