/** Busy or free: who gets a slot, and who is offered one that became free. */
import { beforeEach, describe, expect, test } from 'vitest';
import { KEEP_MS, Slots } from '../../../functions/miner/slots.ts';
import type { InstanceRow } from '../../../functions/miner/rows.ts';

const VERSION = 'v';
const row = (fields: Partial<InstanceRow> = {}): InstanceRow => ({
  kind: 'instance',
  key: 'i:a',
  instance: 'a',
  chute: 'c',
  version: VERSION,
  slots: 2,
  state: 'live',
  code: null,
  ...fields,
});

let slots: Slots;
beforeEach(() => {
  slots = new Slots();
  slots.put(row());
});

const take = (call: string) => slots.take('a', VERSION, call, `${call}/0`);
const release = (call: string, now = 0) => slots.release('a', `${call}/0`, now);

describe('taking', () => {
  test('as many as there are, then busy, then again what was freed', () => {
    expect([take('1'), take('2'), take('3')]).toEqual([null, null, 'busy']);
    expect(slots.busy('a')).toBe(2);
    release('1');
    expect(take('3')).toBeNull();
  });

  test.each<[string, Partial<InstanceRow>, string]>([
    ['still starting', { state: 'starting' }, VERSION],
    ['draining', { state: 'draining' }, VERSION],
    ['of another version', {}, 'w'],
  ])('an instance that is %s is stale', (_, fields, version) => {
    slots.put(row(fields));
    expect(slots.take('a', version, '1', '1/0')).toBe('stale');
  });

  test('an instance nobody knows is stale', () => {
    expect(slots.take('b', VERSION, '1', '1/0')).toBe('stale');
    slots.remove('a');
    expect(take('1')).toBe('stale');
    expect(slots.busy('a')).toBe(0);
  });

  test('fewer slots than run: what runs goes on, nobody else comes', () => {
    take('1');
    take('2');
    slots.put(row({ slots: 1 }));
    expect(take('3')).toBe('busy');
    release('1');
    expect(take('3')).toBe('busy');
    release('2');
    expect(take('3')).toBeNull();
  });

  test('what a crashed object ran holds its slot', () => {
    slots.restore('a', 'x/0');
    slots.restore('a', 'y/0');
    expect(take('1')).toBe('busy');
  });

  test('releasing twice, or what never ran, frees nothing', () => {
    take('1');
    take('2');
    release('1');
    release('1');
    release('9');
    expect([take('3'), take('4')]).toEqual([null, 'busy']);
  });
});

describe('a watched instance', () => {
  beforeEach(() => {
    take('1');
    take('2');
    expect(slots.watch('c', ['a'])).toEqual([{ instance: 'a', free: 0 }]);
  });

  test('refuses newcomers though a slot is free', () => {
    release('1');
    expect(take('3')).toBe('busy');
  });

  test('offers what becomes free, once, to its Chute', () => {
    expect(release('1')).toEqual({ chute: 'c', instance: 'a', offer: 1 });
    expect(release('2')).toEqual({ chute: 'c', instance: 'a', offer: 2 });
  });

  test('keeps an offered slot for the call that the Chute names', () => {
    const offer = release('1')?.offer ?? 0;
    expect(slots.answered('a', offer, '7', 0)).toBe(true);
    expect(take('8')).toBe('busy');
    expect(take('7')).toBeNull();
    expect(take('7')).toBe('busy');
  });

  test('an answer counts once, and not for an offer that was withdrawn', () => {
    const first = release('1')?.offer ?? 0;
    slots.watch('c', ['a']);
    expect(slots.answered('a', first, '7', 0)).toBe(false);
    expect(take('7')).toBe('busy');
    const second = release('2')?.offer ?? 0;
    expect(slots.answered('a', second, null, 0)).toBe(true);
    expect(slots.answered('a', second, '7', 0)).toBe(false);
    expect(slots.answered('b', second, '7', 0)).toBe(false);
  });

  test('asks again while an offer has no answer', () => {
    const offer = release('1', 100)?.offer ?? 0;
    expect(slots.nextAt()).toBe(1_100);
    expect(slots.tick(1_099)).toEqual([]);
    expect(slots.tick(1_100)).toEqual([{ chute: 'c', instance: 'a', offer }]);
  });

  test('takes anybody once it is not watched any more', () => {
    release('1');
    slots.unwatch('c');
    expect(take('3')).toBeNull();
  });

  test('another chute cannot watch it', () => {
    slots.unwatch('c');
    release('1');
    expect(slots.watch('d', ['a'])).toEqual([]);
    expect(take('3')).toBeNull();
  });
});

describe('a kept slot', () => {
  test('is for its call alone, until it expires', () => {
    expect(slots.reserve('a', '1', 0)).toBe(true);
    expect(slots.reserve('a', '2', 0)).toBe(true);
    expect(slots.reserve('a', '3', 0)).toBe(false);
    expect(take('3')).toBe('busy');
    expect(slots.nextAt()).toBe(KEEP_MS);
    slots.tick(KEEP_MS);
    expect(slots.nextAt()).toBeNull();
    expect(take('3')).toBeNull();
  });

  test('kept again for the same call takes no second slot', () => {
    slots.reserve('a', '1', 0);
    expect(slots.reserve('a', '1', 10)).toBe(true);
    expect(slots.nextAt()).toBe(10 + KEEP_MS);
    expect(take('2')).toBeNull();
  });

  test('that was kept in vain is offered when the instance is watched', () => {
    slots.reserve('a', '1', 0);
    slots.watch('c', ['a']);
    expect(slots.tick(KEEP_MS)).toEqual([{ chute: 'c', instance: 'a', offer: 1 }]);
  });

  test('of a call that left is offered at once, one that was not kept is not', () => {
    slots.watch('c', ['a']);
    slots.reserve('a', '1', 0);
    expect(slots.unreserve('a', '2', 0)).toBeNull();
    expect(slots.unreserve('a', '1', 0)).toEqual({ chute: 'c', instance: 'a', offer: 1 });
    expect(slots.unreserve('a', '1', 0)).toBeNull();
  });

  test('is not given on an instance that does not serve', () => {
    slots.put(row({ state: 'draining' }));
    expect(slots.reserve('a', '1', 0)).toBe(false);
    expect(slots.reserve('b', '1', 0)).toBe(false);
  });
});
