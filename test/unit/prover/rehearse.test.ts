import { afterEach, expect, test } from 'vitest';
import { DEVELOPMENT, MAINNET, type Device } from '#protocol';
import { Possession } from '../../../miner-agent/possession/possession.ts';
import { cpuProver } from '../../../miner-agent/prover/cpu.ts';
import type { Prover } from '../../../miner-agent/prover/prover.ts';
import { Provers } from '../../../miner-agent/prover/provers.ts';
import { Stage, subjectsOf } from '../../../miner-agent/prover/rehearse.ts';

const CPU: Device = { id: 'cpu0', kind: 'cpu', name: 'CPU', memoryMb: 1024 };
const GPU: Device = { id: 'GPU-1', kind: 'gpu', name: 'NVIDIA H100 80GB HBM3', memoryMb: 81_559 };

const stopping: Provers[] = [];
afterEach(() => Promise.all(stopping.splice(0).map((provers) => provers.stop())));

function stage(prover: Prover = cpuProver(), suite = DEVELOPMENT): Stage {
  const provers = new Provers([prover]);
  stopping.push(provers);
  return new Stage(suite, provers, new Possession(null));
}

/** Seconds pass between two looks at it as the test says. */
function clock(...steps: number[]): () => number {
  let at = 1_800_000_000_000;
  return () => (at += steps.shift() ?? 0);
}

test('an honest CPU is judged as it would be on the network', async () => {
  for (const subject of subjectsOf(DEVELOPMENT, CPU) ?? []) {
    const tookMs = subject.kind === 'pow.mm' ? subject.steps : 200;
    const { verdict } = await stage().play(subject, clock(0, tookMs));
    expect(verdict).toMatchObject({ reason: 'proven', class: 'cpu', elapsed_ms: tookMs });
    // A step of 128 x 128 x 128 in each millisecond.
    if (verdict.kind === 'pow.mm') expect(verdict.rate).toBe(2_097);
  }
});

test.each([DEVELOPMENT, MAINNET])('every device is asked for what the suite of $name says', (suite) => {
  const asked = [CPU, GPU].flatMap((device) => subjectsOf(suite, device) ?? []);
  expect(asked.map(({ kind, profile, class: of }) => [kind, profile, of])).toEqual([
    ['pow.mm', 'mm-128', 'cpu'],
    ['pow.mem', 'mem-cpu', 'cpu'],
    ['pow.mm', 'mm-8192', 'h100'],
    ['pow.mem', 'mem-gpu', 'h100'],
  ]);
});

test('a GPU without a helper is unproven', async () => {
  const [subject] = subjectsOf(MAINNET, GPU) ?? [];
  if (subject === undefined) throw new Error('nothing is asked');
  const played = await stage(cpuProver(), MAINNET).play(subject, clock());
  expect(played).toMatchObject({ declined: 'no prover for gpu', verdict: { reason: 'unproven', class: null } });
});

test('a prover that guesses is told what is wrong', async () => {
  const real = cpuProver();
  const liar: Prover = {
    ...real,
    prove: async (work, signal) => {
      const proof = await real.prove(work, signal);
      return { ...proof, open: async (randomness) => (await proof.open(randomness)).with(-1, 0).with(-2, 0) };
    },
  };
  const [subject] = subjectsOf(DEVELOPMENT, CPU) ?? [];
  if (subject === undefined) throw new Error('nothing is asked');
  const { verdict } = await stage(liar).play(subject, clock(0, 238));
  expect(verdict.reason).toBe('wrong_root');
  expect(verdict.wrong?.due).not.toBe(verdict.wrong?.given);
});

test('one that comes late is too slow, and so is its class', async () => {
  const [subject] = subjectsOf(DEVELOPMENT, CPU) ?? [];
  if (subject === undefined) throw new Error('nothing is asked');
  const { verdict } = await stage().play(subject, clock(0, 60_000));
  expect(verdict).toMatchObject({ reason: 'too_slow', class: null });
});
