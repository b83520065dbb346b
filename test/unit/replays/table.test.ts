import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { REPLAY_LIMITS } from '../../../functions/account/replays/limits.ts';
import { ReplayTable, type ReplayEffect, type ReplayRow, type Verdict } from '../../../functions/account/replays/table.ts';

const DAY = 24 * 3_600_000;
const T0 = 1_800_000_000_007;
const IDLE = { heldBytes: 0, readers: 0 };
const SMALL = { ...REPLAY_LIMITS, running: 2, answers: 3, keptBytes: 100, heldBytes: 1_000, readers: 4 };

const ask = (name: string, print = 'p', bytes = 0) => ({ name, print, bytes });

function kept(table: ReplayTable, name: string, bytes = 10, now = T0): void {
  table.start(name, 'p', `call of ${name}`, now);
  table.opened(name);
  table.done(name, bytes, false, now);
}

/** What is on disk after these effects. */
function disk(effects: ReplayEffect[], rows = new Map<string, ReplayRow>()): Map<string, ReplayRow> {
  for (const effect of effects) {
    if (effect.kind === 'put') rows.set(effect.row.name, effect.row);
    else rows.delete(effect.name);
  }
  return rows;
}

describe('what a request gets', () => {
  test('run, then join, then read again for a day, then run', () => {
    const table = new ReplayTable(REPLAY_LIMITS);
    expect(table.judge(ask('a'), IDLE, T0)).toEqual({ do: 'run' });
    table.start('a', 'p', 'c1', T0);
    expect(table.judge(ask('a'), IDLE, T0 + 1)).toEqual({ do: 'join', call: 'c1' });
    table.opened('a');
    table.done('a', 10, false, T0 + 1_000);
    for (const at of [T0 + 1_000, T0 + 1_000 + DAY - 1]) expect(table.judge(ask('a'), IDLE, at)).toMatchObject({ do: 'read' });
    expect(table.knows('a', T0 + 1_000 + DAY)).toBe(false);
    expect(table.judge(ask('a'), IDLE, T0 + 1_000 + DAY)).toEqual({ do: 'run' });
  });

  test.each<[string, (table: ReplayTable) => void, Verdict]>([
    ['too large', (t) => t.outgrew('a'), { do: 'refuse', code: 'idempotent_replay_too_large', call: 'c1' }],
    ['lost', (t) => t.lost('a'), { do: 'refuse', code: 'outcome_unknown', call: 'c1' }],
    ['forgotten', (t) => t.forget('a'), { do: 'run' }],
  ])('%s', (_, happens, verdict) => {
    const table = new ReplayTable(REPLAY_LIMITS);
    table.start('a', 'p', 'c1', T0);
    table.opened('a');
    happens(table);
    expect(table.judge(ask('a'), IDLE, T0 + 1)).toEqual(verdict);
  });

  test.each(['running', 'done', 'too_large', 'lost'] as const)('another request under a key that is %s: refused', (state) => {
    const row: ReplayRow = { name: 'a', print: 'p', call: 'c', state, cut: false, bytes: 0, expiresAt: T0 + DAY };
    const table = new ReplayTable(REPLAY_LIMITS, [row]);
    expect(table.judge(ask('a', 'other'), IDLE, T0)).toEqual({ do: 'refuse', code: 'idempotency_key_reused' });
  });

  test('one that runs longer than a day is still joined', () => {
    const table = new ReplayTable(REPLAY_LIMITS);
    table.start('a', 'p', 'c1', T0);
    table.sweep(T0 + 2 * DAY);
    expect(table.judge(ask('a'), IDLE, T0 + 2 * DAY)).toEqual({ do: 'join', call: 'c1' });
  });
});

