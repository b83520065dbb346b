/** A whole market for some hours: miners, chutes, and demand that follows the sun. One seed is one run, whatever the policy. */
import type { Device } from '#protocol';
import { Clock } from '../sim/clock.ts';
import { Random } from '../sim/random.ts';
import { catalogue, sun, type Model } from './catalogue.ts';
import { ChuteNode } from './chute-node.ts';
import { Tally, type Figures } from './figures.ts';
import { machine } from './hardware.ts';
import { Market } from './market.ts';
import { MinerNode } from './miner-node.ts';
import { POLICIES, type PolicyName } from './policies.ts';

export interface EconomyOptions {
  seed: number;
  agents: number;
  chutes: number;
  hours: number;
  policy: PolicyName;
  /** Share of all GPU time that mean demand would keep busy if every slot were; with 0.33, about three in four have an instance. */
  fill?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Mean milliseconds that a call keeps a slot: stands for a user at work, so that a day has a hundred thousand, not millions. */
const CALL_MS = 15 * MINUTE;
/** Mean milliseconds that a miner stays, and is away. */
const STAY_MS = 20 * HOUR;
const AWAY_MS = 2 * HOUR;
/** Spikes per day and chute, how long one lasts, and how much it draws. */
const SPIKES = 0.1;
const SPIKE_MS = 20 * MINUTE;
const SPIKE = 6;
/** Hours before those that count, per one of them: an empty market fills, and models come onto machines for the first time. */
const WARM_UP = 0.5;

export function runEconomy({ seed, agents, chutes, hours, policy, fill = 0.33 }: EconomyOptions): Figures {
  // What the world does and what the policy draws are apart: the same seed is the same demand for every policy.
  const fate = new Random(seed);
  const machines = Array.from({ length: agents }, () => machine(fate));
  const models = catalogue(machines, { chutes, fill, random: fate });
  const economy = new Economy(machines, models, seed, policy);
  for (const [i, chute] of economy.chutes.entries()) economy.demand(chute, new Random(seed * 1_000_003 + i));
  for (const [i, miner] of economy.miners.entries()) economy.comeAndGo(miner, new Random(seed * 2_000_003 + i));
  economy.run(hours * HOUR, WARM_UP * hours * HOUR);
  const gpus = machines.flat().length;
  return economy.market.tally.figures({ agents, gpus, chutes, hours });
}

export class Economy {
  readonly clock = new Clock();
  readonly market: Market;
  readonly chutes: ChuteNode[];
  readonly miners: MinerNode[];

  constructor(machines: readonly (readonly Device[])[], models: readonly Model[], seed: number, policy: PolicyName) {
    this.market = new Market(this.clock, new Random(seed + 1), new Tally());
    this.chutes = models.map((model, i) => new ChuteNode(i, model, this.market));
    const byId = new Map(this.chutes.map((chute) => [chute.id, chute]));
    this.miners = machines.map((devices, i) => new MinerNode(i, devices, this.market, POLICIES[policy], byId));
    for (const miner of this.miners) this.market.miners.set(miner.id, miner);
    this.market.start();
  }

  /** Nothing of the first part is counted. */
  run(ms: number, warmUpMs: number): void {
    this.#advance(warmUpMs);
    Object.assign(this.market.tally, new Tally());
    this.#sample();
    this.#advance(ms);
    for (const { hungrySince } of this.miners)
      if (hungrySince !== null) this.market.tally.starvedMs = Math.max(this.market.tally.starvedMs, this.clock.now - hungrySince);
  }

  #advance(ms: number): void {
    const end = this.clock.now + ms;
    while (this.clock.step(end));
  }

  // ── fate ──

  /** Calls at the rate of the hour: drawn at the highest rate, and thinned. */
  demand(chute: ChuteNode, random: Random): void {
    const { model } = chute;
    const most = (model.load / CALL_MS) * 1.7 * SPIKE;
    let spikeUntil = 0;
    const next = (): void => {
      this.clock.after(exponential(1 / most, random), () => {
        const spikes = this.clock.now < spikeUntil ? SPIKE : 1;
        const rate = (model.load / CALL_MS) * sun(model, this.clock.now) * spikes;
        const forMs = exponential(CALL_MS, random);
        if (random.chance(rate / most)) chute.call(forMs);
        next();
      });
    };
    const spike = (): void => {
      this.clock.after(exponential((24 * HOUR) / SPIKES, random), () => {
        spikeUntil = this.clock.now + SPIKE_MS;
        spike();
      });
    };
    next();
    spike();
  }

  comeAndGo(miner: MinerNode, random: Random): void {
    this.clock.after(exponential(STAY_MS, random), () => {
      miner.leave();
      this.clock.after(exponential(AWAY_MS, random), () => {
        miner.join();
        this.comeAndGo(miner, random);
      });
    });
  }

  // ── measures ──

  /** Every minute: what runs. Every tenth: who has what. */
  #sample(minutes = 0): void {
    const { tally } = this.market;
    for (const miner of this.miners) {
      if (!miner.here) continue;
      tally.gpuMs += miner.devices.length * MINUTE;
      for (const r of miner.running.values()) {
        tally.heldMs += r.devices.length * MINUTE;
        if (r.busy > 0) tally.busyMs += r.devices.length * MINUTE;
      }
    }
    if (minutes % 10 === 0) for (const chute of this.chutes) this.#concentration(chute);
    this.clock.after(MINUTE, () => this.#sample(minutes + 1));
  }

  #concentration({ live, model }: ChuteNode): void {
    if (live.size < 2) return;
    const { tally } = this.market;
    tally.looks++;
    const [first, ...rest] = live;
    if (rest.some((r) => r.miner !== first?.miner)) return;
    const need = model.config.gpu?.min_vram_gb ?? 0;
    if (this.miners.some((miner) => miner !== first?.miner && miner.room >= need)) tally.concentrated++;
  }
}

function exponential(mean: number, random: Random): number {
  return -Math.log(1 - random.next()) * mean;
}
