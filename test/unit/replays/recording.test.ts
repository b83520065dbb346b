import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Recording } from '../../../functions/account/replays/recording.ts';
import { REPLAY_LIMITS } from '../../../functions/account/replays/limits.ts';
import type { ByteSource } from '../../../functions/calls/ports.ts';
import { knownBytes } from '../../network/chutes/echo/known.ts';

const LIMITS = { ...REPLAY_LIMITS, answerBytes: 10_000, aheadBytes: 2_000, behindBytes: 5_000 };

function recording(limits = LIMITS) {
  const seen: (number | 'outgrew')[] = [];
  const it = new Recording(limits, { outgrew: () => seen.push('outgrew'), readers: (count) => seen.push(count) });
  return { it, seen };
}

async function all(source: ByteSource): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let part = await source.read(); !part.done; part = await source.read()) parts.push(part.value.slice());
  return Buffer.concat(parts);
}

/** Lets everything that can go on go on. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

async function isPending(work: Promise<unknown>): Promise<boolean> {
  let over = false;
  work.then(
    () => (over = true),
    () => (over = true),
  );
  await settled();
  return !over;
}

describe('up to the limit', () => {
  test('every reader gets the same bytes, whenever it comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 900 }), fc.constant('reader' as const)), { maxLength: 30 }),
        fc.boolean(),
        async (steps, isLate) => {
          const { it } = recording();
          const readers: Promise<Uint8Array>[] = [];
          let at = 0;
          for (const step of steps) {
            if (step === 'reader') readers.push(all(it.read()));
            else if (at + step <= LIMITS.answerBytes) {
              await it.write(knownBytes(at, at + step));
              at += step;
            }
          }
          it.finish('end');
          if (isLate) readers.push(all(it.read()));
          for (const bytes of await Promise.all(readers)) expect(Buffer.compare(bytes, knownBytes(0, at))).toBe(0);
          expect(Buffer.compare(it.whole(), knownBytes(0, at))).toBe(0);
          expect(it.readers).toBe(0);
        },
      ),
    );
  });

  test('it takes all that comes while nobody reads', async () => {
    const { it, seen } = recording();
    for (let at = 0; at < 10_000; at += 1_000) await it.write(knownBytes(at, at + 1_000));
    expect([it.tooLarge, seen]).toEqual([false, []]);
  });

  test('one that broke off breaks off for each reader, after its bytes', async () => {
    const { it } = recording();
    const early = it.read();
    await it.write(knownBytes(0, 10));
    it.finish('cut');
    for (const reader of [early, it.read()]) {
      expect(await reader.read()).toMatchObject({ done: false });
      await expect(reader.read()).rejects.toThrow();
    }
  });

  test('a reader that leaves is told of, also while it waits', async () => {
    const { it, seen } = recording();
    const [one, two] = [it.read(), it.read()];
    const waiting = one.read();
    await one.cancel();
    await one.cancel();
    await two.cancel();
    expect(await waiting).toEqual({ done: true });
    expect(seen).toEqual([1, 2, 1, 0]);
  });
});

describe('above the limit', () => {
  test('it tells so once, and waits for its fastest reader', async () => {
    const { it, seen } = recording();
    const reader = it.read();
    await it.write(knownBytes(0, 10_000));
    const write = it.write(knownBytes(10_000, 13_000));
    expect(await isPending(write)).toBe(true);
    await reader.read();
    await write;
    expect(seen).toEqual([1, 'outgrew']);
  });

  test('a reader far behind is cut; the others get all of it, and memory stays bounded', async () => {
    const { it } = recording();
    const [fast, slow, broken] = [all(it.read()), it.read(), it.read()];
    await it.write(knownBytes(0, 1_000));
    await slow.read();
    await broken.cancel();
    let most = 0;
    for (let at = 1_000; at < 1_000_000; at += 1_000) {
      await it.write(knownBytes(at, at + 1_000));
      most = Math.max(most, it.held);
    }
    it.finish('end');
    expect(Buffer.compare(await fast, knownBytes(0, 1_000_000))).toBe(0);
    await expect(slow.read()).rejects.toThrow('too slow');
    expect(most).toBeLessThanOrEqual(32 * 1024);
  });

  test('without readers it waits for nobody', async () => {
    const { it } = recording();
    for (let at = 0; at < 100_000; at += 1_000) await it.write(knownBytes(at, at + 1_000));
    expect(it.held).toBeLessThanOrEqual(32 * 1024);
  });

  test('the last reader leaves while a write waits for it', async () => {
    const { it } = recording();
    const reader = it.read();
    const write = it.write(knownBytes(0, 20_000));
    expect(await isPending(write)).toBe(true);
    await reader.cancel();
    await write;
  });

  test('what a reader was given stays as it was', async () => {
    const { it } = recording();
    const reader = it.read();
    await it.write(knownBytes(0, 9_000));
    const part = await reader.read();
    for (let at = 9_000; at < 60_000; at += 1_000) {
      const write = it.write(knownBytes(at, at + 1_000));
      await reader.read();
      await write;
    }
    expect(part.done ? null : Buffer.compare(part.value, knownBytes(0, 9_000))).toBe(0);
  });
});
