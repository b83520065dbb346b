/** Times as clients send them, within what the record can hold. Pure. */
import * as z from 'zod/mini';

/** Unix milliseconds; not in it. A year of five digits is none that Postgres reads. */
const END = Date.UTC(9999, 0, 1);

export function isMoment(ms: number): boolean {
  return ms >= 0 && ms < END;
}

/** ISO 8601 with an offset. */
export const moment = z.iso
  .datetime({ offset: true, error: 'a time as 2027-01-31T12:00:00Z is expected' })
  .check(z.refine((text) => isMoment(Date.parse(text)), 'a time from 1970 to 9998 is expected'));
