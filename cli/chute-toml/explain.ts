/** Turns what the schema has against a chute.toml into sentences with a line, for people. Values of `env` are never shown. */
import type * as z from 'zod/mini';
import { describeField, ENV_NAME, FIELDS, fieldAt, fieldNames } from './fields.ts';
import { lineOf, type KeyPath } from './lines.ts';
import { nearest } from './nearest.ts';

export interface Problem {
  file: string;
  line: number | null;
  field: string;
  message: string;
}

/** Words of other platforms, and the field that does the job here. */
const ELSEWHERE: Record<string, string> = {
  node_selector: 'gpu',
  gpu_count: 'gpu.count',
  min_vram_gb_per_gpu: 'gpu.min_vram_gb',
  max_instances: 'max',
  max_replicas: 'max',
  min_instances: 'min',
  min_replicas: 'min',
  shutdown_after_seconds: 'idle_after',
  entrypoint: 'command',
  environment: 'env',
  routes: 'cords',
  pricing: 'price',
};

type Issue = z.core.$ZodIssue;

/** All problems, in the order of the file. */
export function explain(issues: readonly Issue[], value: unknown, source: string, file: string): Problem[] {
  const problems = issues.flatMap((issue) => {
    const path = issue.path.map((p) => (typeof p === 'symbol' ? String(p) : p));
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => problem([...path, key], unknown(path, key), source, file));
    return [problem(path, sentence(issue, path, value), source, file)];
  });
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

export function problem(path: KeyPath, message: string, source: string, file: string): Problem {
  return { file, line: lineOf(source, path), field: showPath(path), message };
}

/** `file:line: field: message`, as editors understand it. */
export function showProblem(p: Problem): string {
  return `${p.file}${p.line === null ? '' : `:${p.line}`}: ${p.field === '' ? '' : `${p.field}: `}${p.message}`;
}

function showPath(path: KeyPath): string {
  return path.map((p, i) => (typeof p === 'number' ? `[${p}]` : i === 0 ? p : `.${p}`)).join('');
}

function unknown(path: KeyPath, key: string): string {
  const here = Object.keys(fieldAt(path)?.properties ?? {});
  const meant = Object.hasOwn(ELSEWHERE, key) ? ELSEWHERE[key] : undefined;
  if (meant !== undefined) return `no such field; here it is called ${meant}`;
  const inOther = fieldNames().find((name) => name.split('.').at(-1) === key);
  if (inOther !== undefined && !here.includes(key)) return `no such field here; it belongs to ${placeOf(inOther)}`;
  const near = nearest(key, here);
  if (near !== null) return `no such field; did you mean ${near}?`;
  const far = nearest(key, fieldNames());
  if (far !== null) return `no such field; did you mean ${far}?`;
  return `no such field; there are ${here.join(', ')}`;
}

function placeOf(name: string): string {
  const table = name.split('.').slice(0, -1).join('.');
  if (table === '') return 'the top of the file, before the first [table]';
  return table.endsWith('[]') ? `[[${table.slice(0, -2)}]]` : `[${table}]`;
}

function sentence(issue: Issue, path: KeyPath, value: unknown): string {
  if (issue.code === 'invalid_key') return `the name of an environment variable is ${ENV_NAME} characters`;
  const field = fieldAt(path) ?? FIELDS;
  const expected = describeField(field, path);
  const got = valueAt(value, path);
  if (got === undefined) return `missing; expected ${expected}`;
  if (path[0] === 'env')
    return typeof got === 'string' ? 'the value is longer than 32768 characters' : `expected text in quotes, got ${kindOf(got)}`;
  const near = field.enum !== undefined && typeof got === 'string' ? nearest(got, field.enum) : null;
  return `expected ${expected}, got ${show(got)}${near === null ? '' : `; did you mean "${near}"?`}`;
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let at = value;
  for (const step of path) at = typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[step] : undefined;
  return at;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return kindOf(value);
  const text = JSON.stringify(value);
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return typeof value === 'string' ? `the text ${short}` : short;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  return typeof value === 'object' ? 'a table' : typeof value === 'boolean' ? 'true or false without quotes' : `a ${typeof value}`;
}
