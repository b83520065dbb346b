import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readChuteToml } from '../../../cli/chute-toml/read.ts';
import { run } from '../../../cli/program.ts';
import { TEMPLATES } from '../../../cli/templates/engines.ts';
import { imageName } from '#protocol';

async function init(...args: string[]) {
  const cwd = mkdtempSync(join(tmpdir(), 'init-'));
  let out = '';
  let err = '';
  const code = await run(['init', ...args], {
    env: { HOME: cwd },
    cwd,
    out: { write: (text) => ((out += String(text)), true), once: () => undefined },
    err: { write: (text) => ((err += String(text)), true), once: () => undefined },
    in: (async function* () {})(),
    signal: new AbortController().signal,
  });
  return { code, out, err, cwd };
}

const MODELS: Record<string, string[]> = {
  vllm: ['Qwen/Qwen3-8B', 'meta-llama/Llama-3.3-70B-Instruct', 'Qwen/Qwen2.5-72B-Instruct-AWQ', 'meta-llama/Llama-3.1-405B-Instruct'],
  sglang: ['Qwen/Qwen3-0.6B', 'mistralai/Mixtral-8x22B-Instruct-v0.1'],
  tei: ['BAAI/bge-m3', 'Qwen/Qwen3-Embedding-8B'],
  'llama-cpp': ['bartowski/Meta-Llama-3.1-8B-Instruct-GGUF', 'ggml-org/gemma-3-27b-it-GGUF:Q8_0'],
  comfyui: ['black-forest-labs/FLUX.1-dev', 'stabilityai/stable-diffusion-xl-base-1.0'],
  diffusers: ['black-forest-labs/FLUX.1-schnell', 'stabilityai/stable-diffusion-3-medium'],
  whisper: ['Systran/faster-whisper-large-v3', 'Systran/faster-whisper-tiny'],
};

describe('every template', () => {
  const table = TEMPLATES.flatMap((t) => [t.example, ...(MODELS[t.name] ?? [])].map((model) => [t.name, model] as const));
  test.each(table)('%s of %s deploys as it is', async (template, model) => {
    const { code, cwd } = await init('chute', '--template', template, '--model', model);
    expect(code).toBe(0);
    expect(readdirSync(join(cwd, 'chute'))).toEqual(['chute.toml']);
    const { config } = await readChuteToml(join(cwd, 'chute', 'chute.toml'));
    expect(config.name).toBe('chute');
    expect(imageName(config.image ?? '')?.tag).toBeTruthy();
    expect(config.gpu?.count).toBeGreaterThan(0);
    expect(config.price).toBeUndefined();
    const text = JSON.stringify([config.args, config.env, config.image]);
    // The comfyui images have theirs inside.
    if (template !== 'comfyui') expect(text).toContain(model);
    expect(readFileSync(join(cwd, 'chute', 'chute.toml'), 'utf8')).not.toMatch(/undefined|NaN|\[object/);
  });

  test('its models are all covered here', () => expect(Object.keys(MODELS).toSorted()).toEqual(TEMPLATES.map((t) => t.name).toSorted()));
});

test('several GPUs are told to the engine in its own words', async () => {
  const { cwd } = await init('a', '--template', 'vllm', '--model', 'meta-llama/Llama-3.3-70B-Instruct');
  const { config } = await readChuteToml(join(cwd, 'a', 'chute.toml'));
  expect(config.args?.slice(-2)).toEqual(['--tensor-parallel-size', String(config.gpu?.count)]);
});

test('without a folder the model names the chute', async () => {
  const { out } = await init('--template', 'vllm', '--model', 'Qwen/Qwen2.5-7B-Instruct', '--json');
  expect(JSON.parse(out)).toMatchObject({ name: 'qwen2-5-7b-instruct' });
});

test('--params tells what the name does not', async () => {
  const { code, cwd } = await init('a', '--template', 'vllm', '--model', 'microsoft/phi-4', '--params', '14.7b');
  expect(code).toBe(0);
  expect((await readChuteToml(join(cwd, 'a', 'chute.toml'))).config.gpu).toMatchObject({ count: 1, min_vram_gb: 40 });
});

test('--list-templates names each with an example', async () => {
  const { out } = await init('--list-templates', '--json');
  expect(JSON.parse(out)).toMatchObject({ items: TEMPLATES.map(({ name, example }) => ({ name, example })) });
  expect((await init('--list-templates')).out).toContain('--model Qwen/Qwen3-8B');
});

describe('refuses', () => {
  test.each([
    ['an engine that is none', ['--template', 'tgi', '--model', 'a/b-7b'], 'no_template', 'vllm, sglang'],
    ['no model', ['--template', 'vllm'], 'no_model', 'Qwen/Qwen3-8B'],
    ['a model without a template', ['--model', 'a/b-7b'], 'no_template', '--list-templates'],
    ['a model of nobody', ['--template', 'vllm', '--model', 'b-7b'], 'invalid_model', 'ORG/NAME'],
    ['a path', ['--template', 'vllm', '--model', '../x-7b'], 'invalid_model', 'ORG/NAME'],
    ['a line break', ['--template', 'vllm', '--model', 'a/b-7b\nmin = 9'], 'invalid_model', 'ORG/NAME'],
    ['a tag where there are none', ['--template', 'vllm', '--model', 'a/b-7b:Q4_K_M'], 'invalid_model', 'ORG/NAME'],
    ['a name that says no size', ['--template', 'vllm', '--model', 'deepseek-ai/DeepSeek-R1'], 'unknown_size', '--params 671b'],
    ['a size that is none', ['--template', 'vllm', '--model', 'a/b', '--params', 'big'], 'invalid_params', '8x7b'],
    ['what fits nowhere', ['--template', 'vllm', '--model', 'a/b-1000b'], 'too_large', 'fewer bits'],
    ['a model that no image has', ['--template', 'comfyui', '--model', 'a/b-7b'], 'invalid_model', 'FLUX.1-schnell'],
  ])('%s', async (_name, args, errorCode, hint) => {
    const { code, err, cwd } = await init('a', ...args, '--json');
    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ error: { code: errorCode, hint: expect.stringContaining(hint) as string } });
    expect(readdirSync(cwd)).toEqual([]);
  });
});
