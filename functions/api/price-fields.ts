/** Fields of a price as clients send them. */
import * as z from 'zod/mini';
import { moment } from './moment.ts';

/** Absent or null: none. */
export const time = z.nullish(moment);
/** Ten-thousandths. */
export const bps = z.number().check(z.int(), z.gte(0), z.lte(10_000));
export const note = z.string().check(z.maxLength(200), z.regex(/^\P{Cc}*$/u, 'a text of one line is expected'));

/** Unix milliseconds. */
export function millis(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Date.parse(text);
}
