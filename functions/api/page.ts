/** `?limit=&before=` of lists. Pure. */
import type { PageEnd } from '#db';
import { RipcordError } from '../errors.ts';
import { isMoment } from './moment.ts';

/** Whole, from 1 to `most`; what is no number means the default. */
export function readLimit(text: string | undefined, usual: number, most: number): number {
  return Math.min(most, Math.max(1, Math.floor(Number(text ?? usual)) || usual));
}

/** The `next` of the page before; null: the first page. Throws `invalid_request`. */
export function readCursor(text: string | undefined): PageEnd | null {
  if (text === undefined) return null;
  const [, at, id] = /^(\d{1,15})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(text) ?? [];
  if (at === undefined || id === undefined || !isMoment(Number(at)))
    throw new RipcordError('invalid_request', { message: 'before: the next of the page before is expected.', param: 'before' });
  return { at: Number(at), id };
}

export function cursorText({ at, id }: PageEnd): string {
  return `${at}.${id}`;
}
