/** What the two completion routes ask for in common, checked. */
import { booleanOf, integerOf, numberOf, refuse, textOf, textsOf } from './fields.ts';
import { type Fields, isObject } from './http.ts';
import type { Sampling } from './sampler.ts';

/** Tokens that prompt and reply may have together. */
export const CONTEXT_TOKENS = 8192;
const MAX_CHOICES = 8;
const MAX_STOPS = 4;
const MAX_DELAY_MS = 10_000;

export type Common = Sampling & {
  model: string;
  choices: number;
  stops: string[];
  /** Null when the client gave none: every reply differs. */
  seed: number | null;
  stream: boolean;
  includeUsage: boolean;
  delayMs: number;
};

export function readCommon(fields: Fields, defaultDelayMs: number): Common {
  return {
    model: textOf(fields, 'model'),
    choices: integerOf(fields, 'n', { least: 1, most: MAX_CHOICES, otherwise: 1 }),
    temperature: numberOf(fields, 'temperature', { least: 0, most: 2, otherwise: 1 }),
    topP: numberOf(fields, 'top_p', { least: 0, most: 1, otherwise: 1 }),
    frequencyPenalty: numberOf(fields, 'frequency_penalty', { least: -2, most: 2, otherwise: 0 }),
    presencePenalty: numberOf(fields, 'presence_penalty', { least: -2, most: 2, otherwise: 0 }),
    stops: readStops(fields),
    seed: fields['seed'] === undefined || fields['seed'] === null ? null : readSeed(fields),
    ...readStream(fields),
    delayMs: numberOf(fields, 'delay_ms', { least: 0, most: MAX_DELAY_MS, otherwise: defaultDelayMs }),
  };
}

/** The first of `names` that is given, within what the context has left after the prompt. */
export function readMaxTokens(fields: Fields, names: readonly string[], promptTokens: number, otherwise: number): number {
  const room = CONTEXT_TOKENS - promptTokens;
  const name = names.find((given) => fields[given] !== undefined && fields[given] !== null);
  const wanted = name === undefined ? Math.min(otherwise, room) : integerOf(fields, name, { least: 1, most: 2 ** 31, otherwise });
  if (room < 1 || wanted > room) {
    const message = `the context holds ${CONTEXT_TOKENS} tokens, and the prompt has ${promptTokens}`;
    refuse(name ?? 'prompt', message, 'context_length_exceeded');
  }
  return wanted;
}

/** Fields that would change the reply and that this model cannot honour. */
export function refuseUnsupported(fields: Fields, names: readonly string[]): void {
  for (const name of names) {
    const value = fields[name];
    const given = Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== false;
    if (given) refuse(name, 'this model does not support it', 'unsupported_parameter');
  }
}

function readStops(fields: Fields): string[] {
  const stops = textsOf(fields['stop'] ?? [], 'stop', MAX_STOPS);
  if (stops.includes('')) refuse('stop', 'a stop string cannot be empty', 'invalid_value');
  if (stops.some((stop) => stop.length > 256)) refuse('stop', 'a stop string has at most 256 characters', 'string_above_max_length');
  return stops;
}

function readSeed(fields: Fields): number {
  return integerOf(fields, 'seed', { least: -(2 ** 63), most: 2 ** 63, otherwise: 0 });
}

function readStream(fields: Fields): { stream: boolean; includeUsage: boolean } {
  const stream = booleanOf(fields, 'stream');
  const options = fields['stream_options'] ?? {};
  if (!isObject(options)) refuse('stream_options', 'expected an object', 'invalid_type');
  if (!stream && Object.keys(options).length > 0) refuse('stream_options', "it is only allowed with 'stream'", 'invalid_value');
  return { stream, includeUsage: booleanOf(options, 'include_usage') };
}
