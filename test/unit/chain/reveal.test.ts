/** When commits open: the chain's own walk over its blocks, against what is told beforehand. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { QUICKNET, publishedAt } from '#protocol/challenge/beacon.ts';
import type { EpochClock } from '../../../functions/chain/subnet.ts';
import { nextEpoch, revealBlock, revealRound } from '../../../validator-cron/chain/reveal.ts';

const clock = (of: Partial<EpochClock>): EpochClock => ({ tempo: 50, last: 0, pending: 0, index: 0, since: 0, ...of });

test.each([
  ['the next epoch', clock({ last: 10 }), 10, 1, 60],
  ['one that was put off', clock({ last: 80, pending: 95, tempo: 20 }), 91, 1, 95],
  ['two epochs on', clock({ last: 10 }), 10, 2, 110],
  ['a commit in the block an epoch starts at', clock({ last: 10 }), 59, 1, 110],
  ['a period of none', clock({ last: 10 }), 20, 0, 21],
  ['no step for too long', clock({ last: 40_000, tempo: 50_000, since: 50_400 }), 60_000, 1, 110_001],
])('%s', (_, of, at, period, due) => {
  expect(revealBlock(of, at, period)).toBe(due);
});

test('without epochs, or more of them ahead than are looked at, nothing opens', () => {
  expect(revealBlock(clock({ tempo: 0 }), 10, 1)).toBeNull();
  expect(revealBlock(clock({ tempo: 360 }), 10, 129)).toBeNull();
  expect(nextEpoch(clock({ tempo: 0 }), 10)).toBeNull();
});

/** The runtime, block by block: `run_coinbase` after `BlocksSinceLastStep` went up. */
function walked(of: EpochClock, at: number, period: number): number | null {
  const state = { ...of };
  let commitEpoch: number | null = null;
  for (let block = at + 1; block < at + 2_000; block++) {
    state.since++;
    const due = (state.pending > 0 && block >= state.pending) || state.since > 50_400 || block - state.last >= state.tempo;
    const epoch = state.index + (due ? 1 : 0);
    commitEpoch ??= epoch;
    if (epoch === commitEpoch + period) return block;
    if (due) Object.assign(state, { last: block, pending: 0, index: state.index + 1, since: 0 });
  }
  return null;
}

test('it is the block that the chain walks to', () => {
  const any = fc.record({
    tempo: fc.integer({ min: 1, max: 90 }),
    ago: fc.integer({ min: 0, max: 200 }),
    pending: fc.integer({ min: 0, max: 60 }),
    since: fc.oneof(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 50_350, max: 50_400 })),
    period: fc.integer({ min: 0, max: 6 }),
  });
  fc.assert(
    fc.property(any, ({ tempo, ago, pending, since, period }) => {
      const at = 100_000;
      const of = clock({ tempo, last: at - ago, pending: pending === 0 ? 0 : at + pending - 20, since, index: 7 });
      expect(revealBlock(of, at, period)).toBe(walked(of, at, period));
    }),
    { numRuns: 300 },
  );
});

const facts = { clock: clock({ last: 10 }), at: 10, atMs: 1_700_000_000_000, blockMs: 12_000, period: 1, beaconRound: 5 };

test('the round is out three blocks into that epoch, and not before', () => {
  const round = revealRound(QUICKNET, facts) ?? 0;
  const openMs = facts.atMs + 53 * 12_000;
  expect(publishedAt(QUICKNET, round)).toBeLessThanOrEqual(openMs);
  expect(publishedAt(QUICKNET, round + 2)).toBeGreaterThan(openMs);
  expect(round).toBe(2_399_089);
});

test('the chain takes no round that it has, and none before the first', () => {
  expect(revealRound(QUICKNET, { ...facts, beaconRound: 9_000_000 })).toBe(9_000_001);
  expect(revealRound(QUICKNET, { ...facts, atMs: 0, beaconRound: 0 })).toBe(1);
  expect(revealRound(QUICKNET, { ...facts, clock: clock({ tempo: 0 }) })).toBeNull();
});
