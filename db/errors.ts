/** What a failed statement means. */
import { DrizzleQueryError } from 'drizzle-orm/errors';

/** SQLSTATE of a failure, wherever drizzle and the driver put it; null: Postgres did not answer. */
export function sqlState(error: unknown): string | null {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    if ('code' in cause && typeof cause.code === 'string' && /^[0-9A-Z]{5}$/.test(cause.code)) return cause.code;
  }
  return null;
}

/** Whether what a row holds is at fault (data exception, constraint): the same statement fails for ever. */
export function isRowFault(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state.startsWith('22') || state.startsWith('23'));
}

/** Whether Postgres did not answer at all: the same statement may work later. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof DrizzleQueryError && sqlState(error) === null;
}
