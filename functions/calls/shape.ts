/** From a request to a call: what is parsed and bounded before anything else happens. */
import { LIMITS, encodeJson, headersSchema } from '#protocol';
import { RipcordError } from '../errors.ts';

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

export interface ChatShape {
  model: string;
  stream: boolean;
  maxTokens: number | null;
  affinity: string;
}

/** The fields of an OpenAI request that the edge needs. The body itself goes on unchanged. */
export function chatShape(body: Uint8Array): ChatShape {
  const fields = parseObject(body);
  const model = fields['model'];
  if (typeof model !== 'string' || model === '')
    throw new RipcordError('invalid_request', {
      message: 'The field model is missing.',
      hint: 'Name a chute as owner/name; GET /v1/models lists them.',
      param: 'model',
    });
  const stream = fields['stream'] ?? false;
  if (typeof stream !== 'boolean')
    throw new RipcordError('invalid_request', { message: 'The field stream must be true or false.', param: 'stream' });
  return { model, stream, maxTokens: maxTokens(fields), affinity: prefixOf(fields) };
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

function maxTokens(fields: Record<string, unknown>): number | null {
  const value = fields['max_completion_tokens'] ?? fields['max_tokens'] ?? null;
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1)
    throw new RipcordError('invalid_request', { message: 'max_tokens must be a whole number above 0.', param: 'max_tokens' });
  return value;
}

/** The start of the prompt: calls that share it share a cache. */
function prefixOf(fields: Record<string, unknown>): string {
  const messages = fields['messages'];
  if (Array.isArray(messages)) return textOf(messages.slice(0, 2)).slice(0, 2048);
  const prompt = fields['prompt'] ?? fields['input'];
  return typeof prompt === 'string' ? prompt.slice(0, 2048) : '';
}

/** Reading nested lists has no limit, writing them has. */
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
