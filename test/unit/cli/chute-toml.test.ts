import { describe, expect, test } from 'vitest';
import { keyLines, keyOf, lineOf, type KeyPath } from '../../../cli/chute-toml/lines.ts';
import { editDistance, nearest } from '../../../cli/chute-toml/nearest.ts';
import { parseChuteToml } from '../../../cli/chute-toml/read.ts';
import { chuteToml } from '../../../cli/chute-toml/starter.ts';
import { Failure } from '../../../cli/failure.ts';

const SOURCE = `# a comment = 1
name = "a" # [not.a.table]
"quoted key" = 'x = [y]'
dotted . "in ner".'last' = 1
long = """
inside = "not a key"
# neither ""\\"
[nor.this]"""
after = '''
x = 1'''
list = [
  "one", # two = 2
  "two",
]
inline = { a = 1, b.c = "}", d = [ { e = 1 },
  { e = 2 } ] }
[gpu]
count = 1
[a."b.c".d]
x = 1
[[cords]]
path = "/one"
[[cords]]
path = "/two"
[cords.deep]
y = 1
[[cords.more]]
z = 1
[env]
"\\u0041B" = "v"
`;

describe('the line of a field', () => {
  const cases: [KeyPath, number | null][] = [
    [['name'], 2],
    [['quoted key'], 3],
    [['dotted'], 4],
    [['dotted', 'in ner', 'last'], 4],
    [['long'], 5],
    [['after'], 9],
    [['list'], 11],
    [['list', 0], 12],
    [['list', 1], 13],
    [['inline', 'b', 'c'], 15],
    [['inline', 'd', 0, 'e'], 15],
    [['inline', 'd', 1, 'e'], 16],
    [['gpu'], 17],
    [['gpu', 'count'], 18],
    [['a', 'b.c', 'd', 'x'], 20],
    [['cords'], 21],
    [['cords', 0, 'path'], 22],
    [['cords', 1], 23],
    [['cords', 1, 'path'], 24],
    [['cords', 1, 'deep', 'y'], 26],
    [['cords', 1, 'more', 0, 'z'], 28],
    [['env', 'AB'], 30],
    // What the file has not got: the thing around it.
    [['cords', 1, 'method'], 23],
    [['gpu', 'include', 3], 17],
    [['nothing'], null],
  ];
  test.each(cases)('%j is in line %j', (path, line) => expect(lineOf(SOURCE, path)).toBe(line));

  test('keys inside strings and comments are no keys', () => {
    const lines = keyLines(SOURCE);
    for (const path of [['inside'], ['nor'], ['x'], ['y'], ['not']]) expect(lines.has(keyOf(path))).toBe(false);
  });

  test.each(['[', '[[', '=', 'a', 'a =', 'a = [', 'a = {', 'a = "', '"', ']]]', ',', '"""', 'a.', '[a', '{', "'''\n'"])(
    'ends on %j',
    (source) => {
      expect(keyLines(source)).toBeInstanceOf(Map);
    },
  );
});

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'acb', 1],
  ['abc', 'ab', 1],
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
])('%s and %s are %i edits apart', (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
  expect(editDistance(b, a)).toBe(edits);
});

test.each([
  ['concurency', 'concurrency'],
  ['start-timeout', 'start_timeout'],
  ['Name', 'name'],
  ['comand', 'command'],
  ['zzzzzz', null],
  ['', null],
])('the name nearest to %s is %s', (name, meant) => {
  expect(nearest(name, ['name', 'command', 'concurrency', 'start_timeout', 'min', 'max'])).toBe(meant);
});

function problems(source: string): string[] {
  try {
    parseChuteToml(source, 'chute.toml', '/code');
  } catch (error) {
    if (error instanceof Failure && error.exit === 2 && error.code === 'invalid_config') return error.message.split('\n');
    throw error;
  }
  return [];
}

const GOOD = 'name = "a"\ncommand = ["node", "x.mjs"]\n';

