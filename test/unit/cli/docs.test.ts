import { readFile } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { beforeAll, describe, expect, test } from 'vitest';
import { LIMITS } from '#protocol';
import { fieldAt, fieldNames, type Field } from '../../../cli/chute-toml/fields.ts';
import { DEFAULT_IGNORES } from '../../../cli/pack/ignore.ts';
import { parseChuteToml } from '../../../cli/chute-toml/read.ts';

interface Row {
  name: string;
  unit: string;
  default: string;
  example: string;
  meaning: string;
}

const text = await readFile(new URL('../../../docs/chute-toml.md', import.meta.url), 'utf8');
const rows: Row[] = [...text.matchAll(/^\| `([^`]+)` *\|(.+)\|$/gm)].map(([, name = '', rest = '']) => {
  const [, unit = '', standard = '', example = '', meaning = ''] = rest.split('|').map((cell) => cell.trim());
  return { name, unit, default: standard, example, meaning };
});

const fieldOf = (name: string): Field | null =>
  fieldAt(name.split('.').flatMap((part) => (part.endsWith('[]') ? [part.slice(0, -2), 0] : [part])));
const literal = (cell: string) => /^`(.*)`$/.exec(cell)?.[1];

test('docs/chute-toml.md has every field, once, and no other', () => {
  expect(rows.map((row) => row.name).toSorted()).toEqual(fieldNames().toSorted());
});

/** All three stand together. */
const WEIGHTS = { path: '"models/tiny"', root: `"${'0'.repeat(64)}"`, leaves: '7' };
const AN_IMAGE = 'name = "a"\nimage = "x/y:1"\nport = 80\n';

describe.each(rows.map((row) => [row.name, row] as const))('%s', (name, row) => {
  let field: Field;
  beforeAll(() => {
    const found = fieldOf(name);
    if (found === null) throw new Error(`no field ${name}`);
    field = found;
  });

  test('the default is the schema’s', () => {
    const told = literal(row.default);
    if (told !== undefined) expect((parse(`x = ${told}`) as { x: unknown }).x).toEqual(field.default);
    else expect([row.default, field.default]).toEqual([/name$|path$|^weights\./.test(name) ? 'required' : 'none', undefined]);
  });

  test('the range is the schema’s', () => {
    if (field.maximum !== undefined && field.maximum !== Number.MAX_SAFE_INTEGER)
      expect(row.meaning).toContain(`${field.minimum} to ${field.maximum}`);
    for (const size of [field.maxLength, field.maxItems])
      if (size !== undefined && name !== 'image' && !name.startsWith('gpu.')) expect(row.meaning).toContain(String(size));
    for (const value of field.enum ?? []) expect(text).toContain(`\`${value}\``);
  });

  test('the example is taken', () => {
    const example = literal(row.example);
    if (example === undefined) return expect(row.example).toBe('see below');
    const [top = '', inner] = name.split(/(?:\[\])?\./);
    const cord = inner === 'path' || top !== 'cords' ? '' : 'path = "/x"\n';
    const own =
      inner === undefined
        ? `${top} = ${example}\n`
        : top === 'cords'
          ? `[[cords]]\n${cord}${inner} = ${example}\n`
          : top === 'weights'
            ? `[weights]\n${Object.entries({ ...WEIGHTS, [inner]: example })
                .map(([key, value]) => `${key} = ${value}\n`)
                .join('')}`
            : `[${top}]\n${inner} = ${example}\n`;
    const needs = {
      name: 'command = ["x"]\n',
      command: 'name = "a"\n',
      image: 'name = "a"\nport = 80\n',
      entrypoint: AN_IMAGE,
      args: AN_IMAGE,
      adapter: AN_IMAGE,
      egress: AN_IMAGE,
      min: 'name = "a"\ncommand = ["x"]\nmax = 9\n',
    }[top];
    parseChuteToml((needs ?? 'name = "a"\ncommand = ["x"]\n') + own, 'chute.toml', '/');
  });

  test('numbers have a unit', () => {
    if (field.type === 'integer' || field.type === 'number') expect(name === 'port' ? 'port' : row.unit).not.toBe('');
  });
});

test('the toml in the page is good', () => {
  const blocks = [...text.matchAll(/```toml\n(.*?)```/gs)].map(([, block = '']) => block);
  expect(blocks).toHaveLength(2);
  for (const block of blocks) parseChuteToml((block.includes('name =') ? '' : 'name = "a"\ncommand = ["x"]\n') + block, 'chute.toml', '/');
});

test('the page tells what is left out and the limit', () => {
  for (const rule of DEFAULT_IGNORES) expect(text).toContain(`\`${rule.replace(/^\/|\/$/g, '')}\``);
  expect(text).toContain(`at most ${LIMITS.codeBytes / 1024 ** 2} MiB`);
});
