/** `?limit=&before=` of lists of calls. Pure. */
import type { CallsCursor } from '#db';
import { RipcordError } from '../errors.ts';

/** Whole, from 1 to `most`; what is no number means the default. */
export function readLimit(text: string | undefined, usual: number, most: number): number {
  return Math.min(most, Math.max(1, Math.floor(Number(text ?? usual)) || usual));
}

/** The `next` of the page before; null: the first page. Throws `invalid_request`. */
export function readCursor(text: string | undefined): CallsCursor | null {
  if (text === undefined) return null;
  const [, closedAt, callId] = /^(\d{1,15})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text) ?? [];
  if (closedAt === undefined || callId === undefined)
    throw new RipcordError('invalid_request', { message: 'before: the next of the page before is expected.', param: 'before' });
  return { closedAt: Number(closedAt), callId };
}

export function cursorText({ closedAt, callId }: CallsCursor): string {
  return `${closedAt}.${callId}`;
}
