/** The pure parts of a tick: what is left to judge, which epochs, what the judge's own calls came to, and coverage. */
import { expect, test } from 'vitest';
import type { Transcript } from '#protocol/challenge/index.ts';
import { batches } from '../../../validator-cron/challenges/batches.ts';
import { coverageOf } from '../../../validator-cron/commands/coverage.ts';
import { callsOf } from '../../../validator-cron/epochs/calls.ts';
import { AT_ONCE, BACK, closed, windowOf } from '../../../validator-cron/epochs/due.ts';
import { ALICE, anObservation, BOB } from './made.ts';

const ended = (id: string, round: number, profile = 'mm-128') => ({ id, round, profile }) as Transcript;

test('what is not judged is shared out by round, each once, up to a bound', () => {
  const all = Array.from({ length: 100 }, (_, i) => ended(`chl_${i}`, i % 2, i % 4 < 2 ? 'mm-128' : 'mem-cpu'));
  const parts = batches([...all, ...all], new Set(['chl_0', 'chl_1']), 64);
  expect(parts.flat().toSorted()).toEqual(
    all
      .map((t) => t.id)
      .filter((id) => id !== 'chl_0' && id !== 'chl_1')
      .toSorted(),
  );
  expect(parts.every((ids) => ids.length <= 16)).toBe(true);
  const rounds = parts.flat().map((id) => Number(id.slice(4)) % 2);
  expect(rounds).toEqual(rounds.toSorted((a, b) => a - b));
  expect(batches(all, new Set(), 2).flat()).toHaveLength(32);
  expect(batches([], new Set(), 64)).toEqual([]);
});

const epoch = (start: number, hash: string | null = 'aa') => ({ epoch: start, state: 'open' as const, hash, weights_block: null });

test('closed epochs are gone through from the newest on, as far as a judge goes back', () => {
  expect(closed([epoch(60), epoch(180, null), epoch(120)])).toEqual([120, 60]);
  expect(closed(Array.from({ length: 100 }, (_, i) => epoch(i * 60)))).toHaveLength(BACK);
  expect(AT_ONCE).toBeLessThan(BACK);
});

test('a window holds the epochs before, and no more than the table says', () => {
  const all = Array.from({ length: 10 }, (_, i) => epoch(i * 60));
  expect(windowOf(all, 300, 3, 60)).toEqual([180, 240]);
  expect(windowOf(all, 0, 3, 60)).toEqual([]);
});

test('calls by miner: what went well, the middle times, swapped chutes by name; nobody’s doing and repeats do not count', () => {
  const own = [
    anObservation({ id: '1', first_byte_ms: 100 }),
    anObservation({ id: '2', first_byte_ms: 300 }),
    anObservation({ id: '2', first_byte_ms: 300 }),
    anObservation({ id: '3', reason: 'too_slow', first_byte_ms: null }),
    anObservation({ id: '4', reason: 'edge_failed' }),
    anObservation({ id: '5', reason: 'swapped', instance: 'ins_1' }),
    anObservation({ id: '6', reason: 'swapped', instance: 'ins_1' }),
    anObservation({ id: '7', reason: 'swapped', instance: 'ins_gone' }),
    anObservation({ id: '8', type: 'rtt', instance: null, value_ms: 9 }),
    anObservation({ id: '9', hotkey: BOB, type: 'rtt', instance: null, reason: 'silent', value_ms: null }),
  ];
  const chuteOf = (instance: string) => (instance === 'ins_1' ? 'cht_1' : null);
  const due = [
    { t: 'calls', hotkey: BOB, canaries: 0, canaries_ok: 0, pings: 1, pings_ok: 0, first_byte_ms: null, rtt_ms: null, swapped: [] },
    {
      t: 'calls',
      hotkey: ALICE,
      canaries: 6,
      canaries_ok: 2,
      pings: 1,
      pings_ok: 1,
      first_byte_ms: 100,
      rtt_ms: 9,
      swapped: ['cht_1', 'ins_gone'],
    },
  ];
  expect(callsOf(own, chuteOf)).toEqual(due);
  expect(callsOf(own.toReversed(), chuteOf)).toEqual(due);
});

test('a trial that is decided counts as one canary more; its load, and one that is open, as none', () => {
  const trial = { first_byte_ms: null, value_ms: null };
  const own = [
    anObservation({ id: '1', first_byte_ms: 100 }),
    anObservation({ id: '2', type: 'load', reason: 'loaded', ...trial }),
    anObservation({ id: '3', type: 'interfere', reason: 'interferes', ok: true, ...trial }),
    anObservation({ id: '4', type: 'interfere', reason: 'apart', ...trial }),
    anObservation({ id: '5', type: 'interfere', reason: 'unconfirmed', ...trial }),
    anObservation({ id: '6', type: 'interfere', reason: 'unmeasured', ...trial }),
  ];
  expect(callsOf(own, () => null)).toMatchObject([{ canaries: 3, canaries_ok: 2, first_byte_ms: 100, swapped: [] }]);
});

test('coverage names what is missing, a few of it', () => {
  const due = Array.from({ length: 9 }, (_, i) => ({ id: `chl_${i}`, kind: 'pow.mm' as const, target: 'a/b', slot: 0 }));
  expect(coverageOf(20, due, new Set(['chl_0', 'chl_1', 'chl_x']), new Set(['chl_1', 'chl_x']))).toEqual({
    slots: 20,
    due: 9,
    recorded: 2,
    judged: 1,
    missing: ['chl_2', 'chl_3', 'chl_4', 'chl_5', 'chl_6'],
  });
});
