/** Days, weeks and months of UTC, in Unix milliseconds. Pure. */
const DAY_MS = 86_400_000;

export type Period = 'day' | 'week' | 'month';
export const PERIODS = ['day', 'week', 'month'] as const satisfies Period[];

/** When the period that `at` is in began; a week begins on Monday. */
export function startOf(period: Period, at: number): number {
  const day = Math.floor(at / DAY_MS);
  if (period === 'day') return day * DAY_MS;
  if (period === 'week') return (day - ((((day + 3) % 7) + 7) % 7)) * DAY_MS; // 1 January 1970 was a Thursday
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

/** When the next one begins. */
export function endOf(period: Period, at: number): number {
  const start = startOf(period, at);
  if (period === 'day') return start + DAY_MS;
  if (period === 'week') return start + 7 * DAY_MS;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
