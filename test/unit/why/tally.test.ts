import { expect, test } from 'vitest';
import { Tally } from '../../../functions/why/tally.ts';
import { World } from '../miner/world.ts';

test('counts by code within the window, and forgets', () => {
  const tally = new Tally(60_000);
  for (let k = 0; k < 3; k++) tally.add('taken', 1_000);
  tally.add('no_need', 30_000);
  expect(tally.counts(30_000)).toEqual([
    { code: 'taken', count: 3 },
    { code: 'no_need', count: 1 },
  ]);
  expect(tally.counts(62_000)).toEqual([{ code: 'no_need', count: 1 }]);
  expect(tally.counts(1e9)).toEqual([]);
});

test('takes the same room whatever is counted', () => {
  const tally = new Tally(60_000);
  for (let k = 0; k < 100_000; k++) tally.add(`code ${k}`, k);
  // 12 slices of 32 codes.
  expect(tally.counts(99_999).length).toBeLessThanOrEqual(12 * 32);
});

test('a miner object remembers how its last sessions ended, over its own end, and no more of them than eight', () => {
  const world = new World();
  for (let k = 0; k < 20; k++) {
    world.login();
    world.hello();
    world.now += 1_000;
    world.do(world.core.onClose(world.core.epoch, world.now, 4_000 + k));
  }
  world.login();
  world.hello();
  const message = { type: 'idle' as const, maintenance: true, offers: 0, reasons: [] };
  world.now += 10_000;
  world.do(world.core.onText(message, world.now));
  const before = world.core.why(world.now);
  expect(before).toMatchObject({ connected: true, idle: { message } });
  expect(before?.ends.map((it) => it.code)).toEqual([12, 13, 14, 15, 16, 17, 18, 19].map((k) => 4_000 + k));
  const rows = [...world.rows.values()].filter((row) => row.kind === 'past');
  expect(rows).toEqual([{ kind: 'past', key: 'past', since: before?.since, clockMs: 0, ends: before?.ends, idle: before?.idle }]);
});

test('an agent that talks much of itself has little of it written', () => {
  const world = new World();
  world.login();
  world.hello();
  world.now += 10_000;
  let written = 0;
  for (let k = 0; k < 100; k++) {
    const effects = world.do(world.core.onText({ type: 'idle', maintenance: false, offers: k, reasons: [] }, world.now + k));
    written += effects.filter((it) => it.do === 'put').length;
  }
  expect(written).toBe(1);
  expect(world.core.why(world.now)?.idle?.message.offers).toBe(99);
  world.do(world.core.onAlarm(world.now + 6_000));
  expect(world.rows.get('past')).toMatchObject({ idle: { message: { offers: 99 } } });
});
