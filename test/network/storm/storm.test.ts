/** A tenth of the storm of `npm run test:long`. */
import { expect, test } from 'vitest';
import { storm } from './storm.ts';

test('agents race for one grant; a full restart loses none and grants nothing twice; all look at the market', async () => {
  const figures = await storm({ agents: 200, pollers: 500, pollMs: 2_000 });
  expect(figures).toMatchObject({ grants: 1, grantsAfter: 0, back: 200, polls: { failed: 0 } });
  expect(figures.polls.polls).toBeGreaterThanOrEqual(100);
});
