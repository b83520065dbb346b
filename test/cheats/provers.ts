/** Provers of whole agents that do not do what they should; `slow` is honest. Each is the CPU's own, or a forgery, behind the agent's interface. */
import { forgeMm } from './forge.ts';
import { cpuProver } from '../../miner-agent/prover/cpu.ts';
import type { Proof, Prover } from '../../miner-agent/prover/prover.ts';
import type { Work } from '#protocol/challenge/work.ts';

/** Of the leaves, one in so many is made up by `lazy`. */
const MADE_UP = 5;

export const CHARACTERS = {
  /** Does all of it, and takes three times as long: a smaller device. */
  slow: (own: Prover) =>
    proving(own, async (work, signal) => {
      for (let spare = 0; spare < 2; spare++) (await own.prove(work, signal)).drop();
      return own.prove(work, signal);
    }),
  /** A fifth of the work is made up. */
  lazy: (own: Prover) =>
    proving(own, async (work, signal) => {
      if (work.kind !== 'pow.mm') return own.prove(work, signal);
      const forged = forgeMm(work, { leaf: ({ right, row, tile }) => ((row + tile) % MADE_UP === 0 ? row : right) });
      return { root: forged.root, open: async (randomness) => forged.open(randomness), drop: () => undefined };
    }),
  /** Answers every challenge with its first proof. */
  replayer: (own: Prover) => {
    const first = new Map<string, Promise<Proof>>();
    return proving(own, (work, signal) => {
      const kept = first.get(work.kind) ?? own.prove(work, signal);
      first.set(work.kind, kept);
      return kept.then((proof) => ({ ...proof, drop: () => undefined }));
    });
  },
} as const satisfies Record<string, (own: Prover) => Prover>;

export type Character = keyof typeof CHARACTERS;

export function proverOf(character: Character): Prover {
  return CHARACTERS[character](cpuProver());
}

function proving(own: Prover, prove: (work: Work, signal: AbortSignal) => Promise<Proof>): Prover {
  return { ...own, prove };
}
