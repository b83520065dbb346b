/** A template and a model → a chute.toml that deploys as it is and says why each line is there. */
import type { Template, Wish } from './template.ts';
import { cacheGb, weightsGb } from './estimate.ts';

/** Hosts that Hugging Face hands files out from. */
const HOSTS = ['huggingface.co', '*.huggingface.co', '*.hf.co'];

/** Columns until the comment behind a field. */
const COLUMN = 34;

export function templateToml(template: Template, image: string, wish: Wish, name: string): string {
  const parts = [
    head(template, image, wish, name),
    serving(template),
    space(template, wish),
    ...cords(template),
    gpu(template, wish),
    env(template, wish),
    price(template),
  ];
  return `${parts.map((part) => part.join('\n')).join('\n\n')}\n`;
}

function head({ docs, adapter, entrypoint, args, port, health, api }: Template, image: string, wish: Wish, name: string): string[] {
  return [
    `# ${wish.model}. Flags and paths after ${docs}`,
    '# Every field: docs/chute-toml.md',
    field('name', name),
    field('tagline', wish.model.slice(0, 200), 'one line for lists'),
    field('template', api, api === 'openai' ? 'answers under /v1, tokens are counted' : 'called by its own routes'),
    note('public = true', 'any account may call it'),
    '',
    '# ripcord deploy asks the registry which image the tag names today, and pins the version to that digest.',
    field('image', image),
    ...(adapter === undefined ? [] : [field('adapter', adapter, 'the image is made for RunPod and runs unchanged')]),
    ...(entrypoint === undefined ? [] : [list('entrypoint', entrypoint)]),
    ...(args === undefined ? [] : [list('args', args(wish))]),
    ...(port === undefined ? [] : [field('port', port)]),
    ...(adapter === undefined ? [field('health', health, 'a GET of it answers 200 once it can serve')] : []),
  ];
}

function serving({ concurrency }: Template): string[] {
  return [
    field('start_timeout', 1800, 'seconds; the first start on a machine fetches everything'),
    field('timeout', 600, 'seconds one call may take'),
    field('concurrency', concurrency, 'calls one instance serves at a time; more wait'),
    field('min', 0, '0: no instance while nobody calls'),
    field('max', 1, 'instances at most'),
    field('idle_after', 300, 'seconds an instance is kept that nobody needs'),
    note('bounty = 50000000', 'nano-USD at most (0.05 USD) for the miner that starts it when a call waits'),
  ];
}

/** RAM to read the weights through, shared memory for the processes of several GPUs, disk for the weights. */
function space({ baked }: Template, { size, gpu: need }: Wish): string[] {
  const weights = weightsGb(size);
  return [
    field('memory_mb', 1024 * (8 + Math.ceil(weights / 2)), 'MiB of RAM'),
    field('shm_mb', need.count > 1 ? 16_384 : 2048, 'MiB of /dev/shm, where processes of the engine meet'),
    field('disk_gb', Math.ceil(weights * 1.2 + 10), 'GB; the weights and some room'),
    ...(baked === true
      ? ['# The weights are in the image: it needs no network.']
      : [list('egress', HOSTS, 'hosts it may connect to, no other')]),
  ];
}

function cords(template: Template): string[][] {
  return template.cords.map(({ path, retry }) => [
    '[[cords]]',
    field('path', path),
    ...(retry === 'safe' ? [field('retry', retry, 'sent to another instance if one is lost before it answers')] : []),
  ]);
}

function gpu({ load }: Template, { size, gpu: need }: Wish): string[] {
  const kv = cacheGb({ ...size, ...load });
  const parts = [`${gb(weightsGb(size))} of weights (${round(size.params)} billion, ${size.weights})`];
  if (kv > 0) parts.push(`${gb(kv)} for ${load.tokens} tokens of context`);
  return [
    `# Estimated from the name of the model: ${parts.join(', ')},`,
    `# and on each GPU ${gb(load.engineGb)} for the engine, which uses ${Math.round(load.share * 100)} % of it. Change it where you know better.`,
    '[gpu]',
    field('count', need.count),
    field('min_vram_gb', need.min_vram_gb, 'of each GPU'),
    note('include = ["h100"]', 'names of GPUs, only these'),
  ];
}

function env(template: Template, wish: Wish): string[] {
  const hint =
    template.baked === true
      ? []
      : ['# A gated model wants a token, which does not belong into this file: ripcord secrets set CHUTE HF_TOKEN'];
  return [...hint, '[env]', ...Object.entries(template.env(wish)).map(([name, value]) => field(name, value))];
}

function price({ api }: Template): string[] {
  return [
    '# What callers pay, in nano-USD; without this table a new chute is free. docs/prices.md has the formula.',
    '# [price]',
    ...(api === 'openai'
      ? ['# input_per_million = 100000000    # tokens of the prompt: 0.10 USD a million', '# output_per_million = 300000000']
      : ['# per_second = 500000              # of a call: 0.0005 USD']),
  ];
}

function field(name: string, value: string | number, comment?: string): string {
  return commented(`${name} = ${JSON.stringify(value)}`, comment);
}

function list(name: string, values: readonly string[], comment?: string): string {
  return commented(`${name} = [${values.map((value) => JSON.stringify(value)).join(', ')}]`, comment);
}

/** A field that is left out, for who wants it. */
function note(text: string, comment: string): string {
  return commented(`# ${text}`, comment);
}

function commented(text: string, comment?: string): string {
  return comment === undefined ? text : `${text.padEnd(COLUMN - 1)} # ${comment}`;
}

function gb(value: number): string {
  return `${round(value)} GB`;
}

function round(value: number): number {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}
