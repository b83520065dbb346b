/** Reports look at many rows of Postgres, which all accounts share: of one account a few are made at a time (per isolate). */
import { RipcordError } from '../errors.ts';

export const REPORTS = {
  /** Of one account at a time. */
  together: 8,
  /** Milliseconds after which one is not counted any more: where a client leaves, its end may never be told. */
  forgottenMs: 20_000,
} as const;

/** Unix milliseconds when those that run began, by account. */
const running = new Map<string, number[]>();

/** Throws `rate_limited`, or what `work` throws. */
export async function report<T>(account: string, now: number, work: () => Promise<T>): Promise<T> {
  const others = (running.get(account) ?? []).filter((at) => at > now - REPORTS.forgottenMs);
  if (others.length >= REPORTS.together)
    throw new RipcordError('rate_limited', { message: `${others.length} reports of this account are being made.`, retryAfterMs: 1_000 });
  running.set(account, [...others, now]);
  try {
    return await work();
  } finally {
    ended(account, now);
  }
}

function ended(account: string, at: number): void {
  const all = running.get(account) ?? [];
  const place = all.indexOf(at);
  const left = all.filter((_, k) => k !== place);
  if (left.length === 0) running.delete(account);
  else running.set(account, left);
}
