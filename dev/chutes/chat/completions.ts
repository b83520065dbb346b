/** POST /v1/completions: prompts that the model continues. */
import { booleanOf, integerOf, refuse, textsOf } from './fields.ts';
import type { Chosen } from './generate.ts';
import type { Fields } from './http.ts';
import type { LanguageModel } from './model.ts';
import type { Job, Wording } from './reply.ts';
import { readCommon, readMaxTokens, refuseUnsupported } from './request.ts';
import { tokenise, type Vocabulary } from './tokens.ts';

const MAX_PROMPTS = 8;
const DEFAULT_TOKENS = 16;

export function planCompletion(fields: Fields, model: LanguageModel, delayMs: number): Job {
  const common = readCommon(fields, delayMs);
  refuseUnsupported(fields, ['suffix']);
  const texts = textsOf(fields['prompt'], 'prompt', MAX_PROMPTS);
  if (texts.length === 0) refuse('prompt', 'expected at least one prompt', 'invalid_value');
  const counts = texts.map((text) => tokenise(text).length);
  const maxTokens = readMaxTokens(fields, ['max_tokens'], Math.max(...counts), DEFAULT_TOKENS);
  const echo = booleanOf(fields, 'echo');
  const asked = fields['logprobs'] ?? null;
  const alternatives = integerOf(fields, 'logprobs', { least: 0, most: 5, otherwise: 0 });
  if (echo && asked !== null) refuse('echo', "it cannot be combined with 'logprobs' here", 'unsupported_parameter');
  return {
    ...common,
    prompts: texts.map((text) => ({
      predict: model.about(text),
      context: model.contextOf(text),
      echo: echo ? text : '',
    })),
    promptTokens: counts.reduce((sum, count) => sum + count, 0),
    maxTokens,
    alternatives,
    wording: completionWording(model.vocabulary, asked !== null),
  };
}

function completionWording(vocabulary: Vocabulary, logprobs: boolean): Wording {
  const named = (tokens: readonly Chosen[]): object | null => (logprobs ? nameTokens(vocabulary, tokens) : null);
  return {
    prefix: 'cmpl-',
    object: 'text_completion',
    chunkObject: 'text_completion',
    opening: (index, echo) => (echo === '' ? null : { index, text: echo, logprobs: null, finish_reason: null }),
    chunk: (index, { text, tokens }) => ({ index, text, logprobs: named(tokens), finish_reason: null }),
    closing: (index, reason) => ({ index, text: '', logprobs: null, finish_reason: reason }),
    whole: (index, { text, tokens }, reason, echo) => ({
      index,
      text: echo + text,
      logprobs: named(tokens),
      finish_reason: reason,
    }),
  };
}

function nameTokens(vocabulary: Vocabulary, tokens: readonly Chosen[]): object {
  return {
    tokens: tokens.map(({ token }) => vocabulary.text(token)),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ alternatives }) =>
      Object.fromEntries(alternatives.map(({ token, logprob }) => [vocabulary.text(token), logprob])),
    ),
    text_offset: tokens.map(({ start }) => start),
  };
}
