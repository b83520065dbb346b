/** What a field of chute.toml may hold, in words, told by the shared schema itself. */
import * as z from 'zod/mini';
import { chuteConfigSchema } from '#protocol';
import type { KeyPath } from './lines.ts';

/** The part of JSON Schema that the config schema comes to. */
export interface Field {
  type?: string;
  default?: unknown;
  enum?: string[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  items?: Field;
  properties?: Record<string, Field>;
  required?: string[];
  propertyNames?: Field;
  additionalProperties?: Field | false;
}

/** The fields of chute.toml: those of the schema, and `code`, which only the command reads. */
export const FIELDS: Field = withCode(z.toJSONSchema(chuteConfigSchema, { io: 'input' }) as Field);

function withCode(schema: Field): Field {
  return { ...schema, properties: { ...schema.properties, code: { type: 'string', default: '.' } } };
}

/** What patterns mean, by the last name of the path they stand at. */
const PATTERNS: Record<string, string> = {
  name: '1 to 40 lower-case letters, digits and hyphens, no hyphen at either end, as "my-chute"',
  health: 'a path that starts with /, as "/health"',
  path: 'a path that starts with /, as "/v1/chat/completions"',
};
export const ENV_NAME = 'letters, digits and _, not a digit first, at most 128';

/** The field at a path, or null where the file may have none. */
export function fieldAt(path: KeyPath): Field | null {
  let field: Field = FIELDS;
  for (const step of path) {
    const open = field.additionalProperties;
    const named: Record<string, Field> = field.properties ?? {};
    const next = typeof step === 'number' ? field.items : Object.hasOwn(named, step) ? named[step] : open === false ? undefined : open;
    if (next === undefined) return null;
    field = next;
  }
  return field;
}

/** Every field with a name, tables too: `name`, `gpu`, `gpu.count`, `cords`, `cords[].path`. */
export function fieldNames(field: Field = FIELDS, prefix = ''): string[] {
  return Object.entries(field.properties ?? {}).flatMap(([name, inner]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    return [path, ...fieldNames(inner, path), ...(inner.items === undefined ? [] : fieldNames(inner.items, `${path}[]`))];
  });
}

/** What the field takes, for a sentence that starts with "expected". */
export function describeField(field: Field, path: KeyPath): string {
  const last = path.at(-1);
  if (field.enum !== undefined) return `one of ${field.enum.map((v) => `"${v}"`).join(', ')}`;
  if (field.type === 'boolean') return 'true or false';
  if (field.type === 'integer' || field.type === 'number') return describeNumber(field);
  if (field.type === 'array') return describeList(field, path);
  if (field.type === 'object') return `a table, [${path.filter((p) => typeof p === 'string').join('.')}]`;
  if (field.pattern !== undefined && typeof last === 'string' && PATTERNS[last] !== undefined) return `text in quotes: ${PATTERNS[last]}`;
  const size = field.maxLength === undefined ? '' : ` of ${field.minLength ?? 0} to ${field.maxLength} characters`;
  return `text in quotes${size}`;
}

function describeNumber(field: Field): string {
  const what = field.type === 'integer' ? 'a whole number' : 'a number';
  const max = field.maximum === Number.MAX_SAFE_INTEGER ? undefined : field.maximum;
  return max === undefined ? `${what}, ${field.minimum ?? 0} or more` : `${what} from ${field.minimum ?? 0} to ${max}`;
}

function describeList(field: Field, path: KeyPath): string {
  const range = `${field.minItems ?? 0} to ${field.maxItems}`;
  if (field.items?.type === 'object') return `${range} tables, each as [[${path.join('.')}]]`;
  return `a list of ${range} texts, as ["one", "two"]`;
}
