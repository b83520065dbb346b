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

/** Whether a text holds what Postgres takes in none: U+0000. */
export function isBadText(error: unknown): boolean {
  const state = sqlState(error);
  return state === '22021' || state === '22P05';
}

/** Whether Postgres did not answer at all: the same statement may work later. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof DrizzleQueryError && sqlState(error) === null;
}

/** Whether a call belongs to a lease that an operator took back. */
export function isFenced(error: unknown): boolean {
  return sqlState(error) === 'RC410';
}

/** Whether this `ref` made another transfer already. */
export function isConflict(error: unknown): boolean {
  return sqlState(error) === 'RC409';
}

/** Whether what was named does not exist. */
export function isUnknown(error: unknown): boolean {
  return sqlState(error) === 'RC404';
}

/** Whether a purse, a lease or a call has too little for this. */
export function isUncovered(error: unknown): boolean {
  return sqlState(error) === 'RC402' || (sqlState(error) === '23514' && COVER.has(constraintOf(error) ?? ''));
}

const COVER = new Set(['purses_floor', 'leases_spent']);

function constraintOf(error: unknown): string | null {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    if ('constraint' in cause && typeof cause.constraint === 'string') return cause.constraint;
  }
  return null;
}
