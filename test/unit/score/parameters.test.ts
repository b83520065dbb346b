/** The table keeps its own limits, and each limit can be broken. */
import { expect, test } from 'vitest';
import { brokenLimits, SCORING, scoringSha256, type Scoring } from '../../../validator-cron/score/parameters.ts';

const table = SCORING.mainnet;

test.each(Object.values(SCORING))('the table of $name', (scoring) => {
  expect(brokenLimits(scoring)).toEqual([]);
});

test.each<[string, Partial<Scoring>]>([
  ['window', { window: 0 }],
  ['capacity', { capacity: 1_001 }],
  ['emissionPerHour', { emissionPerHour: 0 }],
  ['fee', { fee: 1_001 }],
  ['usePay', { usePay: table.fee + 1 }],
  ['payer', { payer: 21 }],
  ['flash.quorum', { flash: { ...table.flash, quorum: 0 } }],
  ['flash.rounds, flash.late', { flash: { ...table.flash, late: 101 } }],
  ['flash.keep', { flash: { ...table.flash, keep: 1 } }],
  ['zSquared', { zSquared: 0.5 }],
  ['tests', { tests: 0 }],
  ['pings, calls', { pings: -1 }],
  ['latency: each', { latency: { ...table.latency, rtt: { whole: 5, least: 5 } } }],
  ['latency.firstByteShare', { latency: { ...table.latency, firstByteShare: 1_001 } }],
  ['latency.floor', { latency: { ...table.latency, floor: -1 } }],
  ['burnUid', { burnUid: 65_536 }],
])('a table that breaks the limit of %s', (limit, of) => {
  const broken = brokenLimits({ ...table, ...of });
  expect(broken).toHaveLength(1);
  expect(broken[0]).toContain(limit);
});

test('another number, another hash', () => {
  expect(scoringSha256(table)).toMatch(/^[0-9a-f]{64}$/);
  expect(scoringSha256({ ...table, payer: 19 })).not.toBe(scoringSha256(table));
});
