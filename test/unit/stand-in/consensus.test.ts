/** What an epoch makes of weights and stake, in tables. */
import { describe, expect, test } from 'vitest';
import { runEpoch, type EpochAsk } from '../../../dev/chain/consensus.ts';
import { ITEMS } from '../../../dev/chain/state.ts';
import { JUDGE, NETUID, setCall, signed, stage, submit } from './stage.ts';

const KAPPA = 32_767;
const epoch = (ask: Partial<EpochAsk> & Pick<EpochAsk, 'stakes' | 'weights'>) =>
  runEpoch({ permits: ask.stakes.map((stake) => stake > 0n), kappa: KAPPA, emission: 1_000_000n, ...ask });

describe('incentive', () => {
  test.each<[string, Pick<EpochAsk, 'stakes' | 'weights'> & Partial<EpochAsk>, number[]]>([
    ['nobody weighs: nobody earns', { stakes: [10n, 0n, 0n], weights: [[], [], []] }, [0, 0, 0]],
    [
      'one validator is the majority',
      {
        stakes: [10n, 0n, 0n],
        weights: [
          [
            [1, 1],
            [2, 3],
          ],
          [],
          [],
        ],
      },
      [0, 16_383, 49_151],
    ],
    [
      'who has no permit is not heard',
      { stakes: [10n, 90n, 0n, 0n], permits: [true, false, false, false], weights: [[[2, 1]], [[3, 1]], [], []] },
      [0, 0, 65_535, 0],
    ],
    [
      'weights for oneself do not count',
      {
        stakes: [10n, 0n],
        weights: [
          [
            [0, 9],
            [1, 1],
          ],
          [],
        ],
      },
      [0, 65_535],
    ],
    ['a minority cannot lift its friend', { stakes: [60n, 40n, 0n, 0n], weights: [[[2, 1]], [[3, 1]], [], []] }, [0, 0, 65_535, 0]],
    [
      'a minority cannot lift anyone above what the majority gives',
      {
        stakes: [60n, 40n, 0n, 0n],
        weights: [
          [
            [2, 1],
            [3, 1],
          ],
          [
            [2, 0],
            [3, 1],
          ],
          [],
          [],
        ],
      },
      [0, 0, 24_575, 40_959],
    ],
    [
      'halves that do not agree both count, as either is enough',
      { stakes: [50n, 50n, 0n, 0n], weights: [[[2, 1]], [[3, 1]], [], []] },
      [0, 0, 32_767, 32_767],
    ],
    [
      'uids that there are not are left out',
      {
        stakes: [10n, 0n],
        weights: [
          [
            [1, 1],
            [9, 7],
          ],
          [],
        ],
      },
      [0, 65_535],
    ],
  ])('%s', (_, ask, due) => {
    expect(epoch(ask).incentive).toEqual(due);
  });
});

test('half of the emission goes to miners, half to validators by what they brought about', () => {
  const weights: EpochAsk['weights'] = [[[2, 1]], [[2, 1]], []];
  const { emission, dividends } = epoch({ stakes: [75n, 25n, 0n], weights });
  expect(emission).toEqual([375_000n, 125_000n, 500_000n]);
  expect(dividends).toEqual([49_151, 16_383, 0]);
});

test('nothing is handed out twice', () => {
  const stakes = [13n, 29n, 7n, 0n, 0n, 0n];
  const weights: EpochAsk['weights'] = [
    [
      [3, 7],
      [4, 11],
    ],
    [
      [4, 5],
      [5, 1],
    ],
    [
      [3, 1],
      [5, 60_000],
    ],
    [],
    [],
    [],
  ];
  const { emission, incentive } = epoch({ stakes, weights });
  expect(emission.reduce((sum, rao) => sum + rao, 0n)).toBeLessThanOrEqual(1_000_000n);
  expect(incentive.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(65_535);
});

test('an epoch of the chain hands out what its blocks brought, and the next begins', () => {
  const s = stage({ tempo: 20 });
  submit(s, signed(s, JUDGE, setCall([2, 3], [1, 3])));
  s.grow(10);
  const { state } = s.chain.best;
  expect(state.get(ITEMS.incentive, NETUID)).toEqual([0, 0, 16_383, 49_151]);
  // 20 alpha; 18 % are the owner's, of the rest half is the miners'.
  expect(state.get(ITEMS.emission, NETUID)).toEqual([0n, 8_200_000_000n, 2_050_000_000n, 6_150_000_000n]);
  expect([state.get(ITEMS.epochIndex, NETUID), state.get(ITEMS.lastEpoch, NETUID), state.get(ITEMS.sinceStep, NETUID)]).toEqual([
    1n,
    20n,
    0n,
  ]);
  expect(state.get(ITEMS.permits, NETUID)).toEqual([false, true, false, false]);
  s.grow(20);
  expect(s.chain.best.state.get(ITEMS.lastEpoch, NETUID)).toBe(40n);
});
