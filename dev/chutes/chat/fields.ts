/** Reads one field of a request each, or refuses it by name. */
import { ApiError, type Fields, isObject } from './http.ts';

export function refuse(name: string, message: string, code: string | null = null): never {
  throw new ApiError(400, `Invalid '${name}': ${message}.`, name, code);
}

type Range = { least: number; most: number; otherwise: number };

export function numberOf(fields: Fields, name: string, { least, most, otherwise }: Range): number {
  const value = fields[name] ?? otherwise;
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse(name, 'expected a number', 'invalid_type');
  if (value < least || value > most) refuse(name, `expected a value from ${least} to ${most}`, 'invalid_value');
  return value;
}

export function integerOf(fields: Fields, name: string, range: Range): number {
  const value = numberOf(fields, name, range);
  if (!Number.isInteger(value)) refuse(name, 'expected an integer', 'invalid_type');
  return value;
}

export function booleanOf(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') refuse(name, 'expected a boolean', 'invalid_type');
  return value;
}

export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') refuse(name, 'expected a non-empty string', 'invalid_type');
  return value;
}

/** A string or an array of at most `most` strings, as OpenAI takes for `stop` and `prompt`. */
export function textsOf(value: unknown, name: string, most: number): string[] {
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) {
    refuse(name, 'expected a string or an array of strings', 'invalid_type');
  }
  if (list.length > most) refuse(name, `expected at most ${most} strings`, 'array_above_max_length');
  return list;
}

/** The words of a message: a string, or parts of which all are text. */
export function contentOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (!Array.isArray(value)) refuse(name, 'expected a string or an array of parts', 'invalid_type');
  return value
    .map((part: unknown, at) => {
      if (isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string') return part['text'];
      return refuse(`${name}[${at}]`, 'this model reads text parts only', 'unsupported_content');
    })
    .join('');
}
