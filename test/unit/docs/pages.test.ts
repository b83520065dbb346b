/** The pages say what the code does: generated parts are fresh, every route is told, every file that is named is there. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PAGES, regenerated } from '../../../docs/generate.ts';

const ROOT = join(import.meta.dirname, '../../..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
/** Every page of this folder, and the two above it. */
const LIVING = [
  'README.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

test.each(PAGES)('%s is what npm run docs writes', (page) => {
  expect(read(page)).toBe(regenerated(page));
});

test('docs/api.md has every route of the edge, and no other', async () => {
  // By name, so that this folder's types do not mix with those of the Workers.
  const { app } = (await import(join(ROOT, 'functions/app.ts'))) as { app: { routes: { method: string; path: string }[] } };
  const served = app.routes
    .filter(({ method, path }) => method !== 'ALL' || path !== '/*')
    .map(({ method, path }) => `${method} ${plain(path)}`);
  const told = [...read('docs/api.md').matchAll(/`((?:GET|POST|PUT|PATCH|DELETE|ALL) \/[^`]*)`/g)].map(([, route = '']) => route);
  expect([...new Set(told)].toSorted()).toEqual([...new Set(served)].toSorted());
  // The whole edge is read for it.
}, 30_000);

/** `/chutes/:id{cht_[^/]+}` as people write it: `/chutes/{id}`. */
function plain(path: string): string {
  return path.replaceAll(/:(\w+)(\{[^}]*\})?\??/g, '{$1}');
}

describe.each(LIVING)('%s', (page) => {
  test('names files that are there', () => {
    const named = [...read(page).matchAll(/(?:`|\]\()((?:[\w.-]+\/)*[\w.-]+\.(?:ts|md|toml|mjs))[`)]/g)].map(([, file = '']) => file);
    const places = ['', 'docs/', 'functions/', 'miner-agent/'];
    // Made by a command, or by the reader.
    const made = [
      'dist/ripcord-miner.mjs',
      'hello/chute.toml',
      'chute.toml',
      'judge.toml',
      'config.toml',
      'core.ts',
      'object.ts',
      'strategy.ts',
      'code-fetch.ts',
    ];
    expect(named.filter((file) => !made.includes(file) && !places.some((place) => existsSync(join(ROOT, place + file))))).toEqual([]);
  });

  test('names folders that are there', () => {
    const named = [...read(page).matchAll(/`((?:functions|miner-agent|validator-cron|cli|db|dev|docs|test)\/(?:[\w-]+\/)*)`/g)].map(
      ([, folder = '']) => folder,
    );
    expect(named.filter((folder) => !existsSync(join(ROOT, folder)))).toEqual([]);
  });
});

describe('decision notes', () => {
  const notes = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => name.endsWith('.md'));

  test('are numbered without a gap', () => {
    expect(notes.toSorted().map((name) => Number(name.slice(0, 4)))).toEqual(notes.map((_, i) => i + 1));
  });

  test.each(notes)('%s says what, why, what else, and what would change it', (name) => {
    const headings = [...read(`docs/decisions/${name}`).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Problem', 'Choice', 'Alternatives', 'What would change our mind']);
  });

  test('every dependency has its line', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
    const note = read('docs/decisions/0001-dependencies.md');
    const told = [...note.matchAll(/^- `([^`]+)`/gm)].map(([, name = '']) => name);
    expect(told.toSorted()).toEqual(Object.keys({ ...dependencies, ...devDependencies }).toSorted());
  });
});
