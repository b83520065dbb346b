/** What must be true of bounties: promised with a grant, and paid whole and once for an instance that did what they are for. */
import type { ClaimAnswer } from '../../functions/calls/ports.ts';
import type { Sim } from './sim.ts';

/** Milliseconds an instance must have been live. */
const MINUTE = 60_000;

export class Bounties {
  /** Nano-USD, by instance. */
  private readonly promised = new Map<string, number>();
  /** Unix milliseconds when its agent first said that it is live. */
  private readonly liveAt = new Map<string, number>();
  /** The chute itself ended them. */
  private readonly ended = new Set<string>();
  private readonly paid = new Map<string, string>();
  private readonly sim: Sim;
  /** The most that any deploy offered. */
  most = 0;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  answered(answer: ClaimAnswer): void {
    if (answer.kind === 'refusal' || answer.bounty === undefined) return;
    const { instance, bounty } = answer;
    const before = this.promised.get(instance);
    this.sim.trace.add(this.sim.now, 'bounty.promised', `${instance} ${bounty}`);
    if (bounty > this.most || bounty <= 0)
      this.sim.fail('a bounty is at most what the owner said', `${instance}: ${bounty} of ${this.most}`);
    if (before !== undefined && before !== bounty)
      this.sim.fail('a bounty is frozen with its grant', `${instance}: ${before}, then ${bounty}`);
    this.promised.set(instance, bounty);
  }

  live(instance: string): void {
    if (!this.liveAt.has(instance)) this.liveAt.set(instance, this.sim.now);
  }

  stopped(instance: string): void {
    this.ended.add(instance);
  }

  /** An Account charges one. */
  charged(call: string, instance: string, nanousd: bigint): void {
    const { sim } = this;
    sim.trace.add(sim.now, 'bounty.paid', `${instance} ${nanousd}`);
    const first = this.paid.get(instance) ?? call;
    this.paid.set(instance, first);
    if (first !== call) sim.fail('a bounty is paid once', `${instance}: ${first} and ${call}`);
    if (nanousd !== BigInt(this.promised.get(instance) ?? 0))
      sim.fail('a bounty is paid as it was promised', `${instance}: ${nanousd}, not ${this.promised.get(instance)}`);
    const liveAt = this.liveAt.get(instance);
    if (liveAt === undefined || (sim.now - liveAt < MINUTE && !this.ended.has(instance)))
      sim.fail(
        'a bounty is for an instance that served',
        `${instance}, live since ${liveAt === undefined ? 'never' : sim.now - liveAt} ms`,
      );
  }
}
