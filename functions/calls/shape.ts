/** From a request to a call: what is parsed and bounded before anything else happens. */
import { INFERENCE, LIMITS, encodeJson, headersSchema } from '#protocol';
import { RipcordError, type ErrorDetail } from '../errors.ts';
import { DEFAULT_MAX_TOKENS } from '../prices/cost.ts';
import type { StreamAsk } from './ports.ts';

/** Request headers that reach an engine; the caller's key and cookies never do. */
const REQUEST_HEADERS = new Set([
  'content-length',
  'content-type',
  'content-language',
  'accept',
  'accept-language',
  'range',
  'if-none-match',
  'if-modified-since',
  'if-range',
  'user-agent',
]);
const WITHHELD = /^x-(ripcord|forwarded|real|api|auth)/;

export function engineHeaders(headers: Headers): [string, string][] {
  const kept: [string, string][] = [];
  for (const [name, value] of headers) {
    if (!REQUEST_HEADERS.has(name) && !(name.startsWith('x-') && !WITHHELD.test(name))) continue;
    if (value.length > 4096) throw new RipcordError('invalid_request', { message: `The header ${name} is too long.`, param: name });
    kept.push([name, value]);
  }
  if (kept.length > 32)
    throw new RipcordError('invalid_request', { message: 'Too many headers.', hint: 'At most 32 headers reach an instance.' });
  return kept;
}

/** Answers side by side, as OpenAI has it. */
const MOST_CHOICES = 128;
/** Bytes of an OPEN beside path and headers. */
const OPEN_BYTES = 1024;

/** Refuses a head that no agent takes: what an agent must refuse costs it its socket, and every other call on it. */
export function checkHead({ method, path, headers }: { method: string; path: string; headers: [string, string][] }): void {
  if (!/^[A-Z]{1,16}$/.test(method)) throw new RipcordError('method_not_allowed');
  const wrong = headersSchema.safeParse(headers).error?.issues[0]?.path[0];
  if (wrong !== undefined) {
    const param = headers[Number(wrong)]?.[0] ?? 'headers';
    throw new RipcordError('invalid_request', { message: `The header ${param} holds characters that HTTP does not allow.`, param });
  }
  if (encodeJson({ path, headers }).byteLength > LIMITS.headBytes - OPEN_BYTES)
    throw new RipcordError('invalid_request', { message: `Path and headers may have ${LIMITS.headBytes - OPEN_BYTES} bytes together.` });
}

/** The whole body, at most `LIMITS.bufferedBodyBytes`. */
export async function bufferedBody(request: Request): Promise<Uint8Array> {
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (declared > LIMITS.bufferedBodyBytes) throw tooLarge(LIMITS.bufferedBodyBytes);
  if (request.body === null) return new Uint8Array(0);
  if (request.headers.has('content-length')) return new Uint8Array(await request.arrayBuffer());
  return readBounded(request.body, LIMITS.bufferedBodyBytes);
}

/**
 * A body for any route: buffered where it is small and its length is known, so that it can be sent again; else a stream.
 * `onTooLarge`: the stream turned out to be, and failed.
 */
export async function anyBody(request: Request, onTooLarge: () => void): Promise<Uint8Array | ReadableStream<Uint8Array> | null> {
  if (request.body === null) return null;
  const length = request.headers.get('content-length');
  if (length === null) return bounded(request.body, LIMITS.bodyBytes, onTooLarge);
  if (Number(length) > LIMITS.bodyBytes) throw tooLarge(LIMITS.bodyBytes);
  return Number(length) > LIMITS.bufferedBodyBytes ? request.body : new Uint8Array(await request.arrayBuffer());
}

/** What a request for tokens says of its reply. */
export interface TokenShape {
  /** Output tokens over all answers; null: the engine's default for one. */
  maxTokens: number | null;
  tokens: StreamAsk | null;
  /** Why it could not be read: a chute that is paid by tokens does not take it. */
  unread?: Pick<ErrorDetail, 'message' | 'hint' | 'param'>;
}

export interface ChatShape extends TokenShape {
  model: string;
  stream: boolean;
  affinity: string;
}

/** The fields of an OpenAI request that the edge needs. The body itself goes on unchanged. */
export function chatShape(path: string, body: Uint8Array): ChatShape {
  const fields = parseObject(body);
  const model = fields['model'];
  if (typeof model !== 'string' || model === '')
    throw new RipcordError('invalid_request', {
      message: 'The field model is missing.',
      hint: 'Name a chute as owner/name; GET /v1/models lists them.',
      param: 'model',
    });
  return { model, stream: streamOf(fields), affinity: prefixOf(fields), ...tokenShape(path, fields) };
}

/** The same of an inference route under a chute's own name, where not every chute is paid by tokens. */
export function ownTokenShape(path: string, body: unknown): TokenShape {
  const route = path.split('?', 1)[0] ?? path;
  const nothing = { maxTokens: null, tokens: null };
  if (!INFERENCE.has(route) || !(body instanceof Uint8Array)) return nothing;
  try {
    return tokenShape(route, parseObject(body));
  } catch (error) {
    if (error instanceof RipcordError) return { ...nothing, unread: error.detail };
    throw error;
  }
}

function streamOf(fields: Record<string, unknown>): boolean {
  const stream = fields['stream'] ?? false;
  if (typeof stream !== 'boolean')
    throw new RipcordError('invalid_request', { message: 'The field stream must be true or false.', param: 'stream' });
  return stream;
}

