/** A JSON body, checked at the door. */
import type { Context } from 'hono';
import * as z from 'zod/mini';
import { firstIssue } from '#protocol';
import { RipcordError } from '../errors.ts';

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
