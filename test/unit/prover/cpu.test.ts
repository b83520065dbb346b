import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { checkWork, type Work } from '#protocol/challenge/work.ts';
import { cpuProver } from '../../../miner-agent/prover/cpu.ts';
import { NotProven, type Prover } from '../../../miner-agent/prover/prover.ts';

const provers: Prover[] = [];
const started = (begin?: () => Worker): Prover => {
  const prover = begin === undefined ? cpuProver() : cpuProver(begin);
  provers.push(prover);
  return prover;
};
afterEach(() => Promise.all(provers.splice(0).map((prover) => prover.stop())));

const RANDOM = 'cd'.repeat(32);
const SAMPLING = 'ef'.repeat(32);
const work = (more: Partial<Work> = {}): Work => ({
  kind: 'pow.mm',
  profile: 'mm-128',
  steps: 4,
  seed: 'ab'.repeat(32),
  randomness: RANDOM,
  ...more,
});
const { signal } = new AbortController();
const LONG = work({ steps: 20_000 });

describe('the prover of the CPU', () => {
  test.each([work(), work({ profile: 'mm-512' }), work({ kind: 'pow.mem', profile: 'mem-cpu', steps: 1 })])(
    'proves $profile as a judge wants it',
    async (asked) => {
      const proof = await started().prove(asked, signal);
      expect(checkWork(asked, proof.root, SAMPLING, await proof.open(SAMPLING), new Tiles(8))).toBeNull();
      proof.drop();
      await expect(proof.open(SAMPLING)).rejects.toThrow('not held any more');
    },
  );

  test('leaves the thread of the agent free, and stops when it is told to', async () => {
    const ending = new AbortController();
    const proof = started().prove(LONG, ending.signal);
    let turns = 0;
    const turn = () => {
      turns++;
      // Many turns of the loop go by while it works on what would take it seconds.
      if (turns === 50) ending.abort(new Error('given up'));
      else setImmediate(turn);
    };
    setImmediate(turn);
    await expect(proof).rejects.toThrow('given up');
    expect(turns).toBe(50);
  });

  test.each([
    [work({ profile: 'mm-8192' }), 'the CPU does not prove mm-8192'],
    [work({ profile: 'toString' }), 'the CPU does not prove toString'],
    [work({ steps: 20_001 }), '20001 steps of mm-128 are too many'],
    [work({ kind: 'pow.mem', profile: 'mem-cpu', steps: 65 }), '65 steps of mem-cpu are too many'],
    [work({ kind: 'pow.mem', profile: 'mm-128' }), 'there is no such profile'],
  ])('declines %j', async (asked, why) => {
    const refused = started().prove(asked, signal);
    await expect(refused).rejects.toThrow(why);
    await expect(refused).rejects.toThrow(NotProven);
  });

  test('takes on eight at a time and no more', async () => {
    const prover = started();
    const ending = new AbortController();
    const proofs = Array.from({ length: 8 }, () => prover.prove(LONG, ending.signal));
    await expect(prover.prove(work(), signal)).rejects.toThrow('too many challenges at once');
    ending.abort(new Error('given up'));
    for (const proof of proofs) await expect(proof).rejects.toThrow('given up');
    await prover.prove(work(), signal);
  });

  test('holds sixteen proofs and no more', async () => {
    const prover = started();
    const proofs = [];
    for (let k = 0; k < 16; k++) proofs.push(await prover.prove(work(), signal));
    await expect(prover.prove(work(), signal)).rejects.toThrow('too many challenges at once');
    proofs[0]?.drop();
    await prover.prove(work(), signal);
  });

  test('whose thread ended proves again in a new one', async () => {
    const threads: Worker[] = [];
    const prover = started(() => {
      const thread = new Worker(new URL('../../../miner-agent/prover/worker.ts', import.meta.url));
      threads.push(thread);
      return thread;
    });
    const lost = prover.prove(LONG, signal);
    await threads[0]?.terminate();
    await expect(lost).rejects.toThrow('the prover ended');
    await prover.prove(work(), signal);
    expect(threads).toHaveLength(2);
  });

  test('that is stopped answers what was asked', async () => {
    const prover = started();
    const lost = prover.prove(LONG, signal);
    const ended = expect(lost).rejects.toThrow('the agent is leaving');
    await prover.stop();
    await ended;
  });
});
