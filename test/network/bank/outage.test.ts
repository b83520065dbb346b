import { expect, test } from 'vitest';
import { outage } from './outage.ts';

test('Postgres away for a while costs accounts with a lease nothing', { timeout: 400_000 }, async () => {
  const figures = await outage({ accounts: 100, perSecond: 100, seconds: 20, seed: 2 });
  expect(figures.broken).toEqual([]);
  expect(figures.failed / figures.calls, JSON.stringify(figures)).toBeLessThanOrEqual(0.001);
});
