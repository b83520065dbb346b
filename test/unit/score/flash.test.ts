/** What counts as proven: the table of tricks with one GPU behind several names, and of honest bad luck. */
import { expect, test } from 'vitest';
import { chain, HOUR, input, key, line, presence, START, summary, trial, type Trial } from './made.ts';
import { summarise } from '../../../validator-cron/score/summarise.ts';

const H100 = 285_000_000;
/** Two flashes of the epoch, and a third at its very end. */
const [FIRST, SECOND, LAST] = [START + 600, START + 1800, START + HOUR - 60];

/** Both tests of a device at a flash. */
function flash(target: string, slot: number, of: Parameters<typeof trial>[2] = {}): Trial[] {
  return [
    trial('miner', target, { slot, round: slot / 3, ...of }),
    trial('miner', target, { slot, round: slot / 3, kind: 'pow.mem', rate: 1 }),
  ];
}

function provenOf(trials: Trial[], of: { devices?: string[]; since?: number; carried?: { target: string; slot: number }[] } = {}) {
  const previous = summary(
    [
      line('miner', {
        rates: (of.carried ?? []).map(({ target, slot }) => ({
          target,
          rate: H100,
          rate_slot: slot,
          memory_mb: 81_920,
          memory_slot: slot,
          class: 'h100',
        })),
      }),
    ],
    START - HOUR,
  );
  const devices = of.devices ?? ['a/1', 'a/2', 'a/3', 'a/4'];
  const made = summarise(input({ trials, previous, presence: devices.map((d) => presence('miner', d, { since: of.since ?? 0 })) }));
  return (made.miners[0]?.rates ?? []).filter((r) => r.rate > 0).map((r) => r.target);
}

test('who passes a flash is proven, who fails it in any way is not', () => {
  const bad = (['too_slow', 'too_fast', 'no_commit', 'wrong_leaf', 'disconnected', 'unproven'] as const).map((reason, i) =>
    trial('miner', `a/${i + 2}`, { reason }),
  );
  expect(provenOf([trial('miner', 'a/1'), ...bad], { devices: ['a/1', 'a/2', 'a/3', 'a/4', 'a/5', 'a/6', 'a/7'] })).toEqual(['a/1']);
});

test('one GPU behind four names, each in time at another flash, is one GPU at any time', () => {
  const turn = (slot: number, passes: string) =>
    ['a/1', 'a/2', 'a/3', 'a/4'].map((d) => trial('miner', d, { slot, round: slot / 3, reason: d === passes ? 'proven' : 'too_slow' }));
  expect(provenOf([...turn(FIRST, 'a/1'), ...turn(SECOND, 'a/2')])).toEqual(['a/2']);
});

test('a repeat and the test of a newcomer prove nothing: they do not come all at once', () => {
  expect(provenOf([trial('miner', 'a/1', { scheduled: false })])).toEqual([]);
  expect(provenOf([trial('miner', 'a/1', { slot: START + 60 })], { since: START })).toEqual([]);
  expect(provenOf([trial('miner', 'a/1', { slot: START + 120 })], { since: START })).toEqual(['a/1']);
});

test('a seed of a later round is another moment', () => {
  expect(provenOf([trial('miner', 'a/1'), trial('miner', 'a/2', { round: 5_001 })])).toEqual(['a/1']);
});

test('a name that goes away before a flash is not proven any more', () => {
  const carried = ['a/1', 'a/2', 'a/3', 'a/4'].map((target) => ({ target, slot: START - 7200 }));
  expect(provenOf([trial('miner', 'a/1'), trial('miner', 'a/2')], { carried })).toEqual(['a/1', 'a/2']);
});

test('what was proven stays so while no flash comes, up to its time', () => {
  expect(provenOf([], { carried: [{ target: 'a/1', slot: START - 7200 }] })).toEqual(['a/1']);
  expect(provenOf([], { carried: [{ target: 'a/1', slot: START + HOUR - 48 * HOUR }] })).toEqual(['a/1']);
  expect(provenOf([], { carried: [{ target: 'a/1', slot: START + HOUR - 48 * HOUR - 60 }] })).toEqual([]);
});

test('a slot in which most of the proven devices were left out is no flash', () => {
  const carried = ['a/1', 'a/2', 'a/3'].map((target) => ({ target, slot: START - 7200 }));
  expect(provenOf([trial('miner', 'a/1')], { carried })).toEqual(['a/1', 'a/2', 'a/3']);
  expect(provenOf([trial('miner', 'a/4')], { carried })).toEqual(['a/1', 'a/2', 'a/3']);
});

test('where the edge had no pulse, nobody was tested', () => {
  const carried = ['a/1', 'a/2'].map((target) => ({ target, slot: START - 7200 }));
  const trials = carried.map(({ target }) => trial('miner', target, { reason: 'no_pulse' }));
  expect(provenOf(trials, { carried })).toEqual(['a/1', 'a/2']);
});

test('a flash whose transcripts are in two files counts as one', () => {
  const devices = ['a/1', 'a/2', 'a/3'];
  const at = (epoch: number, trials: Trial[]) =>
    input({ trials, head: { epoch, seconds: HOUR }, presence: devices.map((d) => presence('miner', d)) });
  const early = devices.flatMap((d) => flash(d, FIRST));
  const epochs = [
    at(START, [...early, ...flash('a/1', LAST), ...flash('a/2', LAST)]),
    // The third one failed; its transcript came later, as did the fourth's.
    at(START + HOUR, [trial('miner', 'a/3', { slot: LAST, round: LAST / 3, reason: 'too_slow' })]),
  ];
  const proven = chain(epochs).map((s) => s.miners[0]?.rates.filter((r) => r.rate > 0).map((r) => r.target));
  expect(proven).toEqual([devices, ['a/1', 'a/2']]);
  const passed = chain([epochs[0] ?? input(), at(START + HOUR, flash('a/3', LAST))]);
  expect(passed[1]?.miners[0]?.rates.map((r) => r.rate_slot)).toEqual([LAST, LAST, LAST]);
});

test('a test of an older flash that comes late changes nothing', () => {
  const old = trial('miner', 'a/1', { slot: START - 1200, reason: 'too_slow' });
  expect(provenOf([old], { carried: [{ target: 'a/1', slot: START - 600 }] })).toEqual(['a/1']);
});

test('a name is proven for the hotkey that proved it', () => {
  const made = summarise(input({ trials: flash('a/1', FIRST), presence: [presence('other', 'a/1')] }));
  expect(made.miners.find((m) => m.hotkey === key('other'))?.proven).toBe('0');
});

test('a GPU without a proof of its memory is paid nothing', () => {
  const of = (trials: Trial[]) => summarise(input({ trials, presence: [presence('miner', 'a/1')] })).miners[0]?.proven;
  expect(of([trial('miner', 'a/1')])).toBe('0');
  expect(of(flash('a/1', FIRST))).toBe(String(2_800_000 * HOUR));
  // Half the rate is not half an H100: it is an A100 that is slower than it may be, or nothing.
  expect(of(flash('a/1', FIRST, { rate: 119_500_000 }))).toBe(String(1_600_000 * HOUR));
});

test('names with spaces are names like others', () => {
  const devices = ['a/gpu 1', 'a/gpu 2', 'a/gpu'];
  expect(
    provenOf([trial('miner', 'a/gpu 1'), trial('miner', 'a/gpu 2'), trial('miner', 'a/gpu', { reason: 'no_commit' })], { devices }),
  ).toEqual(['a/gpu 1', 'a/gpu 2']);
});
