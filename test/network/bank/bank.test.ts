import { expect, test } from 'vitest';
import { bank } from './bank.ts';

test('what the ledger took is what the engines’ receipts come to, whatever breaks', { timeout: 600_000 }, async () => {
  const figures = await bank({ calls: 2_000, accounts: 50, clients: 32, seed: 1, kills: 2, evictions: 12 });
  expect(figures).toMatchObject({ failed: {}, differing: [], broken: [] });
  expect(figures.charged - figures.recomputed).toBe(0n);
  expect(figures.captures).toBe(figures.calls);
  expect(figures.trouble).toMatchObject({ kills: 2, evictions: 12 });
  expect(Math.min(figures.trouble.duplicated, figures.trouble.delayed, figures.trouble.lost)).toBeGreaterThan(0);
});
