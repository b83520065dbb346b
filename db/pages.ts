/** Lists of which the newest come first, page by page. */
import { and, lt, lte, or, type Column, type SQL } from 'drizzle-orm';

/** Where a page ended: the next one starts below it. Many rows may be of one moment, so their ids count too. */
export interface PageEnd {
  /** Unix milliseconds. */
  at: number;
  /** A UUID. */
  id: string;
}

/** What comes after it; undefined: everything. */
export function below(end: PageEnd | null, at: Column, id: Column): SQL | undefined {
  if (end === null) return undefined;
  const moment = new Date(end.at);
  return and(lte(at, moment), or(lt(at, moment), lt(id, end.id)));
}
