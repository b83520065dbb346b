/** From agents to the chain and back: what miners prove is what they get, and anyone can make the numbers again. */
import { expect, test } from 'vitest';
import { judged, type Judged } from './judged.ts';

test('weights come to the chain as replay says: by rate for the honest, nothing for who cheats', { timeout: 300_000 }, async () => {
  const { epochs, miners } = await judged({ characters: ['honest', 'slow', 'lazy'], epochs: 1, epochSeconds: 20 });
  for (const { verify, said } of epochs) expect(verify, said).toBe(0);
  expectJustice(miners);
});

function expectJustice(miners: Judged['miners']): void {
  const of = (character: string) => miners.filter((miner) => miner.character === character);
  for (const cheat of [...of('lazy'), ...of('replayer')]) expect(cheat).toMatchObject({ weight: 0, incentive: 0, gated: true, after: 0 });
  const [fast, slow] = [of('honest')[0], of('slow')[0]];
  expect(slow?.weight).toBeGreaterThan(0);
  expect(fast?.weight).toBeGreaterThan(slow?.weight ?? Infinity);
}
