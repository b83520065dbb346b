import { expect, test } from 'vitest';
import { runBank, type Plant } from './bank.ts';

test('32 clients, Postgres killed twice: nothing lost, nothing twice, right whenever one looks', async () => {
  const figures = await runBank({ clients: 32, accounts: 12, miners: 5, operations: 1500, kills: 2, seed: Date.now() });
  console.log(JSON.stringify(figures));
  expect(figures.faults).toEqual([]);
  expect(figures.kills).toBe(2);
  expect(figures.calls).toBeGreaterThan(500);
  expect(figures.repeated).toBeGreaterThan(0);
  expect(figures.looks).toBeGreaterThan(0);
});

test.each<[string, Plant, RegExp]>([
  ['a batch that comes again is charged again', { in: 'flush_calls', find: 'AND c.account_id = payer', put: 'AND false' }, /23505/],
  ['a credit is folded twice', { in: 'fold', find: '+ due.amount', put: '+ 2 * due.amount' }, /I3 /],
  ['nobody locks the chain', { in: 'lock_chain', find: 'FOR UPDATE', put: '' }, /23505|40P01|I14 /],
  [
    'a fenced lease stays held',
    { in: 'hold_lease', find: "WHEN new.state = 'closed' THEN 0", put: "WHEN new.state = 'gone' THEN 0" },
    /I4 /,
  ],
  ['refunds are not added up', { in: 'check_refund', find: '<= c.cost_nanousd', put: '>= 0' }, /I7 |23514|gave back/],
])('a planted mistake is found: %s', async (_, plant, found) => {
  const { faults } = await runBank({ clients: 16, accounts: 3, miners: 2, operations: 3000, kills: 0, seed: 7 }, [plant]);
  expect(faults.join('\n')).toMatch(found);
});
