/** The engines that `ripcord init --template` knows. */
import type { Template } from './template.ts';

/** Tokens of context of one call. */
const CONTEXT = 8192;
/** Two calls at their longest, or more that are shorter. */
const TOKENS = 2 * CONTEXT;
/** GB of CUDA context, graphs and activations. */
const ENGINE_GB = 1.5;
/** What vLLM takes of a GPU unless told otherwise (`--gpu-memory-utilization`). */
const SHARE = 0.9;

const LANGUAGE = { tokens: TOKENS, engineGb: ENGINE_GB, share: SHARE };

/** Where the agent lets a container keep models between starts. */
const CACHE = '/cache';
const HF = { HF_HOME: `${CACHE}/huggingface` };

const OPENAI: Template['cords'] = [
  { path: '/v1/chat/completions', retry: 'safe' },
  { path: '/v1/completions', retry: 'safe' },
];

const vllm: Template = {
  name: 'vllm',
  about: 'language models by vLLM, as OpenAI’s API',
  example: 'Qwen/Qwen3-8B',
  docs: 'vLLM 0.25, https://docs.vllm.ai/en/v0.25.1/cli/serve.html',
  image: () => 'vllm/vllm-openai:v0.25.1',
  args: ({ model, gpu }) => [
    model,
    '--host',
    '0.0.0.0',
    '--port',
    '8000',
    '--max-model-len',
    String(CONTEXT),
    ...(gpu.count > 1 ? ['--tensor-parallel-size', String(gpu.count)] : []),
  ],
  port: 8000,
  health: '/health',
  api: 'openai',
  cords: OPENAI,
  // Callers name the chute as the model, not the weights.
  env: () => ({ ...HF, VLLM_CACHE_ROOT: `${CACHE}/vllm`, VLLM_SKIP_MODEL_NAME_VALIDATION: '1' }),
  load: LANGUAGE,
  concurrency: 16,
};

const sglang: Template = {
  name: 'sglang',
  about: 'language models by SGLang, as OpenAI’s API',
  example: 'Qwen/Qwen3-8B',
  docs: 'SGLang 0.5, https://docs.sglang.io/docs/advanced_features/server_arguments.html',
  image: () => 'lmsysorg/sglang:v0.5.18',
  entrypoint: ['python3', '-m', 'sglang.launch_server'],
  args: ({ model, gpu }) => [
    '--model-path',
    model,
    '--host',
    '0.0.0.0',
    '--port',
    '30000',
    '--context-length',
    String(CONTEXT),
    ...(gpu.count > 1 ? ['--tp-size', String(gpu.count)] : []),
  ],
  port: 30_000,
  health: '/health',
  api: 'openai',
  cords: OPENAI,
  env: () => HF,
  load: LANGUAGE,
  concurrency: 16,
};

const tei: Template = {
  name: 'tei',
  about: 'embeddings by Text Embeddings Inference, as OpenAI’s API',
  example: 'Qwen/Qwen3-Embedding-0.6B',
  docs: 'Text Embeddings Inference 1.9, https://huggingface.co/docs/text-embeddings-inference/cli_arguments',
  image: () => 'ghcr.io/huggingface/text-embeddings-inference:cuda-1.9',
  args: ({ model }) => ['--model-id', model, '--port', '8080'],
  port: 8080,
  health: '/health',
  api: 'openai',
  cords: [{ path: '/v1/embeddings', retry: 'safe' }],
  env: () => ({ ...HF, HUGGINGFACE_HUB_CACHE: `${CACHE}/huggingface/hub` }),
  load: { tokens: 0, engineGb: 2, share: SHARE },
  concurrency: 32,
};

