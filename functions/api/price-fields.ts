/** Fields of a price as clients send them. */
import * as z from 'zod/mini';

/** ISO 8601 with an offset; absent or null: none. */
export const time = z.nullish(z.iso.datetime({ offset: true, error: 'a time as 2027-01-31T12:00:00Z is expected' }));
/** Ten-thousandths. */
export const bps = z.number().check(z.int(), z.gte(0), z.lte(10_000));
export const note = z.string().check(z.maxLength(200));

/** Unix milliseconds. */
export function millis(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Date.parse(text);
}
