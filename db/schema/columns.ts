/** The columns that the tables share. */
import { bigint, customType, timestamp } from 'drizzle-orm/pg-core';

export const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date', precision: 3 });
/** A count that stays below 2^53. */
export const big = (name: string) => bigint(name, { mode: 'number' });
/** Nano-USD, or rao. */
export const money = (name: string) => bigint(name, { mode: 'bigint' });
/** Hex text, as `\x…`. */
export const bytes = customType<{ data: string }>({ dataType: () => 'bytea' });
/** The transaction that wrote a row. */
export const transactionId = customType<{ data: string }>({ dataType: () => 'xid8' });
