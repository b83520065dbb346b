/** `--template vllm --model ORG/NAME [--params 8b]` → what is to be written, or why not. */
import { usage } from '../failure.ts';
import { TEMPLATES } from './engines.ts';
import { estimate } from './estimate.ts';
import { paramsOf, readParams, weightsOf, type ModelSize } from './size.ts';
import type { Template, Wish } from './template.ts';

export interface Wished {
  template: Template;
  image: string;
  wish: Wish;
}

/** Names of Hugging Face; a tag behind a colon is llama.cpp's. */
const MODEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,95}\/[A-Za-z0-9][A-Za-z0-9._-]{0,95}(:[A-Za-z0-9_]{1,32})?$/;

export function templateNamed(name: string): Template {
  const template = TEMPLATES.find((t) => t.name === name);
  if (template === undefined)
    throw usage('no_template', `There is no template ${name}.`, { hint: `There are ${TEMPLATES.map((t) => t.name).join(', ')}.` });
  return template;
}

/** Throws a `Failure` (wrong use). */
export function wished(template: Template, model: string, params: string | undefined): Wished {
  if (!MODEL.test(model) || (model.includes(':') && template.name !== 'llama-cpp'))
    throw usage('invalid_model', `${model} is not a model's name.`, { hint: `It is ORG/NAME as on Hugging Face, as ${template.example}.` });
  const image = template.image(model);
  if (image === null)
    throw usage('invalid_model', `There is no image of ${template.name} with ${model}.`, {
      hint: `There are images with ${template.models}.`,
    });
  const size = sizeOf(template, model, params);
  const gpu = estimate({ ...size, ...template.load });
  if (gpu === null)
    throw usage('too_large', `${model} does not fit eight GPUs of one machine at ${size.weights}.`, {
      hint: 'Choose one with fewer bits, as FP8 or AWQ.',
    });
  return { template, image, wish: { model, size, gpu } };
}

function sizeOf(template: Template, model: string, told: string | undefined): ModelSize {
  const params = told === undefined ? paramsOf(model) : readParams(told);
  if (told !== undefined && params === null)
    throw usage('invalid_params', `${told} is not a size.`, { hint: 'It looks like 8b, 135m or 8x7b.' });
  if (params === null)
    throw usage('unknown_size', `The name ${model} does not say how large the model is.`, {
      hint: 'Give all of its parameters, as its page tells them: --params 8b, --params 671b.',
    });
  // Without a tag llama.cpp takes this one.
  const weights = weightsOf(
    template.name === 'llama-cpp' && !model.includes(':') && weightsOf(model).bytes === 2 ? `${model}:Q4_K_M` : model,
  );
  return { params, ...weights };
}
