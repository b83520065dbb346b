import { describe, expect, test } from 'vitest';
import { DEVELOPMENT, drawingRound, due, QUICKNET, type Transcript } from '#protocol/challenge/index.ts';
import type { EvidenceHead, Presence } from '#protocol/epoch.ts';
import { firstDifference, firstNamed } from '../../../validator-cron/verify/compare.ts';
import { sampled } from '../../../validator-cron/verify/rejudge.ts';
import { checkSchedule, chosen, drawingRounds } from '../../../validator-cron/verify/schedule.ts';

describe('the first difference', () => {
  test.each([
    ['none, whatever the order of keys', { a: 1, b: [2] }, { b: [2], a: 1 }, null],
    ['a number', { a: 1, b: 2 }, { a: 1, b: 3 }, { at: 'x.b', due: '2', given: '3' }],
    ['the first by name', { b: 1, a: 1 }, { b: 2, a: 2 }, { at: 'x.a', due: '1', given: '2' }],
    ['a place of a list, by number', { l: Array.from({ length: 11 }, () => 0) }, { l: [0, 0, 1] }, { at: 'x.l.2', due: '0', given: '1' }],
    ['something that is not there', { a: 1 }, {}, { at: 'x.a', due: '1', given: 'nothing' }],
    ['another kind', { a: [1] }, { a: { 0: 1 } }, { at: 'x.a', due: '[1]', given: '{"0":1}' }],
  ])('%s', (_, left, right, found) => {
    expect(firstDifference('x', left, right)).toEqual(found);
  });

  test('of named things: one that is left out does not shift the others', () => {
    const of = (...ids: string[]) => ids.map((id) => ({ id, v: id }));
    expect(firstNamed('m', (m: { id: string }) => m.id, of('a', 'b', 'c'), of('a', 'c'))).toMatchObject({ at: 'm b', given: 'nothing' });
    expect(firstNamed('m', (m: { id: string }) => m.id, of('a', 'b'), of('b', 'a'))).toBeNull();
  });
});

describe('the schedule', () => {
  const start = 1_790_000_040;
  const head = { t: 'head', v: 1, epoch: start, seconds: 60, suite: 'development' } as EvidenceHead;
  const device = (agent: string, of: Partial<Presence> = {}): Presence => ({
    t: 'presence',
    hotkey: '5A',
    agent,
    device: 'd',
    kind: 'cpu',
    name: 'n',
    memory_mb: 1,
    since: start - 1000,
    from: start,
    to: start + 50,
    slots: 6,
    need: 0,
    serving: 0,
    ...of,
  });
  const randomness = new Map(drawingRounds(head, DEVELOPMENT, QUICKNET).map((round) => [round, String(round).padStart(64, '0')]));
  const check = (presence: Presence[], transcripts: Transcript[] = []) =>
    checkSchedule({ head, suite: DEVELOPMENT, chain: QUICKNET, presence, transcripts, randomness });

  test('what the beacon names for those who were there, and only between their first slot and their last', () => {
    const { open } = check([device('agt_a')]);
    const expected = [10, 20, 30, 40].flatMap((after) => {
      const drawn = randomness.get(drawingRound(QUICKNET, start + after)) ?? '';
      return due(DEVELOPMENT, start + after, drawn, [{ target: 'agt_a/d', what: 'device', since: start - 1000 }]);
    });
    expect(open).toEqual(expected);
    expect(open.length).toBeGreaterThan(0);
  });

  test('who was away for a slot is not held to any', () => {
    expect(check([device('agt_a', { slots: 5 })])).toEqual({ due: 0, open: [] });
  });

  test('one that was left out shows where others were tested, and is nobody’s fault where none was', () => {
    const { open } = check([device('agt_a'), device('agt_b')]);
    const [first] = open.filter((d) => d.target === 'agt_a/d');
    const tested = { id: first?.id, slot: first?.slot, scheduled: true, device: {} } as Transcript;
    const left = check([device('agt_a'), device('agt_b')], [tested]).open;
    expect(left).toHaveLength(open.length - 1);
    expect(chosen(left, []).length).toBe(0);
    expect(new Set(chosen(left, [tested]).map((d) => d.slot))).toEqual(new Set([first?.slot]));
  });
});

test('a sample is the same for everybody, about as large as asked, and another for another pulse', () => {
  const all = Array.from({ length: 2_000 }, (_, k) => ({ id: `chl_${k}` }) as Transcript);
  const part = sampled(all, 5, 'aa');
  expect(sampled(all, 5, 'aa')).toEqual(part);
  expect(part.length).toBeGreaterThan(60);
  expect(part.length).toBeLessThan(140);
  expect(sampled(all, 5, 'bb')).not.toEqual(part);
  expect(sampled(all, 100, 'aa')).toEqual(all);
});
