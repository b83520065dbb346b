import { describe, expect, test } from 'vitest';
import { cacheGb, estimate } from '../../../cli/templates/estimate.ts';
import { paramsOf, readParams, weightsOf } from '../../../cli/templates/size.ts';

/** Name, billions of parameters that it really has, what vLLM's estimate asks for. */
const KNOWN: [string, number, string][] = [
  ['HuggingFaceTB/SmolLM2-135M-Instruct', 0.135, '1x8'],
  ['HuggingFaceTB/SmolLM2-360M', 0.362, '1x8'],
  ['bigscience/bloom-560m', 0.559, '1x8'],
  ['Qwen/Qwen3-0.6B', 0.6, '1x8'],
  ['TinyLlama/TinyLlama-1.1B-Chat-v1.0', 1.1, '1x8'],
  ['meta-llama/Llama-3.2-1B-Instruct', 1.24, '1x8'],
  ['EleutherAI/pythia-1.4b', 1.41, '1x8'],
  ['google/gemma-2-2b-it', 2.61, '1x8'],
  ['meta-llama/Llama-3.2-3B-Instruct', 3.21, '1x12'],
  ['google/gemma-3-4b-it', 4.3, '1x16'],
  ['mistralai/Mistral-7B-Instruct-v0.3', 7.25, '1x24'],
  ['meta-llama/Llama-2-7b-chat-hf', 6.74, '1x24'],
  ['Qwen/Qwen2.5-7B-Instruct', 7.62, '1x24'],
  ['Qwen/Qwen3-8B', 8.2, '1x24'],
  ['meta-llama/Llama-3.1-8B-Instruct', 8.03, '1x24'],
  ['google/gemma-2-9b-it', 9.24, '1x32'],
  ['google/gemma-3-12b-it', 12.2, '1x32'],
  ['mistralai/Mistral-Nemo-12B-Instruct', 12.2, '1x32'],
  ['meta-llama/Llama-2-13b-hf', 13.0, '1x40'],
  ['Qwen/Qwen2.5-14B-Instruct', 14.8, '1x40'],
  ['bigcode/starcoder2-15b', 16.0, '1x40'],
  ['EleutherAI/gpt-neox-20b', 20.6, '1x80'],
  ['google/gemma-3-27b-it', 27.4, '1x80'],
  ['Qwen/Qwen3-30B-A3B', 30.5, '1x80'],
  ['deepseek-ai/DeepSeek-R1-Distill-Qwen-32B', 32.8, '1x80'],
  ['01-ai/Yi-34B-Chat', 34.4, '2x48'],
  ['tiiuae/falcon-40b-instruct', 41.8, '2x80'],
  ['mistralai/Mixtral-8x7B-Instruct-v0.1', 46.7, '2x80'],
  ['Qwen/Qwen2-57B-A14B-Instruct', 57.4, '2x80'],
  ['meta-llama/Llama-3.3-70B-Instruct', 70.6, '4x48'],
  ['Qwen/Qwen2.5-72B-Instruct', 72.7, '4x48'],
  ['mistralai/Mixtral-8x22B-Instruct-v0.1', 141, '8x48'],
  ['tiiuae/falcon-180B', 180, '8x80'],
  ['Qwen/Qwen3-235B-A22B', 235, '8x80'],
  ['meta-llama/Llama-3.1-405B-Instruct', 406, '8x141'],
];

/** Name and what quantisation makes of it. */
const QUANTISED: [string, number, string][] = [
  ['Qwen/Qwen2.5-72B-Instruct-AWQ', 72.7, '1x80'],
  ['hugging-quants/Meta-Llama-3.1-70B-Instruct-GPTQ-INT4', 70.6, '1x80'],
  ['hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4', 8.03, '1x12'],
  ['Qwen/Qwen2.5-14B-Instruct-GPTQ-Int8', 14.8, '1x24'],
  ['RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic', 70.6, '2x48'],
  ['meta-llama/Llama-3.1-405B-Instruct-FP8', 406, '8x80'],
  ['Qwen/Qwen3-235B-A22B-FP8', 235, '4x80'],
  ['RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8', 7.62, '1x12'],
  ['unsloth/Meta-Llama-3.1-8B-bnb-4bit', 8.03, '1x12'],
];

const vllm = (model: string) => {
  const params = paramsOf(model);
  if (params === null) return null;
  const gpu = estimate({ params, ...weightsOf(model), tokens: 16_384, engineGb: 1.5, share: 0.9 });
  return gpu === null ? 'none' : `${gpu.count}x${gpu.min_vram_gb}`;
};

