import { ApiError, type Fields } from './http.ts';

const MAX_INPUTS = 256;
const MAX_CHARACTERS = 32_768;
const DIMENSIONS = { least: 64, most: 1024, otherwise: 512 };

export type Job = { model: string; texts: string[]; dimensions: number; base64: boolean };

/** What POST /v1/embeddings asks for, or a refusal that names the field. */
export function readJob(fields: Fields): Job {
  const model = fields['model'];
  if (typeof model !== 'string' || model === '') refuse('model', 'expected a non-empty string');
  return { model, texts: readTexts(fields['input']), dimensions: readDimensions(fields['dimensions']), base64: readFormat(fields) };
}

function readTexts(input: unknown): string[] {
  const texts: unknown[] = Array.isArray(input) ? input : [input];
  if (texts.some((text) => typeof text === 'number' || Array.isArray(text))) {
    refuse('input', 'token arrays are not supported, send text', 'unsupported_input');
  }
  if (texts.length === 0 || texts.length > MAX_INPUTS) refuse('input', `expected 1 to ${MAX_INPUTS} strings`);
  return texts.map((text, at) => {
    const name = Array.isArray(input) ? `input[${at}]` : 'input';
    if (typeof text !== 'string' || text === '') refuse(name, 'expected a non-empty string');
    if (text.length > MAX_CHARACTERS) refuse(name, `expected at most ${MAX_CHARACTERS} characters`, 'context_length_exceeded');
    return text;
  });
}

function readDimensions(value: unknown): number {
  const { least, most, otherwise } = DIMENSIONS;
  if (value === undefined || value === null) return otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    refuse('dimensions', `expected an integer from ${least} to ${most}`);
  }
  return value;
}

function readFormat(fields: Fields): boolean {
  const format = fields['encoding_format'] ?? 'float';
  if (format !== 'float' && format !== 'base64') refuse('encoding_format', "expected 'float' or 'base64'");
  return format === 'base64';
}

function refuse(name: string, message: string, code = 'invalid_value'): never {
  throw new ApiError(400, `Invalid '${name}': ${message}.`, name, code);
}
