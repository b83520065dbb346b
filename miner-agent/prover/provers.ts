/** The provers of this agent, by the kind of device. A helper for GPUs is one more line here. */
import { cpuProver } from './cpu.ts';
import type { Prover } from './prover.ts';

export class Provers {
  readonly #all: readonly Prover[];
  constructor(all: readonly Prover[] = [cpuProver()]) {
    this.#all = all;
  }

  /** Null: such devices stay unproven. */
  of(device: { kind: 'cpu' | 'gpu' }): Prover | null {
    return this.#all.find((prover) => prover.kind === device.kind) ?? null;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((prover) => prover.stop()));
  }
}
