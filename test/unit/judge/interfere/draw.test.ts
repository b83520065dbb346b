import { expect, test } from 'vitest';
import { MAINNET, publishedAt, QUICKNET, seedingRound } from '#protocol/challenge/index.ts';
import type { TargetItem } from '#protocol/judging.ts';
import { devicesOf, draw, loadTimes, openTrials, TRIAL_EVERY } from '../../../../validator-cron/interfere/draw.ts';
import { ALICE, anAgent, anInstance, anObservation } from '../made.ts';

const facts = { beacon: 'ab'.repeat(32), secret: '11'.repeat(32), every: 100, suspects: new Set<string>() };
const crowd = (count: number) => [
  anAgent(
    'agt_1',
    ALICE,
    Array.from({ length: count }, (_, i) => anInstance({ instance: `ins_${i}` })),
  ),
];
/** How often one instance is drawn in so many slots. */
const times = (slots: number, of: Partial<typeof facts>) =>
  Array.from({ length: slots }, (_, slot) => draw(crowd(1), { ...facts, beacon: `${slot}`, ...of })).filter((d) => d !== null).length;

test('one at most, the same in any order, another with another secret or beacon', () => {
  const agents = crowd(2_000);
  const drawn = draw(agents, facts);
  expect(drawn?.probe.kind).toBe('chat');
  const [agent] = agents;
  expect(draw([{ ...agent!, instances: agent!.instances.toReversed() }], facts)).toEqual(drawn);
  expect(draw(agents, { ...facts, secret: '22'.repeat(32) })?.instance).not.toEqual(drawn?.instance);
  expect(draw(agents, { ...facts, beacon: 'cd'.repeat(32) })?.instance).not.toEqual(drawn?.instance);
});

test('about once in so many slots, again soon where it was seen apart, never where trials are off', () => {
  expect(times(3_000, {})).toBeGreaterThan(10);
  expect(times(3_000, {})).toBeLessThan(60);
  expect(times(500, { suspects: new Set(['ins_0']) })).toBeGreaterThan(10);
  expect(times(200, { every: TRIAL_EVERY.development, suspects: new Set(['ins_0']) })).toBe(0);
});

test('a program that does not chat is not drawn', () => {
  expect(draw([anAgent('agt_1', ALICE, [anInstance({ template: 'http' })])], { ...facts, every: 1 })).toBeNull();
});

const device = (of: Partial<TargetItem> = {}): TargetItem => ({
  target: 'agt_1/gpu0',
  what: 'device',
  since: 0,
  hotkey: ALICE,
  agent: 'agt_1',
  device: 'gpu0',
  instance: null,
  ...of,
});

test('devices of the agent that have been there for a day; none where there are too many', () => {
  const others = [
    device({ agent: 'agt_2' }),
    device({ since: 100_000 }),
    device({ what: 'instance', device: null, instance: 'ins_1' }),
    device({ kinds: ['pow.mem'] }),
  ];
  expect(devicesOf([device(), ...others], 'agt_1', 100_000)).toEqual([device()]);
  const many = Array.from({ length: 17 }, (_, i) => device({ target: `agt_1/gpu${i}` }));
  expect(devicesOf(many.slice(1), 'agt_1', 100_000)).toHaveLength(16);
  expect(devicesOf(many, 'agt_1', 100_000)).toEqual([]);
});

test('a load begins before the seed and is over within the tick', () => {
  for (const slot of [1_800_000_000, 1_800_000_060, 1_800_000_120]) {
    const { from, to } = loadTimes(QUICKNET, MAINNET, slot);
    const seeded = publishedAt(QUICKNET, seedingRound(QUICKNET, slot, MAINNET));
    expect([seeded - from, to - seeded]).toEqual([8_000, 12_000]);
    expect(from).toBeGreaterThan((slot + 10) * 1_000);
    expect(to).toBeLessThan((slot + 50) * 1_000);
  }
});

test('trials are open from the last one that settled them', () => {
  const trial = (round: number, reason: 'interferes' | 'apart' | 'unconfirmed' | 'unmeasured', instance = 'ins_1') => ({
    ...anObservation({ type: 'interfere', round, reason, instance }),
    judge: ALICE,
  });
  const own = [
    trial(5, 'unconfirmed'),
    trial(1, 'unconfirmed'),
    trial(6, 'unmeasured'),
    trial(2, 'apart'),
    trial(4, 'unconfirmed'),
    trial(9, 'interferes', 'ins_2'),
  ];
  expect(openTrials(own, 'ins_1').map((o) => o.round)).toEqual([4, 5]);
  expect(openTrials(own, 'ins_2')).toEqual([]);
});
