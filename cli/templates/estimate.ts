/**
 * Which GPUs a model needs. An estimate: the formula is below, its constants say where they are from, and the comment in
 * chute.toml says that it is one. Pure.
 */

export interface Load {
  /** Billions of parameters, and bytes of each. */
  params: number;
  bytes: number;
  /** Tokens of context that fit at once, over all calls; 0 for a model that keeps none. */
  tokens: number;
  /** GB that the engine itself takes on each GPU: CUDA context, graphs, activations. */
  engineGb: number;
  /** Share of a GPU's memory that the engine uses at most. */
  share: number;
}

export interface GpuEstimate {
  count: number;
  min_vram_gb: number;
}

/** GB that cards are sold with. */
const SIZES = [8, 12, 16, 24, 32, 40, 48, 80, 96, 141, 180];
/** The largest that is common. Beyond it more cards are taken before larger ones. */
const COMMON = 80;
/** Splits over more than one that tensor parallelism takes. */
const COUNTS = [1, 2, 4, 8];

/** GB of key-value cache of one token of an 8 B model at 16 bits: 32 layers × 8 heads × 128 × 2 × 2 bytes (Llama 3.1 8B). */
const KV_8B_GB = 131_072e-9;
/** With it 70 B come to 325 kB a token; Llama 3.1 70B has 327,680 bytes (80 layers). Layers grow slower than parameters. */
const KV_GROWTH = 0.42;

/** GB of weights. */
export function weightsGb({ params, bytes }: Pick<Load, 'params' | 'bytes'>): number {
  return params * bytes;
}

/** GB of the key-value cache. */
export function cacheGb({ params, tokens }: Pick<Load, 'params' | 'tokens'>): number {
  return tokens * KV_8B_GB * (params / 8) ** KV_GROWTH;
}

/** The fewest cards that are common, else the fewest of any; null when no eight will do. */
export function estimate(load: Load): GpuEstimate | null {
  return fewest(load, COMMON) ?? fewest(load, Infinity);
}

function fewest(load: Load, largest: number): GpuEstimate | null {
  const spread = weightsGb(load) + cacheGb(load);
  for (const count of COUNTS) {
    const each = (spread / count + load.engineGb) / load.share;
    const size = SIZES.find((gb) => gb >= each && gb <= largest);
    if (size !== undefined) return { count, min_vram_gb: size };
  }
  return null;
}
