/** The chutes of a run: what each needs and asks, and how much of all demand it draws. */
import { chuteConfigSchema, NO_PRICE, type ChuteConfig, type Device } from '#protocol';
import { kinds } from '../../miner-agent/strategy/packing.ts';
import type { Random } from '../sim/random.ts';
import { classOf } from './hardware.ts';

export interface Model {
  name: string;
  config: ChuteConfig;
  /** Nano-USD that one busy slot pays per second. */
  perSecond: number;
  /** Slots busy on average; the sun moves it. */
  load: number;
  /** 0 to 2; noon is eight hours apart. */
  region: number;
}

const ABLE = 4;

/** Demand lies in three regions, unequally; else three suns would add up to none. */
const REGIONS = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2] as const;

export interface CatalogueOptions {
  chutes: number;
  /** Share of all GPUs that the mean demand would fill. */
  fill: number;
  random: Random;
  /** Machines that could run each chute, at least. */
  able?: number;
}

/**
 * Needs are drawn from the devices there are, so that demand and supply have the same mix of sizes; popularity is Zipf's.
 */
export function catalogue(
  machines: readonly (readonly Device[])[],
  { chutes, fill, random, able: least = ABLE }: CatalogueOptions,
): Model[] {
  const devices = machines.flat();
  const models = Array.from({ length: chutes }, (_, i) => {
    let made = model(i, random.pick(devices), random);
    // What hardly anybody can run says nothing about who chooses well.
    while (able(made, machines) < least) made = model(i, random.pick(devices), random);
    return made;
  });
  const weights = models.map((_, i) => 1 / (i + 1) ** 0.9);
  const total = weights.reduce((a, b) => a + b, 0);
  const gpus = fill * devices.length;
  return models.map((m, i) => {
    const share = (gpus * (weights[i] ?? 0)) / total;
    const load = (share / (m.config.gpu?.count ?? 1)) * m.config.concurrency * 0.8;
    return { ...m, load };
  });
}

function able({ config: { gpu } }: Model, machines: readonly (readonly Device[])[]): number {
  return machines.filter((devices) => gpu !== undefined && kinds(gpu, devices).some((kind) => kind.length >= gpu.count)).length;
}

function model(index: number, device: Device, random: Random): Model {
  const gpu = classOf(device);
  const count = gpu.gb >= 48 && random.chance(0.08) ? 2 : 1;
  const gb = Math.max(6, Math.round(gpu.gb * (0.4 + 0.55 * random.next())));
  const concurrency = random.pick([2, 4, 4, 8]);
  // A full instance pays 1.2 to 3 times what its GPUs are worth.
  const perSecond = Math.round(((gpu.usdHour * count * (1.2 + 1.8 * random.next())) / 3600 / concurrency) * 1e9);
  const config = chuteConfigSchema.parse({
    name: `m${index}`,
    public: true,
    image: `registry.example/m${index}`,
    port: 8000,
    gpu: { count, min_vram_gb: gb },
    concurrency,
    max: 30,
    price: { ...NO_PRICE, per_second: perSecond },
  });
  return { name: `lab/m${index}`, config, perSecond, load: 0, region: random.pick(REGIONS) };
}

/** How much of its mean load a chute draws now: the sun, with noon by region, and spikes. */
export function sun(model: Pick<Model, 'region'>, now: number): number {
  const hour = (now / 3_600_000) % 24;
  return 1 + 0.7 * Math.sin(((hour - 8 * model.region) / 24) * 2 * Math.PI);
}

/** Milliseconds from grant to live: image and model of 15 to 100 s by size; two fifths of it where they are on the machine. */
export function startTime(config: ChuteConfig, cached: boolean, random: Random): number {
  const size = Math.min(1, (config.gpu?.min_vram_gb ?? 0) / 80);
  const full = (15_000 + 85_000 * size) * (0.8 + 0.4 * random.next());
  return Math.round(cached ? full * 0.4 : full);
}
