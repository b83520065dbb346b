/** From agents to the chain and back: what miners prove is what they get, and anyone can make the numbers again. */
import { expect, test } from 'vitest';
import { injustice, judged } from './judged.ts';

test('weights come to the chain as replay says: by rate for the honest, nothing for who cheats', { timeout: 400_000 }, async () => {
  const came = await judged({ characters: ['honest', 'slow', 'lazy'], epochs: 1, epochSeconds: 20 });
  expect(injustice(came), JSON.stringify(came.miners)).toEqual([]);
});
