/** Tables of messages out of their schemas. */
import * as z from 'zod/mini';

export interface JsonSchema {
  $ref?: string;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  prefixItems?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  propertyNames?: JsonSchema;
  required?: string[];
  default?: unknown;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  maxItems?: number;
  minItems?: number;
}

/** Schemas that have a table of their own; elsewhere they are told by name. */
export type Named = z.core.$ZodRegistry<{ id: string }>;

export function schemaOf(schema: z.ZodMiniType, named: Named): JsonSchema {
  const json = z.toJSONSchema(schema, { io: 'input', metadata: named, reused: 'inline' }) as JsonSchema & {
    $defs?: Record<string, JsonSchema>;
  };
  const id = /^#\/\$defs\/(\w+)$/.exec(json.$ref ?? '')?.[1];
  return id === undefined ? json : (json.$defs?.[id] ?? json);
}

/** The fields of an object. `comment` says what a field means, where the code says it. */
export function fieldTable(json: JsonSchema, comment: (field: string) => string): string {
  const rows = Object.entries(json.properties ?? {}).map(([name, field]) => {
    const optional =
      json.required?.includes(name) === true ? '' : field.default === undefined ? ' · optional' : ` · else ${code(field.default)}`;
    return `| \`${name}\` | ${typeText(field)}${optional} | ${cell(comment(name))} |`;
  });
  return ['| field | form | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

/** One line of what a value looks like. */
export function typeText(json: JsonSchema): string {
  if (json.$ref !== undefined) return `[${refName(json.$ref)}](#${refName(json.$ref).toLowerCase()})`;
  if (json.const !== undefined) return code(json.const);
  if (json.enum !== undefined) return json.enum.map((value) => code(value)).join(', ');
  if (json.anyOf !== undefined) return json.anyOf.map(typeText).join(' or ');
  switch (json.type) {
    case 'null':
      return 'null';
    case 'boolean':
      return 'true or false';
    case 'string':
      return json.pattern === undefined
        ? `text${count(json.minLength, json.maxLength, 'characters')}`
        : `text ${code(json.pattern, false)}`;
    case 'integer':
      return `whole number${range(json)}`;
    case 'number':
      return `number${range(json)}`;
    case 'array':
      return json.prefixItems === undefined
        ? `list of${count(json.minItems, json.maxItems, '').replace(' of', '')} ${typeText(json.items ?? {})}`
        : `[${json.prefixItems.map(typeText).join(', ')}]`;
    case 'object':
      return json.properties === undefined
        ? recordText(json)
        : `object: ${Object.entries(json.properties)
            .map(([k, v]) => `\`${k}\` ${typeText(v)}`)
            .join('; ')}`;
    case undefined:
    default:
      return 'anything';
  }
}

function recordText(json: JsonSchema): string {
  const values = typeof json.additionalProperties === 'object' ? typeText(json.additionalProperties) : 'anything';
  return `object of ${typeText(json.propertyNames ?? { type: 'string' })} → ${values}`;
}

function refName(ref: string): string {
  return ref.replace(/^.*\//, '');
}

/** ` of 1 to 64 characters`, ` of at most 512 characters`, or nothing. */
function count(least: number | undefined, most: number | undefined, what: string): string {
  if (most === undefined) return '';
  return ` of ${least === undefined ? 'at most' : `${least} to`} ${most} ${what}`.trimEnd();
}

function range({ minimum, maximum, exclusiveMinimum }: JsonSchema): string {
  const least = exclusiveMinimum === undefined ? minimum : exclusiveMinimum + 1;
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const low = least === undefined || least === -Number.MAX_SAFE_INTEGER ? undefined : least;
  if (low === undefined) return most === undefined ? '' : ` up to ${most}`;
  return most === undefined ? ` from ${low}` : ` from ${low} to ${most}`;
}

/** A literal as code; a bar would end the cell. */
function code(value: unknown, quoted = true): string {
  const text = quoted ? JSON.stringify(value) : String(value);
  const escaped = text.replaceAll('|', '\\|');
  return escaped.includes('`') ? `\`\` ${escaped} \`\`` : `\`${escaped}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
