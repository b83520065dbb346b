/** POST /v1/chat/completions: what is asked, and how replies are worded. */
import { booleanOf, contentOf, integerOf, refuse } from './fields.ts';
import type { Chosen } from './generate.ts';
import { ApiError, type Fields, isObject } from './http.ts';
import { FRESH, type LanguageModel } from './model.ts';
import type { Job, Wording } from './reply.ts';
import { readCommon, readMaxTokens, refuseUnsupported } from './request.ts';
import { tokenise, type Vocabulary } from './tokens.ts';

const ROLES = ['system', 'developer', 'user', 'assistant'];
const MAX_MESSAGES = 512;
const DEFAULT_TOKENS = 256;
/** How many of the last user messages are read for the topic when the newest names none. */
const TOPIC_MESSAGES = 3;

type Message = { role: string; content: string };

export function planChat(fields: Fields, model: LanguageModel, delayMs: number): Job {
  const common = readCommon(fields, delayMs);
  refuseUnsupported(fields, ['tools', 'functions', 'audio']);
  refuseFormat(fields);
  const messages = readMessages(fields);
  const promptTokens = tokenise(messages.map(({ role, content }) => `${role}: ${content}\n`).join('')).length;
  const maxTokens = readMaxTokens(fields, ['max_completion_tokens', 'max_tokens'], promptTokens, DEFAULT_TOKENS);
  const logprobs = booleanOf(fields, 'logprobs');
  const alternatives = integerOf(fields, 'top_logprobs', { least: 0, most: 20, otherwise: 0 });
  if (alternatives > 0 && !logprobs) refuse('top_logprobs', "it needs 'logprobs' to be true", 'invalid_value');
  const prompt = { predict: model.about(topicOf(messages)), context: FRESH, echo: '' };
  return {
    ...common,
    prompts: [prompt],
    promptTokens,
    maxTokens,
    alternatives,
    wording: chatWording(model.vocabulary, logprobs),
  };
}

function readMessages(fields: Fields): Message[] {
  const list = fields['messages'];
  if (!Array.isArray(list) || list.length === 0) refuse('messages', 'expected a non-empty array', 'invalid_type');
  if (list.length > MAX_MESSAGES) refuse('messages', `expected at most ${MAX_MESSAGES}`, 'array_above_max_length');
  return list.map((message: unknown, at) => {
    if (!isObject(message)) refuse(`messages[${at}]`, 'expected an object', 'invalid_type');
    const { role, content } = message;
    if (typeof role !== 'string' || !ROLES.includes(role)) {
      refuse(`messages[${at}].role`, `expected one of ${ROLES.join(', ')}`, 'invalid_value');
    }
    if (role !== 'assistant' && (content === undefined || content === null)) {
      throw new ApiError(400, `Missing 'messages[${at}].content'.`, `messages[${at}].content`, 'missing_required_parameter');
    }
    return { role, content: contentOf(content, `messages[${at}].content`) };
  });
}

function refuseFormat(fields: Fields): void {
  const format = fields['response_format'];
  if (format === undefined || format === null || (isObject(format) && format['type'] === 'text')) return;
  refuse('response_format', 'this model writes plain text only', 'unsupported_parameter');
}

/** The newest user message first: its words are met before the older ones'. */
function topicOf(messages: readonly Message[]): string {
  const asked = messages.filter(({ role }) => role === 'user').map(({ content }) => content);
  const newest = asked.at(-1) ?? '';
  return tokenise(newest).length > 4 ? newest : asked.slice(-TOPIC_MESSAGES).join('\n');
}

function chatWording(vocabulary: Vocabulary, logprobs: boolean): Wording {
  const named = (tokens: readonly Chosen[]): object | null =>
    logprobs ? { content: tokens.map((token) => nameToken(vocabulary, token)), refusal: null } : null;
  return {
    prefix: 'chatcmpl-',
    object: 'chat.completion',
    chunkObject: 'chat.completion.chunk',
    opening: (index) => ({ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }),
    chunk: (index, { text, tokens }) => ({
      index,
      delta: { content: text },
      logprobs: named(tokens),
      finish_reason: null,
    }),
    closing: (index, reason) => ({ index, delta: {}, logprobs: null, finish_reason: reason }),
    whole: (index, { text, tokens }, reason) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: named(tokens),
      finish_reason: reason,
    }),
  };
}

function nameToken(vocabulary: Vocabulary, { token, logprob, alternatives }: Chosen): object {
  const name = (id: number, chance: number): object => {
    const text = vocabulary.text(id);
    return { token: text, logprob: chance, bytes: [...Buffer.from(text)] };
  };
  return { ...name(token, logprob), top_logprobs: alternatives.map((other) => name(other.token, other.logprob)) };
}
