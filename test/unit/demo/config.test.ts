import { stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readChuteToml } from '../../../cli/chute-toml/read.ts';
import { readCorpus } from '../../../dev/chutes/chat/corpus.ts';
import { configConflict } from '../../../functions/protocol/chute.ts';

const chutes = fileURLToPath(new URL('../../../dev/chutes', import.meta.url));

describe('chute.toml', () => {
  test.each([
    ['chat', 'openai', 'chat'],
    ['embed', 'openai', 'embed'],
    ['image', 'http', 'image/dist'],
  ])('of %s is valid, public and has an instance only while it is called', async (name, template, packed) => {
    const { config, code } = await readChuteToml(join(chutes, name, 'chute.toml'));
    expect(config).toMatchObject({ name, template, public: true, min: 0 });
    expect(configConflict(config)).toBeNull();
    expect(relative(chutes, code ?? '')).toBe(packed);
    const source = config.command?.[1]?.replace('.mjs', '.ts') ?? '';
    expect((await stat(join(chutes, name, source))).isFile()).toBe(true);
  });
});

test('the corpus is large and says nothing twice', () => {
  const passages = readCorpus();
  expect(passages.join('\n\n').length).toBeGreaterThan(60_000);
  expect(new Set(passages).size).toBe(passages.length);
});
