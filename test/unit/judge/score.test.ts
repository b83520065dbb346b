import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FULL_SCORE, REASON_NAMES, type Observation } from '#protocol/audit.ts';
import { lowerBound, score } from '../../../validator-cron/score.ts';
import { ALICE, anObservation, BOB } from './made.ts';

const epoch = { start: 3600, seconds: 3600, round: 119 };

const observation = fc.record({
  id: fc.nat({ max: 60 }).map((n) => `obs_${n}`),
  type: fc.constantFrom('rtt', 'canary'),
  hotkey: fc.constantFrom(ALICE, BOB),
  epoch: fc.constantFrom(3600, 3600, 3600, 0, 7200),
  reason: fc.constantFrom(...REASON_NAMES),
  value_ms: fc.option(fc.nat({ max: 3_600_000 }), { nil: null }),
  first_byte_ms: fc.option(fc.nat({ max: 30_000 }), { nil: null }),
  at: fc.integer({ min: 3_500_000, max: 8_000_000 }),
});
const observations = fc.array(observation.map(anObservation), { maxLength: 80 });
/** Each id once: what the edge's store holds. */
const stored = observations.map((all) => all.map((o, i): Observation => ({ ...o, id: `obs_${i}`, epoch: 3600, at: 3_700_000 })));

const scoreOf = (records: Observation[], hotkey = ALICE) => score(records, epoch).find((s) => s.hotkey === hotkey)?.score ?? 0;

describe('whatever was observed', () => {
  test('order does not matter', () => {
    fc.assert(
      fc.property(
        observations.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([all, shuffled]) => {
          expect(score(shuffled, epoch)).toEqual(score(all, epoch));
        },
      ),
    );
  });

  test('duplicates, late records and records of other epochs change nothing', () => {
    fc.assert(
      fc.property(stored, fc.nat(), (all, at) => {
        const some = all[at % Math.max(1, all.length)];
        const late = anObservation({ id: 'obs_late', at: 7_800_000, reason: 'broken' });
        const early = anObservation({ id: 'obs_early', at: 3_599_999, reason: 'broken' });
        const other = anObservation({ id: 'obs_other', epoch: 7200, reason: 'broken' });
        expect(score([...all, ...(some === undefined ? [] : [some, { ...some }]), late, early, other], epoch)).toEqual(score(all, epoch));
      }),
    );
  });

  test('every number is a whole one within its bounds', () => {
    fc.assert(
      fc.property(observations, (all) => {
        for (const s of score(all, epoch)) {
          for (const value of [s.score, s.parts.success, s.parts.availability, s.parts.latency]) {
            expect(Number.isInteger(value) && value >= 0 && value <= FULL_SCORE).toBe(true);
          }
        }
      }),
    );
  });

  test('a fault never helps, for canaries and pings alike', () => {
    fc.assert(
      fc.property(stored, fc.constantFrom('rtt', 'canary'), (all, type) => {
        const fault = anObservation({
          id: 'obs_fault',
          type,
          reason: type === 'rtt' ? 'silent' : 'broken',
          value_ms: null,
          first_byte_ms: null,
        });
        expect(scoreOf([...all, fault])).toBeLessThanOrEqual(scoreOf(all));
      }),
    );
  });

  test('an instant answer never hurts', () => {
    fc.assert(
      fc.property(stored, fc.constantFrom('rtt', 'canary'), (all, type) => {
        const merit = anObservation({ id: 'obs_merit', type, value_ms: 0, first_byte_ms: 0 });
        expect(scoreOf([...all, merit])).toBeGreaterThanOrEqual(scoreOf(all));
      }),
    );
  });

  test('being slower never helps', () => {
    fc.assert(
      fc.property(stored, fc.nat(), fc.nat({ max: 20_000 }), (all, at, more) => {
        const slower = all.map((o, i) =>
          i === at % all.length ? { ...o, value_ms: (o.value_ms ?? 0) + more, first_byte_ms: (o.first_byte_ms ?? 0) + more } : o,
        );
        const measured = all.map((o) => ({ ...o, value_ms: o.value_ms ?? 0, first_byte_ms: o.first_byte_ms ?? 0 }));
        expect(scoreOf(slower.map((o) => ({ ...o, value_ms: o.value_ms ?? 0, first_byte_ms: o.first_byte_ms ?? 0 })))).toBeLessThanOrEqual(
          scoreOf(measured),
        );
      }),
    );
  });

  test('what is nobody’s doing changes nothing', () => {
    fc.assert(
      fc.property(stored, fc.constantFrom('busy', 'refused', 'edge_failed'), (all, reason) => {
        expect(score([...all, anObservation({ id: 'obs_void', reason })], epoch)).toEqual(score(all, epoch));
      }),
    );
  });

  test('one miner’s records never move another’s score', () => {
    fc.assert(
      fc.property(stored, (all) => {
        expect(
          scoreOf(
            all.filter((o) => o.hotkey === BOB),
            BOB,
          ),
        ).toBe(scoreOf(all, BOB));
      }),
    );
  });
});

test('the same records give these very numbers', () => {
  const hour = Array.from({ length: 60 }, (_, i) => [
    anObservation({ id: `obs_c${i}`, reason: i % 20 === 0 ? 'broken' : 'answered' }),
    anObservation({ id: `obs_p${i}`, type: 'rtt', value_ms: 40, reason: i === 7 ? 'silent' : 'answered' }),
  ]).flat();
  expect(score(hour, epoch)).toEqual([
    {
      hotkey: ALICE,
      epoch: 3600,
      round: 119,
      score: 848_608,
      parts: {
        success: 862_992,
        availability: 983_333,
        latency: 1_000_000,
        canaries: 60,
        canaries_ok: 57,
        pings: 60,
        pings_ok: 59,
      },
    },
  ]);
});

/** Against the formula in floating point. */
test.for([
  [0, 0],
  [0, 9],
  [1, 1],
  [5, 10],
  [60, 60],
  [1439, 1440],
])('the lower bound of %i of %i', ([s = 0, n = 0]) => {
  const z2 = 3.8416;
  const exact = n === 0 ? 0 : (s + z2 / 2 - Math.sqrt((z2 * s * (n - s)) / n + (z2 * z2) / 4)) / (n + z2);
  expect(Math.abs(lowerBound(s, n) - exact * FULL_SCORE)).toBeLessThan(1);
});

test('no canary, no score; no ping is not held against a miner', () => {
  expect(scoreOf([anObservation({ type: 'rtt', value_ms: 1 })])).toBe(0);
  expect(score([anObservation()], epoch)[0]?.parts.availability).toBe(FULL_SCORE);
  expect(score([], epoch)).toEqual([]);
});
