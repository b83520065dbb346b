/** Weights as they go to the chain. */
import { expect, test } from 'vitest';
import { SCORING, SHARE } from '../../../validator-cron/score/parameters.ts';
import type { MinerScore } from '../../../validator-cron/score/score.ts';
import { weigh } from '../../../validator-cron/score/weigh.ts';
import { key } from './made.ts';

function scores(shares: Record<string, number>): MinerScore[] {
  const of = { clean: true, quality: 0, tests: 0, calls: 0, latency: 0, capacity: 0, use: 0 };
  return Object.entries(shares).map(([name, part]) => ({ hotkey: key(name), entity: key(name), share: Math.floor(part * SHARE), ...of }));
}
const neurons = ['owner', 'alice', 'bob', 'carol'].map((name, uid) => ({ uid, hotkey: key(name) }));

test.each([
  ['what nobody earned is burned', { alice: 0.5, bob: 0.25 }, neurons, [0, 1, 2], [16_384, 32_767, 16_384]],
  ['a miner of nothing is left out', { alice: 0.5, bob: 0 }, neurons, [0, 1], [32_768, 32_767]],
  ['a miner that is not registered: its share is burned', { alice: 0.5, stranger: 0.5 }, neurons, [0, 1], [32_768, 32_767]],
  ['nothing earned: all is burned', {}, neurons, [0], [65_535]],
  ['the owner mines too', { owner: 0.5, alice: 0.5 }, neurons, [0, 1], [32_768, 32_767]],
  ['three equal ones', { alice: 1 / 3, bob: 1 / 3, carol: 1 / 3 }, neurons, [1, 2, 3], [21_845, 21_845, 21_845]],
  ['no burn uid: what was earned is all there is', { alice: 0.2, bob: 0.1 }, neurons.slice(1), [1, 2], [43_690, 21_845]],
  ['no burn uid and nothing earned', {}, neurons.slice(1), [], []],
])('%s', (_, shares, registered, uids, values) => {
  expect(weigh(scores(shares), registered, SCORING.mainnet)).toEqual({ uids, values });
});
