/** Docker's API document as a judge: what it does not know is a problem. */
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import type { ValidateFunction } from 'ajv';

type Schema = Record<string, unknown>;

interface Operation {
  parameters?: { name: string; in: string; required?: boolean; type?: string; enum?: string[]; schema?: Schema }[];
  responses: Record<string, { schema?: Schema }>;
}

interface Document {
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  definitions: Record<string, Schema>;
}

const document = JSON.parse(readFileSync(new URL('./docker-api-1.50.json', import.meta.url), 'utf8')) as Document;
export const API_VERSION = document.info.version;

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: 'docker', definitions: closed(document.definitions) });
const compiled = new Map<Schema, ValidateFunction>();

export interface Route {
  /** As the document writes it: `/containers/{id}/json`. */
  path: string;
  operation: Operation;
  /** What stands for `{id}` or `{name}`. */
  name: string;
}

export function routeOf(method: string, path: string): Route | null {
  for (const [pattern, methods] of Object.entries(document.paths)) {
    const operation = methods[method.toLowerCase()];
    // A name of an image has slashes of its own.
    const match = new RegExp(`^${pattern.replace('{id}', '([^/]+)').replace('{name}', '(.+)')}$`).exec(path);
    if (operation !== undefined && match !== null) return { path: pattern, operation, name: decodeURIComponent(match[1] ?? '') };
  }
  return null;
}

/** What is wrong with a request, one line each. */
export function requestProblems({ operation }: Route, query: URLSearchParams, body: unknown): string[] {
  const parameters = operation.parameters ?? [];
  const problems: string[] = [];
  for (const [name, value] of query) {
    const known = parameters.find((p) => p.in === 'query' && p.name === name);
    if (known === undefined) problems.push(`no query parameter ${name}`);
    else if (known.type === 'boolean' && !/^(true|false|0|1)$/.test(value)) problems.push(`${name} is no boolean: ${value}`);
    else if (known.type === 'integer' && !/^-?\d+$/.test(value)) problems.push(`${name} is no integer: ${value}`);
    else if (known.enum !== undefined && !known.enum.includes(value)) problems.push(`${name} is none of its values: ${value}`);
  }
  const schema = parameters.find((p) => p.in === 'body' && p.schema?.['type'] !== 'string')?.schema;
  if (schema !== undefined) problems.push(...mismatch(schema, body));
  else if (body !== undefined) problems.push('it has no body');
  return problems;
}

export function replyProblems({ operation, path }: Route, status: number, body: unknown): string[] {
  const response = operation.responses[String(status)];
  if (response === undefined) return [`${path} never answers ${status}`];
  return response.schema === undefined || response.schema['format'] === 'binary' ? [] : mismatch(response.schema, body);
}

/** A line of a pull. */
export function lineProblems(line: unknown): string[] {
  return mismatch(PULL_LINE, line);
}
const PULL_LINE = { $ref: '#/definitions/CreateImageInfo' };

function mismatch(schema: Schema, value: unknown): string[] {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    validate = ajv.compile(closed(schema));
    compiled.set(schema, validate);
  }
  if (validate(value)) return [];
  return (validate.errors ?? []).map((e) => `${e.instancePath} ${e.message ?? ''} ${JSON.stringify(e.params)}`);
}

/** The same schema as JSON Schema, in which every object refuses fields it does not name; what `allOf` joins is one object. */
function closed<T>(node: T): T;
function closed(node: unknown): unknown {
  if (Array.isArray(node)) return node.map((part: unknown) => closed(part));
  if (!isSchema(node)) return node;
  const joined = Array.isArray(node['allOf']) ? join(node['allOf']) : node;
  const out: Schema = {};
  for (const [key, value] of Object.entries(joined)) out[key] = key === '$ref' ? `docker${String(value)}` : closed(value);
  if (isSchema(out['properties']) && out['additionalProperties'] === undefined && out['type'] === 'object')
    out['additionalProperties'] = false;
  if (out['x-nullable'] === true && typeof out['type'] === 'string') out['type'] = [out['type'], 'null'];
  return out;
}

function join(parts: unknown[]): Schema {
  const properties: Schema = {};
  for (const part of parts) {
    if (!isSchema(part)) continue;
    const named = typeof part['$ref'] === 'string' ? document.definitions[part['$ref'].split('/').pop() ?? ''] : part;
    const whole = named !== undefined && Array.isArray(named['allOf']) ? join(named['allOf']) : named;
    if (isSchema(whole?.['properties'])) Object.assign(properties, whole['properties']);
  }
  return { type: 'object', properties };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