describe('limits: new keys are refused, nothing is forgotten early', () => {
  const busy = { do: 'refuse', code: 'too_many_calls', retryAfterMs: 1_000 };

  test('running at a time', () => {
    const table = new ReplayTable(SMALL);
    table.start('a', 'p', 'c', T0);
    table.start('b', 'p', 'c', T0);
    expect(table.judge(ask('c'), IDLE, T0)).toEqual(busy);
    expect(table.judge(ask('a'), IDLE, T0)).toMatchObject({ do: 'join' });
    table.forget('a');
    expect(table.judge(ask('c'), IDLE, T0)).toEqual({ do: 'run' });
  });

  test('bytes in memory, the new body among them', () => {
    const table = new ReplayTable(SMALL);
    expect(table.judge(ask('a', 'p', 500), { heldBytes: 501, readers: 0 }, T0)).toEqual(busy);
    expect(table.judge(ask('a', 'p', 500), { heldBytes: 500, readers: 0 }, T0)).toEqual({ do: 'run' });
    kept(table, 'b', 60);
    expect(table.judge(ask('b'), { heldBytes: 941, readers: 0 }, T0)).toEqual(busy);
  });

  test('readers', () => {
    const table = new ReplayTable(SMALL);
    kept(table, 'a');
    for (const name of ['a', 'new']) expect(table.judge(ask(name), { heldBytes: 0, readers: 4 }, T0)).toEqual(busy);
  });

  test.each([
    ['answers', 1],
    ['bytes', 50],
  ])('%s kept: until the oldest goes', (_, bytes) => {
    const table = new ReplayTable(SMALL);
    kept(table, 'a', bytes, T0);
    kept(table, 'b', bytes, T0 + 5_000);
    if (bytes === 1) kept(table, 'c', bytes, T0 + 5_000);
    const refused = table.judge(ask('new'), IDLE, T0 + 10_000) as { retryAfterMs: number };
    expect(refused).toMatchObject({ do: 'refuse', code: 'too_many_calls' });
    expect(table.judge(ask('a'), IDLE, T0 + 10_000)).toMatchObject({ do: 'read' });
    const later = T0 + 10_000 + refused.retryAfterMs;
    expect(later).toBeLessThanOrEqual(T0 + 10_000 + DAY + REPLAY_LIMITS.sweepMs);
    table.sweep(later);
    expect(table.judge(ask('new'), IDLE, later)).toEqual({ do: 'run' });
  });
});

describe('on disk', () => {
  test('nothing before the account has agreed', () => {
    const table = new ReplayTable(REPLAY_LIMITS);
    table.start('a', 'p', 'c', T0);
    expect(table.forget('a')).toEqual([]);
  });

  test('one that was running when the object went down is lost, whatever is asked', () => {
    const before = new ReplayTable(REPLAY_LIMITS);
    before.start('a', 'p', 'c1', T0);
    const after = new ReplayTable(REPLAY_LIMITS, disk(before.opened('a')).values());
    expect(after.judge(ask('a'), IDLE, T0 + 1)).toEqual({ do: 'refuse', code: 'outcome_unknown', call: 'c1' });
    expect(after.sweep(T0 + DAY)).toEqual([{ kind: 'delete', name: 'a' }]);
  });

  test('a sweep is due at a step after the first one expires, and takes all that have', () => {
    const table = new ReplayTable(REPLAY_LIMITS);
    expect(table.due).toBeNull();
    kept(table, 'a', 1, T0);
    kept(table, 'b', 1, T0 + 1);
    kept(table, 'c', 1, T0 + DAY);
    const { due } = table;
    expect(due).toBeGreaterThanOrEqual(T0 + DAY);
    expect(due).toBeLessThan(T0 + DAY + REPLAY_LIMITS.sweepMs);
    expect(table.sweep(due ?? 0).map((e) => e.kind === 'delete' && e.name)).toEqual(['a', 'b']);
    expect(table.due).toBeGreaterThanOrEqual(T0 + 2 * DAY);
  });

  test('after any events a table from the disk gives no request more than the one in memory', () => {
    const steps = fc.array(
      fc.record({
        name: fc.constantFrom('a', 'b', 'c', 'd'),
        what: fc.constantFrom('ask', 'open', 'done', 'grow', 'lose', 'forget'),
        after: fc.nat(DAY),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, (events) => {
        const table = new ReplayTable(SMALL);
        const rows = new Map<string, ReplayRow>();
        const running = new Set<string>();
        let now = T0;
        for (const { name, what, after } of events) {
          now += after;
          disk(table.sweep(now), rows);
          if (what === 'ask') {
            if (table.judge(ask(name), IDLE, now).do !== 'run') continue;
            table.start(name, 'p', `c ${name} ${now}`, now);
            running.add(name);
          } else if (running.has(name)) {
            if (what === 'open') disk(table.opened(name), rows);
            if (what === 'grow') disk([...table.opened(name), ...table.outgrew(name)], rows);
            if (what === 'done') disk([...table.opened(name), ...table.done(name, 30, false, now)], rows);
            if (what === 'lose') disk([...table.opened(name), ...table.lost(name)], rows);
            if (what === 'forget') disk(table.forget(name), rows);
            if (what !== 'open') running.delete(name);
          }
          const again = new ReplayTable(SMALL, rows.values());
          for (const row of rows.values()) {
            if (row.expiresAt <= now) continue; // no call runs for a day
            const [memory, restored] = [table.judge(ask(row.name), IDLE, now), again.judge(ask(row.name), IDLE, now)];
            // What is on disk is never run again, and what could be read can still be.
            if (memory.do !== 'run') expect(restored.do).not.toBe('run');
            if (memory.do === 'read' || memory.do === 'refuse') expect(restored).toEqual(memory);
          }
        }
      }),
    );
  });
});
