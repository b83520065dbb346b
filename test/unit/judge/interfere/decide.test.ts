import { expect, test } from 'vitest';
import type { Interference, Load } from '#protocol/audit.ts';
import { interference, settle, type Worked } from '../../../../validator-cron/interfere/decide.ts';
import { INSTANCES, trialsOf } from '../../../cheats/interference.ts';

/** Ten tokens a step before the work (from 8 s to 12 s), `during` while it goes on. */
function loadOf(during: number, before = 10): Load {
  const tokens = Array.from({ length: 80 }, (_, step) => (step >= 32 && step < 48 ? during : before));
  return { from: 1_000_000, step: 250, tokens, proofs: ['chl_1'] };
}
const worked = (of: Partial<Worked> = {}): Worked => ({
  device: 'agt_1/gpu0',
  idle: [100, 100, 100],
  loaded: 60,
  sentAt: 1_008_000,
  committedAt: 1_012_000,
  ...of,
});

test.for<{ what: string; load?: Load; of?: Partial<Worked>; end: Interference['end'] }>([
  { what: 'both are slowed', load: loadOf(6), end: 'together' },
  { what: 'both just enough', load: loadOf(8, 10), of: { loaded: 75 }, end: 'together' },
  { what: 'a proof that is hardly slowed', load: loadOf(6), of: { loaded: 76 }, end: 'apart' },
  { what: 'tokens that hardly fall', load: loadOf(9), end: 'apart' },
  { what: 'tokens at the very bound', load: loadOf(85, 100), end: 'together' },
  { what: 'tokens just above it', load: loadOf(86, 100), end: 'apart' },
  { what: 'neither', load: loadOf(10), of: { loaded: 100 }, end: 'apart' },
  { what: 'both faster', load: loadOf(20), of: { loaded: 130 }, end: 'apart' },
  { what: 'two proofs before', load: loadOf(6), of: { idle: [100, 100] }, end: 'unmeasured' },
  { what: 'no rate before', load: loadOf(6), of: { idle: [0, 0, 0] }, end: 'unmeasured' },
  { what: 'one proof among many that was fast', load: loadOf(6), of: { idle: [60, 61, 60, 900, 59] }, end: 'apart' },
  { what: 'an instance that did not answer', load: loadOf(0, 0), end: 'unmeasured' },
  { what: 'an instance that hardly answered', load: loadOf(0, 1), end: 'unmeasured' },
  { what: 'an instance that fell silent with the work', load: loadOf(0), end: 'together' },
  { what: 'work that was over at once', load: loadOf(6), of: { committedAt: 1_008_900 }, end: 'unmeasured' },
  { what: 'work before the load', load: loadOf(6), of: { sentAt: 990_000, committedAt: 994_000 }, end: 'unmeasured' },
  { what: 'work after the load', load: loadOf(6), of: { sentAt: 1_030_000, committedAt: 1_034_000 }, end: 'unmeasured' },
  { what: 'work that outlasts the load', load: loadOf(6), of: { loaded: 10, committedAt: 1_060_000 }, end: 'apart' },
  { what: 'a commit before its seed', load: loadOf(6), of: { committedAt: 0 }, end: 'unmeasured' },
  { what: 'a load that was cut off', load: { ...loadOf(6), tokens: [] }, end: 'unmeasured' },
])('$what: $end', ({ load = loadOf(6), of = {}, end }) => {
  expect(interference(load, [worked(of)]).end).toBe(end);
});

test('what was measured is told, in steps that lie wholly in the work', () => {
  expect(interference(loadOf(6), [worked({ sentAt: 1_008_100 })])).toEqual({
    end: 'together',
    device: 'agt_1/gpu0',
    idle: 100,
    loaded: 60,
    before: { tokens: 240, ms: 6_000 },
    during: { tokens: 90, ms: 3_750 },
  });
  expect(interference(loadOf(6), [])).toMatchObject({ end: 'unmeasured', device: null });
});

test('of several devices the one that was slowed most counts, and those without a measure do not', () => {
  const [free, slowed, fresh] = [
    worked({ device: 'a/1', loaded: 101 }),
    worked({ device: 'a/2' }),
    worked({ device: 'a/3', idle: [], loaded: 1 }),
  ];
  expect(interference(loadOf(6), [free, slowed, fresh])).toMatchObject({ end: 'together', device: 'a/2' });
  expect(interference(loadOf(6), [free, fresh])).toMatchObject({ end: 'apart', device: 'a/1' });
  expect(interference(loadOf(6), [fresh])).toMatchObject({ end: 'unmeasured', device: null });
});

test.for([
  { ends: ['together'], reason: 'interferes' },
  { ends: ['apart'], reason: 'unconfirmed' },
  { ends: ['apart', 'apart'], reason: 'apart' },
  { ends: ['apart', 'together'], reason: 'unconfirmed' },
  { ends: ['apart', 'together', 'apart'], reason: 'apart' },
  { ends: ['apart', 'together', 'together'], reason: 'interferes' },
  { ends: ['apart', 'unmeasured'], reason: 'unmeasured' },
  { ends: [], reason: 'unmeasured' },
] as const)('$ends: $reason', ({ ends, reason }) => {
  expect(settle(ends)).toBe(reason);
});

test.for([
  { who: 'honest', merits: 500, faults: 0 },
  { who: 'reseller', merits: 0, faults: 500 },
  { who: 'busy_reseller', merits: 0, faults: 500 },
] as const)('$who: $faults of 500 are called apart', ({ who, merits, faults }) => {
  expect(trialsOf(INSTANCES[who], 500, 7)).toMatchObject({ merits, faults });
});
