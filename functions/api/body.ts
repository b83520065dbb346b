/** A JSON body, checked at the door. */
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import * as z from 'zod/mini';
import { firstIssue } from '#protocol';
import { RipcordError } from '../errors.ts';

/** Bytes of a small JSON body. */
const SMALL_BYTES = 64 * 1024;

/** For routes whose body is a few fields: no more than that is ever read into memory. Throws `body_too_large`. */
export const smallBody = bodyLimit({
  maxSize: SMALL_BYTES,
  onError: () => {
    throw new RipcordError('body_too_large');
  },
});

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
