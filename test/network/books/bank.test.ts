import { expect, test } from 'vitest';
import { runBank } from './bank.ts';

test('32 clients, Postgres killed twice: nothing lost, nothing twice, right whenever one looks', async () => {
  const figures = await runBank({ clients: 32, accounts: 12, miners: 5, operations: 1500, kills: 2, seed: Date.now() });
  console.log(JSON.stringify(figures));
  expect(figures.faults).toEqual([]);
  expect(figures.kills).toBe(2);
  expect(figures.calls).toBeGreaterThan(500);
  expect(figures.repeated).toBeGreaterThan(0);
  expect(figures.looks).toBeGreaterThan(2);
});
