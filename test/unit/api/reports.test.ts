import { expect, test } from 'vitest';
import { REPORTS, report } from '../../../functions/api/reports.ts';

const NOW = 1_800_000_000_000;

test('so many of an account at a time; others, and those after the end of one, are made', async () => {
  const ends: (() => void)[] = [];
  const begin = (account: string, at: number) => report(account, at, () => new Promise<void>((resolve) => ends.push(resolve)));
  const running = Array.from({ length: REPORTS.together }, () => begin('acc_1', NOW));
  await expect(report('acc_1', NOW + 1, () => Promise.resolve())).rejects.toMatchObject({
    code: 'rate_limited',
    detail: { retryAfterMs: 1_000 },
  });
  await expect(report('acc_2', NOW + 1, () => Promise.resolve('made'))).resolves.toBe('made');
  ends.shift()?.();
  await running[0];
  await expect(report('acc_1', NOW + 2, () => Promise.reject(new Error('away')))).rejects.toThrow('away');
  await expect(report('acc_1', NOW + 3, () => Promise.resolve('made'))).resolves.toBe('made');
  for (const end of ends) end();
  await Promise.all(running);
});

test('one whose end is never told does not count for ever', async () => {
  for (let k = 0; k < REPORTS.together; k++) void report('acc_3', NOW, () => new Promise(() => {}));
  await expect(report('acc_3', NOW + REPORTS.forgottenMs - 1, () => Promise.resolve())).rejects.toMatchObject({ code: 'rate_limited' });
  await expect(report('acc_3', NOW + REPORTS.forgottenMs, () => Promise.resolve('made'))).resolves.toBe('made');
});