describe('what is wrong is told with file, line and the right name', () => {
  test.each([
    ['concurency = 2', /^chute\.toml:3: concurency: no such field; did you mean concurrency\?$/],
    ['max_instances = 2', /^chute\.toml:3: max_instances: no such field; here it is called max$/],
    ['min_vram_gb = 2', /^chute\.toml:3: min_vram_gb: no such field here; it belongs to \[gpu\]$/],
    ['\n[gpu]\nmin_vram = 2', /^chute\.toml:5: gpu\.min_vram: no such field; did you mean min_vram_gb\?$/],
    ['[gpu]\nconcurrency = 2', /^chute\.toml:4: gpu\.concurrency: no such field here; it belongs to the top of the file/],
    ['[[cords]]\npath = "/x"\nmetod = "GET"', /^chute\.toml:5: cords\[0\]\.metod: no such field; did you mean method\?$/],
    ['qqqqqqqqqqqqq = 1', /^chute\.toml:3: qqqqqqqqqqqqq: no such field; there are name, tagline, .*code$/],
    ['max = "3"', /^chute\.toml:3: max: expected a whole number from 1 to 100, got the text "3"$/],
    ['max = 1.5', /^chute\.toml:3: max: expected a whole number from 1 to 100, got 1\.5$/],
    ['public = "yes"', /^chute\.toml:3: public: expected true or false, got the text "yes"$/],
    ['template = "opnai"', /^chute\.toml:3: template: expected one of "openai", "http", got the text "opnai"; did you mean "openai"\?$/],
    ['gpu = 1', /^chute\.toml:3: gpu: expected a table, \[gpu\], got 1$/],
    ['cords = ["/x"]', /^chute\.toml:3: cords\[0\]: expected a table/],
    ['[[cords]]\nmethod = "GET"', /^chute\.toml:3: cords\[0\]\.path: missing; expected text in quotes: a path that starts with \//],
    [
      'health = "health"',
      /^chute\.toml:3: health: expected text in quotes: a path that starts with \/, as "\/health", got the text "health"$/,
    ],
    ['timeout = 9999', /^chute\.toml:3: timeout: expected a whole number from 1 to 600, got 9999$/],
    ['[price]\nper_second = -1', /^chute\.toml:4: price\.per_second: expected a whole number from 0 to 10000000000000, got -1$/],
    ['[env]\nSECRET = 4711', /^chute\.toml:4: env\.SECRET: expected text in quotes, got a number$/],
    ['[env]\n"1A" = "x"', /^chute\.toml:4: env\.1A: the name of an environment variable is letters, digits and _/],
    ['min = 5', /^chute\.toml:3: min: 5 is more than max \(1\)$/],
    ['image = "x"\nport = 1', /^chute\.toml:3: image: give exactly one of image and command$/],
    ['code = 1', /^chute\.toml:3: code: expected text in quotes, the folder to pack/],
    ['code = "/etc"', /^chute\.toml:3: code: expected a folder relative to this file/],
    ['x = ', /^chute\.toml:3: not TOML, column \d+: /],
    ['name = "b"', /^chute\.toml:3: not TOML/],
    ['__proto__ = 1', /^chute\.toml:3: /],
  ])('%j', (rest, message) => {
    const found = problems(GOOD + rest);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  test('all problems at once, in the order of the file', () => {
    expect(problems('name = "A"\ncommand = "x"\nmaks = 1\n[gpu]\ncount = 9').map((line) => line.split(':')[1])).toEqual([
      '1',
      '2',
      '3',
      '5',
    ]);
  });

  test('a missing name', () =>
    expect(problems('command = ["x"]')[0]).toMatch(/^chute\.toml: name: missing; expected text in quotes: 1 to 40 lower-case/));
  test('a value of env is never shown', () => expect(problems(`${GOOD}[env]\nA = ["s3cret"]`).join()).not.toContain('s3cret'));
  test('an image has no code', () =>
    expect(problems('name = "a"\nimage = "x"\nport = 80\ncode = "."')[0]).toMatch(/^chute\.toml:4: code: an image brings its own code/));
});

test('a good file gives the config with defaults, and the folder', () => {
  const { config, code } = parseChuteToml(
    `${GOOD}code = "app"\n[[cords]]\npath = "/x"\n[gpu]\nmin_vram_gb = 24\n[env]\nA = "1"`,
    'chute.toml',
    '/code',
  );
  expect(code).toBe('/code/app');
  expect(config).toMatchObject({
    name: 'a',
    cords: [{ path: '/x', method: 'POST', retry: 'never' }],
    gpu: { count: 1, min_vram_gb: 24 },
    env: { A: '1' },
    timeout: 300,
  });
});

test('an image has no folder', () => {
  expect(parseChuteToml('name = "a"\nimage = "x"\nport = 80', 'chute.toml', '/code').code).toBeNull();
});

test('what init writes is a good file, also with every comment taken off', () => {
  const text = chuteToml('hello');
  expect(parseChuteToml(text, 'chute.toml', '/code').config).toMatchObject({ name: 'hello', min: 1, max: 1, env: { GREETING: 'world' } });
  const all = text.replace(/^# (?=(\[|\w+ = ))/gm, '');
  expect(parseChuteToml(all, 'chute.toml', '/code').config).toMatchObject({
    gpu: { count: 1 },
    cords: [{ path: '/', method: 'GET', retry: 'safe' }],
    health: '/health',
  });
});
