/** The little of HTTP that the program needs: JSON in, JSON or server-sent events out, OpenAI's error bodies. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';

const MAX_BODY_BYTES = 1024 * 1024;

/** A refusal in OpenAI's form. */
export class ApiError extends Error {
  readonly status: number;
  readonly param: string | null;
  readonly code: string | null;

  constructor(status: number, message: string, param: string | null = null, code: string | null = null) {
    super(message);
    this.status = status;
    this.param = param;
    this.code = code;
  }

  body(): { error: { message: string; type: string; param: string | null; code: string | null } } {
    const type = this.status >= 500 ? 'server_error' : 'invalid_request_error';
    return { error: { message: this.message, type, param: this.param, code: this.code } };
  }
}

export type Fields = Record<string, unknown>;

/** The JSON object of a request; refuses anything else, and more than 1 MiB. */
export async function readObject(request: IncomingMessage): Promise<Fields> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // What is too much is read on and forgotten: a client that is still sending would not see a refusal.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) throw new ApiError(413, `The body is larger than ${MAX_BODY_BYTES} bytes.`, null, 'request_too_large');
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new ApiError(400, 'The body is not valid JSON.', null, 'invalid_json');
  }
  if (!isObject(value)) throw new ApiError(400, 'The body must be a JSON object.', null, 'invalid_json');
  return value;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

/** Opens an event stream; the returned function writes one event and waits while the client reads slowly. */
export function openEvents(response: ServerResponse, signal: AbortSignal): (data: unknown) => Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  return async (data) => {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    if (!response.write(`data: ${text}\n\n`)) await once(response, 'drain', { signal });
  };
}
