/** A JSON body or a query, checked at the door. */
import type { Context, MiddlewareHandler } from 'hono';
import * as z from 'zod/mini';
import { firstIssue } from '#protocol';
import { RipcordError } from '../errors.ts';

/** Refuses a body of more bytes than this before it is in memory. What is left of it can still be read on. */
export function bodyAtMost(bytes: number): MiddlewareHandler {
  return async (c, next) => {
    const { body } = c.req.raw;
    const declared = c.req.header('content-length');
    if (declared !== undefined && !(Number(declared) <= bytes)) throw new RipcordError('body_too_large');
    if (declared === undefined && body !== null)
      c.req.raw = new Request(c.req.raw, { method: c.req.method, body: await readAtMost(body, bytes) });
    await next();
  };
}

async function readAtMost(body: ReadableStream<Uint8Array>, limit: number): Promise<Blob> {
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.byteLength;
      if (bytes > limit) throw new RipcordError('body_too_large');
      parts.push(part.value);
    }
  } finally {
    reader.releaseLock();
  }
  return new Blob(parts);
}

/** For routes whose body is a few fields. */
export const smallBody = bodyAtMost(64 * 1024);

/** Throws `invalid_request` with the place of the first fault, never the value. */
export async function readJson<T extends z.ZodMiniType>(c: Context, schema: T): Promise<z.output<T>> {
  let value: unknown;
  try {
    value = await c.req.json();
  } catch {
    throw new RipcordError('invalid_request', { message: 'The body is not JSON.' });
  }
  const parsed = z.safeParse(schema, value);
  if (parsed.success) return parsed.data;
  const param = parsed.error.issues[0]?.path.join('.');
  throw new RipcordError('invalid_request', { message: firstIssue(parsed.error), ...(param ? { param } : {}) });
}

/** What follows the `?`. Throws `invalid_request` with the place of the first fault. */
export function readQuery<T extends z.ZodMiniType>(c: Context, schema: T): z.output<T> {
  const parsed = z.safeParse(schema, c.req.query());
  if (!parsed.success) throw new RipcordError('invalid_request', { message: firstIssue(parsed.error) });
  return parsed.data;
}
