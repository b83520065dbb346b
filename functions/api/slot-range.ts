/** `?slot_from=&slot_to=&after=` of lists by slot. Pure. */
import * as z from 'zod/mini';
import { RipcordError } from '../errors.ts';

/** Unix seconds. */
export const slotText = z.pipe(z.string().check(z.regex(/^[0-9]{1,11}$/, 'Unix seconds are expected')), z.transform(Number));

/** `slot.id`, the `next` of the page before. Throws `invalid_request`. */
export function slotPlace(text: string | undefined): { slot: number; id: string } | null {
  const [place] = parse(text, 2);
  return place ?? null;
}

/** `slot.id.judge`, likewise. */
export function judgePlace(text: string | undefined): { slot: number; id: string; judge: string } | null {
  const [place] = parse(text, 3);
  return place ?? null;
}

function parse(text: string | undefined, parts: 2 | 3): { slot: number; id: string; judge: string }[] {
  if (text === undefined) return [];
  const [slot = '', id = '', judge = '', ...more] = text.split('.');
  const whole = /^[0-9]{1,11}$/.test(slot) && id !== '' && (parts === 3) === (judge !== '') && more.length === 0;
  if (!whole) throw new RipcordError('invalid_request', { message: 'after: the next of the page before is expected.', param: 'after' });
  return [{ slot: Number(slot), id, judge }];
}
