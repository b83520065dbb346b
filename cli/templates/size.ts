/** How large a model is, as far as its name says. Pure. */

export interface ModelSize {
  /** Billions of parameters, all of them: a mixture of experts keeps every expert in memory. */
  params: number;
  /** Bytes one parameter takes. */
  bytes: number;
  /** How the weights are kept, for a comment. */
  weights: string;
}

/** Share of n times p parameters that an `8x7B` mixture has: experts share what is not theirs (46.7 of 56, 141 of 176). */
const SHARED = 0.83;

/** Names without a size in them. Billions of parameters with text encoders, as their model cards say. */
const NAMED: readonly [RegExp, number][] = [
  [/flux\.1-(dev|schnell)/i, 16.9],
  [/stable-diffusion-xl/i, 3.5],
  [/stable-diffusion-3-medium/i, 7.6],
  [/stable-diffusion-v1-[45]/i, 1.1],
  [/whisper-large-v3-turbo/i, 0.81],
  [/whisper-tiny/i, 0.04],
  [/whisper-base/i, 0.07],
  [/whisper-small/i, 0.24],
  [/whisper-medium/i, 0.77],
  [/whisper-large/i, 1.55],
  [/(bge|e5|gte|minilm|mpnet|embed).*-small\b/i, 0.12],
  [/(bge|e5|gte|minilm|mpnet|embed).*-base\b/i, 0.28],
  [/(bge|e5|gte|minilm|mpnet|embed).*-large\b/i, 0.56],
  [/bge-m3\b/i, 0.57],
  [/nomic-embed-text/i, 0.14],
];

/** `8b`, `1.1B`, `135M`; `8x7B`; null for what is none. */
export function readParams(text: string): number | null {
  const found = /^(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)([bm])$/i.exec(text);
  if (found === null) return null;
  const [, experts, number = '', unit = ''] = found;
  const each = Number(number) * (unit.toLowerCase() === 'm' ? 0.001 : 1);
  const params = experts === undefined ? each : Number(experts) * each * SHARED;
  return params > 0 ? params : null;
}

/**
 * Billions of parameters by the name of a model, or null. `30B-A3B`: 30 in all, 3 at a time. `17B-16E`: 17 at a time of
 * nobody knows how many.
 */
export function paramsOf(model: string): number | null {
  const name = model.slice(model.indexOf('/') + 1);
  if (/\d+B-\d+E\b/i.test(name)) return null;
  for (const word of name.split(/[-_:]/)) {
    const params = readParams(word);
    if (params !== null && params >= 0.01) return params;
  }
  return NAMED.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

/** Bits of a weight in the files of llama.cpp, as its quantize tool lists them for Llama 3.1 8B. */
const GGUF: Record<string, number> = {
  Q2_K: 3.16,
  Q3_K_M: 4.0,
  IQ4_XS: 4.46,
  Q4_0: 4.67,
  Q4_K_S: 4.67,
  Q4_K_M: 4.89,
  Q5_K_M: 5.7,
  Q6_K: 6.56,
  Q8_0: 8.5,
};

/** Four bits and the scales of their groups. */
const FOUR_BITS = 0.56;

/** Bytes of a parameter by the words that quantised models carry in their names; without any, 16 bits. */
export function weightsOf(model: string): Pick<ModelSize, 'bytes' | 'weights'> {
  const name = model.slice(model.indexOf('/') + 1);
  const gguf = Object.keys(GGUF).find((word) => new RegExp(`(^|[-_.:])${word}($|[-_.:])`, 'i').test(name));
  if (gguf !== undefined) return { bytes: (GGUF[gguf] ?? 16) / 8, weights: gguf };
  if (/int8|8bit|w8a8|w8a16|fp8/i.test(name)) return { bytes: 1.03, weights: '8 bits' };
  if (/awq|gptq|int4|4bit|w4a16|nvfp4|mxfp4/i.test(name)) return { bytes: FOUR_BITS, weights: '4 bits' };
  return { bytes: 2, weights: '16 bits' };
}
