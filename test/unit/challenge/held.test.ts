/** What a proof keeps until it is opened: its states and trees, and none of the memory that was filled for it. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { MEM_PROFILES } from '#protocol/challenge/index.ts';
import { memSamples, proveMem } from '#protocol/challenge/mem.ts';
import { until } from '../../harness/until.ts';

const MIB = 2 ** 20;

test('a proof of memory does not hold the memory', async () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const profile = MEM_PROFILES['mem-cpu'];
  gc();
  const before = process.memoryUsage().arrayBuffers;
  const proofs = [1, 2].map((k) => proveMem({ profile, memoryBytes: 4 * MIB, seed: new Uint8Array(32).fill(k) }));
  // What is collected is given back by a thread of its own, a little later.
  await until('the memory is given back', () => {
    gc();
    return process.memoryUsage().arrayBuffers - before < MIB;
  });
  for (const { root, open } of proofs) expect(open(memSamples(profile, root, '00'.repeat(32))).length).toBeGreaterThan(0);
});
