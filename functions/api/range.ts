/** `?from=&to=` of reports. Pure. */
import * as z from 'zod/mini';
import { RipcordError } from '../errors.ts';
import { isMoment, moment } from './moment.ts';

const DAY_MS = 86_400_000;

/** The longest range of one report. */
export const LONGEST_DAYS = 92;
/** Days of a report that does not say, today included. */
const USUAL_DAYS = 30;

export interface Range {
  from: Date;
  /** Not in it. */
  to: Date;
}

/**
 * Each a time (ISO 8601) or a date of UTC; a date alone means the whole day, as `from` and as `to`. Throws `invalid_request`.
 */
export function readRange(ask: { from?: string | undefined; to?: string | undefined }, nowMs: number): Range {
  const to = ask.to === undefined ? nowMs : momentOf('to', ask.to, DAY_MS);
  const from = ask.from === undefined ? startOfDay(to - 1) - (USUAL_DAYS - 1) * DAY_MS : momentOf('from', ask.from, 0);
  if (from >= to) throw new RipcordError('invalid_request', { message: 'from is not before to.', param: 'from' });
  if (to - from > LONGEST_DAYS * DAY_MS)
    throw new RipcordError('invalid_request', { message: `A report covers at most ${LONGEST_DAYS} days.`, param: 'from' });
  return { from: new Date(from), to: new Date(to) };
}

function momentOf(param: string, text: string, dayEndMs: number): number {
  const isDate = z.iso.date().safeParse(text).success;
  const at = isDate ? Date.parse(`${text}T00:00:00Z`) + dayEndMs : Date.parse(text);
  if ((isDate && isMoment(at)) || moment.safeParse(text).success) return at;
  throw new RipcordError('invalid_request', { message: `${param}: a date or a time in ISO 8601, from 1970 to 9998, is expected.`, param });
}

function startOfDay(ms: number): number {
  return Math.floor(ms / DAY_MS) * DAY_MS;
}
