/** A twentieth of `npm run test:long -- --only replay`: an hour with a flash at production size, verified from its files. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('13 miners with 8 devices each, every device in the flash, are judged again to the same', { timeout: 120_000 }, async () => {
  const program = join(import.meta.dirname, '../../harness/epoch/replay.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--miners', '13']);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: 'identical', miners: 13, devices: 104, mm: 104 });
});
