import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again and again until the check gives something truthy, and returns it. A check that throws counts as "not yet".
 * Throws with the last failure when the deadline passes.
 */
export async function until<T>(
  what: string,
  check: () => Promise<T> | T,
  { deadlineMs = 15_000, everyMs = 20 } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs;
  let last: unknown = 'it was never so';
  while (performance.now() < deadline) {
    try {
      const value = await check();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    await sleep(everyMs);
  }
  throw new Error(`Waited ${deadlineMs} ms in vain: ${what}. Last: ${last instanceof Error ? last.message : String(last)}`);
}