const llamaCpp: Template = {
  name: 'llama-cpp',
  about: 'GGUF files by llama.cpp, as OpenAI’s API',
  example: 'ggml-org/gemma-3-4b-it-GGUF:Q4_K_M',
  docs: 'llama.cpp, https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md',
  image: () => 'ghcr.io/ggml-org/llama.cpp:server-cuda',
  args: ({ model }) => [
    '--hf-repo',
    model,
    '--host',
    '0.0.0.0',
    '--port',
    '8080',
    // All slots share the context.
    '--ctx-size',
    String(TOKENS),
    '--parallel',
    '4',
    '--n-gpu-layers',
    '99',
  ],
  port: 8080,
  health: '/health',
  api: 'openai',
  cords: OPENAI,
  env: () => ({ LLAMA_CACHE: `${CACHE}/llama.cpp` }),
  load: LANGUAGE,
  concurrency: 4,
};

/** Images with weights inside, by the model they hold. */
const COMFYUI: readonly [RegExp, string][] = [
  [/^black-forest-labs\/FLUX\.1-schnell$/i, 'flux1-schnell'],
  [/^black-forest-labs\/FLUX\.1-dev$/i, 'flux1-dev'],
  [/^stabilityai\/stable-diffusion-xl-base-1\.0$/i, 'sdxl'],
  [/^stabilityai\/stable-diffusion-3-medium$/i, 'sd3'],
];

const comfyui: Template = {
  name: 'comfyui',
  about: 'ComfyUI workflows, by RunPod’s worker image behind the runpod adapter',
  example: 'black-forest-labs/FLUX.1-schnell',
  docs: 'worker-comfyui 5.8, https://github.com/runpod-workers/worker-comfyui',
  image: (model) => {
    const variant = COMFYUI.find(([pattern]) => pattern.test(model))?.[1];
    return variant === undefined ? null : `runpod/worker-comfyui:5.8.5-${variant}`;
  },
  models:
    'black-forest-labs/FLUX.1-schnell, black-forest-labs/FLUX.1-dev, stabilityai/stable-diffusion-xl-base-1.0, stabilityai/stable-diffusion-3-medium',
  adapter: 'runpod',
  health: '/health',
  api: 'http',
  cords: [],
  env: () => ({}),
  // Text encoders give way to the image model while it works; activations of one picture of a megapixel.
  load: { tokens: 0, engineGb: 4, share: 0.95 },
  concurrency: 1,
  baked: true,
};

const diffusers: Template = {
  name: 'diffusers',
  about: 'image models of diffusers by SGLang Diffusion, POST /v1/images/generations',
  example: 'black-forest-labs/FLUX.1-schnell',
  docs: 'SGLang Diffusion 0.5, https://docs.sglang.io/diffusion/api/cli.html',
  image: () => 'lmsysorg/sglang:v0.5.18',
  entrypoint: ['sglang', 'serve'],
  args: ({ model, gpu }) => [
    '--model-path',
    model,
    '--host',
    '0.0.0.0',
    '--port',
    '30010',
    ...(gpu.count > 1 ? ['--num-gpus', String(gpu.count)] : []),
  ],
  port: 30_010,
  health: '/health',
  api: 'http',
  cords: [{ path: '/v1/images/generations', retry: 'never' }],
  env: () => HF,
  load: { tokens: 0, engineGb: 4, share: 0.95 },
  concurrency: 1,
};

const whisper: Template = {
  name: 'whisper',
  about: 'speech to text by faster-whisper in Speaches, POST /v1/audio/transcriptions',
  example: 'Systran/faster-whisper-large-v3',
  docs: 'Speaches, https://speaches.ai/configuration/',
  image: () => 'ghcr.io/speaches-ai/speaches:latest-cuda-12.6.3',
  port: 8000,
  health: '/health',
  api: 'http',
  cords: [
    { path: '/v1/audio/transcriptions', retry: 'safe' },
    { path: '/v1/audio/translations', retry: 'safe' },
  ],
  env: ({ model }) => ({ ...HF, PRELOAD_MODELS: JSON.stringify([model]), UVICORN_PORT: '8000' }),
  load: { tokens: 0, engineGb: 2, share: 0.95 },
  concurrency: 2,
};

export const TEMPLATES: readonly Template[] = [vllm, sglang, tei, llamaCpp, comfyui, diffusers, whisper];