describe('what the name of a model says', () => {
  test.each([...KNOWN, ...QUANTISED])('%s', (model, params, gpu) => {
    // A name rounds, as 2b of 2.61, 1B of 1.24.
    expect((paramsOf(model) ?? 0) / params).toBeGreaterThan(0.75);
    expect((paramsOf(model) ?? 0) / params).toBeLessThan(1.1);
    expect(vllm(model)).toBe(gpu);
  });

  test.each([
    ['microsoft/Phi-3-mini-4k-instruct', 'the 4k are tokens'],
    ['microsoft/phi-4', 'a version'],
    ['deepseek-ai/DeepSeek-R1', 'no size'],
    ['deepseek-ai/DeepSeek-V3-0324', 'a date'],
    ['meta-llama/Llama-4-Scout-17B-16E-Instruct', '17 billion at a time of 109'],
    ['Qwen/Qwen1.5-MoE-A2.7B', '2.7 billion at a time of 14'],
    ['moonshotai/Kimi-K2-Instruct', 'no size'],
    ['70b/model', 'the size of an organisation'],
  ])('%s says no size: %s', (model) => expect(paramsOf(model)).toBeNull());

  test.each([
    ['black-forest-labs/FLUX.1-dev', 16.9],
    ['stabilityai/stable-diffusion-xl-base-1.0', 3.5],
    ['openai/whisper-large-v3', 1.55],
    ['Systran/faster-whisper-small', 0.24],
    ['BAAI/bge-large-en-v1.5', 0.56],
    ['BAAI/bge-m3', 0.57],
  ])('%s is known', (model, params) => expect(paramsOf(model)).toBe(params));

  test.each([
    ['a/x-7B-GGUF:Q4_K_M', 4.89 / 8, 'Q4_K_M'],
    ['a/x-7B-Q8_0-GGUF', 8.5 / 8, 'Q8_0'],
    ['a/x-7b.q5_k_m.gguf', 5.7 / 8, 'Q5_K_M'],
    ['a/x-7B-AWQ', 0.56, '4 bits'],
    ['a/x-7B-GPTQ-Int8', 1.03, '8 bits'],
    ['a/x-7B-NVFP4', 0.56, '4 bits'],
    ['a/x-7B', 2, '16 bits'],
    ['awq/x-7B', 2, '16 bits'],
  ])('%s', (model, bytes, weights) => expect(weightsOf(model)).toEqual({ bytes, weights }));

  test.each([
    ['8b', 8],
    ['135M', 0.135],
    ['8x7b', 46.48],
    ['0.5B', 0.5],
    ['671b', 671],
    ['b', null],
    ['8', null],
    ['8k', null],
    ['0b', null],
    ['99999b', null],
    ['-8b', null],
  ])('--params %s', (text, params) => {
    if (params === null) expect(readParams(text)).toBeNull();
    else expect(readParams(text)).toBeCloseTo(params, 6);
  });
});

describe('the estimate', () => {
  const load = { params: 8, bytes: 2, tokens: 0, engineGb: 0, share: 1 };

  test('the cache of 8 B is that of Llama 3.1 8B, of 70 B that of Llama 3.1 70B', () => {
    expect(cacheGb({ params: 8, tokens: 1 }) * 1e9).toBeCloseTo(131_072, 0);
    expect(Math.abs(cacheGb({ params: 70.6, tokens: 1 }) * 1e9 - 327_680) / 327_680).toBeLessThan(0.02);
  });

  test('exactly full is enough', () => {
    expect(estimate(load)).toEqual({ count: 1, min_vram_gb: 16 });
    expect(estimate({ ...load, params: 8.01 })).toEqual({ count: 1, min_vram_gb: 24 });
  });

  test('what every GPU keeps for itself counts on each', () => {
    expect(estimate({ ...load, params: 80, engineGb: 0 })).toEqual({ count: 2, min_vram_gb: 80 });
    expect(estimate({ ...load, params: 80, engineGb: 1 })).toEqual({ count: 4, min_vram_gb: 48 });
  });

  test('rare cards only where eight common ones do not do, and nothing where no eight do', () => {
    expect(estimate({ ...load, params: 320 })).toEqual({ count: 8, min_vram_gb: 80 });
    expect(estimate({ ...load, params: 321 })).toEqual({ count: 4, min_vram_gb: 180 });
    expect(estimate({ ...load, params: 721 })).toBeNull();
  });

  test('more is never estimated at less', () => {
    let least = 0;
    for (let params = 0.1; params < 700; params *= 1.07) {
      const gpu = estimate({ ...load, params, tokens: 16_384, engineGb: 1.5, share: 0.9 });
      if (gpu === null) break;
      expect(gpu.count * gpu.min_vram_gb).toBeGreaterThanOrEqual(least * 0.8);
      least = gpu.count * gpu.min_vram_gb;
    }
  });
});