function tokenShape(path: string, fields: Record<string, unknown>): TokenShape {
  const choices = choicesOf(fields);
  const most = maxTokens(path, fields);
  const total = choices === 1 ? most : Math.min(choices * (most ?? DEFAULT_MAX_TOKENS), Number.MAX_SAFE_INTEGER);
  if (!streamOf(fields)) return { maxTokens: total, tokens: null };
  const object = path === '/v1/completions' ? 'text_completion' : 'chat.completion.chunk';
  const model = typeof fields['model'] === 'string' ? fields['model'].slice(0, 128) : '';
  const options = fields['stream_options'];
  const usage = typeof options === 'object' && options !== null && 'include_usage' in options && options.include_usage === true;
  return { maxTokens: total, tokens: { object, model, choices, usage, options: options !== undefined, prompt: promptTokens(fields) } };
}

/** Characters of text that make at least a token in any usual tokenizer; most make one of two to five. */
const TOKEN_CHARS = 8;

/** Of the text alone: an image in base64 is no text. */
function promptTokens({ messages, prompt }: Record<string, unknown>): number {
  const contents = Array.isArray(messages) ? messages.map((message: unknown) => fieldOf(message, 'content')) : [prompt];
  const texts = contents.flat().map((part: unknown) => (typeof part === 'string' ? part : fieldOf(part, 'text')));
  return Math.floor(texts.reduce((sum: number, text) => sum + (typeof text === 'string' ? text.length : 0), 0) / TOKEN_CHARS);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

const USAGE_WANTED = new TextEncoder().encode(',"stream_options":{"include_usage":true}}');
const CLOSING_BRACE = 125;

/** The same request for a stream of tokens, asking for its usage: without it nobody knows what the prompt came to. */
export function wantUsage(body: Uint8Array, tokens: StreamAsk): Uint8Array {
  if (tokens.usage) return body;
  if (tokens.options === true) {
    const fields = parseObject(body);
    const options: unknown = fields['stream_options'] ?? {};
    // What makes no sense is for the engine to refuse; what it might read as a no is not left to it.
    if (typeof options !== 'object' || Array.isArray(options)) return body;
    return encodeObject({ ...fields, stream_options: { ...options, include_usage: true } });
  }
  const end = body.lastIndexOf(CLOSING_BRACE);
  if (end < 0) return body;
  const asking = new Uint8Array(end + USAGE_WANTED.byteLength);
  asking.set(body.subarray(0, end));
  asking.set(USAGE_WANTED, end);
  return asking;
}

/** Reading nested lists has no limit, writing them has. */
function encodeObject(fields: Record<string, unknown>): Uint8Array {
  try {
    return new TextEncoder().encode(JSON.stringify(fields));
  } catch {
    throw new RipcordError('invalid_request', {
      message: 'The body is nested too deeply for stream_options to be read.',
      param: 'stream_options',
    });
  }
}

function parseObject(body: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through: not JSON and not an object are the same mistake.
  }
  throw new RipcordError('invalid_request', {
    message: 'The body is not a JSON object.',
    hint: 'Send Content-Type: application/json with an object.',
  });
}

/** The larger of two names: engines differ in which one they go by, and none of text completions goes by the newer. */
function maxTokens(path: string, fields: Record<string, unknown>): number | null {
  // Some engines let this one win over both, others do not know it.
  if (fields['n_predict'] !== undefined)
    throw new RipcordError('invalid_request', { message: 'n_predict is not taken: say max_tokens.', param: 'n_predict' });
  const most = tokensOf(fields, 'max_tokens');
  const newer = tokensOf(fields, 'max_completion_tokens');
  if (newer === null || path === '/v1/completions') return most;
  return Math.max(newer, most ?? 0);
}

function tokensOf(fields: Record<string, unknown>, param: string): number | null {
  const value = fields[param] ?? null;
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw new RipcordError('invalid_request', { message: `${param} must be a whole number above 0 and below 2^53.`, param });
  return value;
}

/** Answers of one request: `n` (or `best_of`, which are made and not all given) for each prompt of a list. */
function choicesOf(fields: Record<string, unknown>): number {
  const prompt = fields['prompt'];
  const prompts = Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1;
  return prompts * Math.max(countOf(fields, 'n'), countOf(fields, 'best_of'));
}

function countOf(fields: Record<string, unknown>, param: string): number {
  const value = fields[param] ?? 1;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MOST_CHOICES)
    throw new RipcordError('invalid_request', { message: `${param} must be a whole number from 1 to ${MOST_CHOICES}.`, param });
  return value;
}

/** The start of the prompt: calls that share it share a cache. */
function prefixOf(fields: Record<string, unknown>): string {
  const messages = fields['messages'];
  if (Array.isArray(messages)) return textOf(messages.slice(0, 2)).slice(0, 2048);
  const prompt = fields['prompt'] ?? fields['input'];
  return typeof prompt === 'string' ? prompt.slice(0, 2048) : '';
}

/** Empty where it cannot be written. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '';
  }
}

async function readBounded(body: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array> {
  return new Uint8Array(await new Response(bounded(body, limit)).arrayBuffer());
}

/** The same stream; it fails once it is longer than allowed. */
function bounded(body: ReadableStream<Uint8Array>, limit: number, onTooLarge = (): void => {}): ReadableStream<Uint8Array> {
  let bytes = 0;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes <= limit) return controller.enqueue(chunk);
        onTooLarge();
        controller.error(tooLarge(limit));
      },
    }),
  );
}

function tooLarge(limit: number): RipcordError {
  return new RipcordError('body_too_large', { message: `The body is larger than ${limit} bytes.` });
}
