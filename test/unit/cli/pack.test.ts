import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, mkdtemp, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { extract, list } from 'tar';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failure } from '../../../cli/failure.ts';
import { ignoreRules } from '../../../cli/pack/ignore.ts';
import { packFolder } from '../../../cli/pack/pack.ts';
import { LIMITS } from '#protocol';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ripcord-pack-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function put(files: Record<string, string | Buffer>, root = dir): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

async function entriesOf(data: Buffer): Promise<{ path: string; type: string; mode: number | undefined }[]> {
  const found: { path: string; type: string; mode: number | undefined }[] = [];
  await writeFile(`${dir}.tgz`, data);
  await list({ file: `${dir}.tgz`, onReadEntry: (entry) => found.push({ path: entry.path, type: entry.type, mode: entry.mode }) });
  await rm(`${dir}.tgz`);
  return found;
}

const paths = async (root: string) => (await entriesOf((await packFolder(root)).data)).map((entry) => entry.path);

async function failure(work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Failure)) throw error;
  return error;
}

describe('the same folder gives the same bytes', () => {
  test('whatever the times, the order of writing, the rights of others and hard links are', async () => {
    const one = await put({ 'b.txt': 'b', 'a/z.txt': 'z', 'a.txt': 'a', run: '#!' }, join(dir, 'one'));
    const two = await put({ run: '#!', 'a.txt': 'a', 'a/z.txt': 'z' }, join(dir, 'two'));
    await writeFile(join(dir, 'b'), 'b');
    await link(join(dir, 'b'), join(two, 'b.txt'));
    await utimes(join(two, 'a.txt'), 1, 1);
    await chmod(join(two, 'a.txt'), 0o600);
    for (const root of [one, two]) await chmod(join(root, 'run'), 0o755);
    const [first, second] = [await packFolder(one), await packFolder(two)];
    expect(second.sha256).toBe(first.sha256);
    expect(second.data.equals(first.data)).toBe(true);
    expect(first).toMatchObject({ files: 4, bytes: first.data.length });
  });

  test('but not for another content, name or executable bit', async () => {
    const hash = async (files: Record<string, string>, mode = 0o644) => {
      const root = await put(files, await mkdtemp(join(dir, 'x-')));
      await chmod(join(root, 'a'), mode);
      return (await packFolder(root)).sha256;
    };
    const hashes = await Promise.all([hash({ a: '1' }), hash({ a: '2' }), hash({ a: '1', b: '' }), hash({ a: '1' }, 0o744)]);
    expect(new Set(hashes).size).toBe(4);
  });

  test('known bytes', async () => {
    await put({ 'a.txt': 'hello\n', 'd/b.txt': 'x' });
    // Pinned: a change here makes every folder be sent again.
    expect(await entriesOf((await packFolder(dir)).data)).toEqual([
      { path: 'a.txt', type: 'File', mode: 0o644 },
      { path: 'd/', type: 'Directory', mode: 0o755 },
      { path: 'd/b.txt', type: 'File', mode: 0o644 },
    ]);
  });
});

test('what is packed comes out again: long names, other scripts, links, empty files', async () => {
  const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(120)}.txt`;
  await put({ [long]: 'long', 'päckchen/日本.txt': 'ü', empty: '', block: Buffer.alloc(512, 1) });
  await symlink('empty', join(dir, 'link'));
  await symlink('missing', join(dir, 'dangling'));
  const { data } = await packFolder(dir);
  const out = await mkdtemp(join(tmpdir(), 'ripcord-unpack-'));
  try {
    await finished(Readable.from([data]).pipe(extract({ cwd: out, strict: true })));
    expect(await readFile(join(out, long), 'utf8')).toBe('long');
    expect(await readFile(join(out, 'päckchen/日本.txt'), 'utf8')).toBe('ü');
    expect(await readFile(join(out, 'link'), 'utf8')).toBe('');
    expect((await stat(join(out, 'block'))).size).toBe(512);
  } finally {
    await rm(out, { recursive: true });
  }
});

describe('what is left out', () => {
  test('by default: .git, node_modules, secrets of the shell, the config itself', async () => {
    await put({
      '.git/HEAD': '',
      'node_modules/x/i.js': '',
      '.env': 'S=1',
      '.env.local': '',
      'chute.toml': '',
      'sub/chute.toml': '',
      'main.js': '',
      'a/__pycache__/x.pyc': '',
    });
    expect(await paths(dir)).toEqual(['a/', 'main.js', 'sub/', 'sub/chute.toml']);
  });

  test('.ripcordignore takes back and adds; .gitignore is then not read; .git stays out', async () => {
    await put({
      '.ripcordignore': '!node_modules/\n!.git/\n*.log\n',
      '.gitignore': 'main.js\n',
      '.git/HEAD': '',
      'node_modules/x.js': '',
      'main.js': '',
      'a.log': '',
    });
    expect(await paths(dir)).toEqual(['main.js', 'node_modules/', 'node_modules/x.js']);
  });

  test('.gitignore where there is no .ripcordignore', async () => {
    await put({ '.gitignore': 'dist/\n', 'dist/x': '', 'main.js': '' });
    expect(await paths(dir)).toEqual(['main.js']);
  });

  const RULES = [
    '# comment',
    '*.log',
    '!keep.log',
    '/top',
    'build/',
    'docs/*.md',
    'a/**/z',
    '**/any',
    'deep/**',
    'set[0-9].txt',
    'not[!a].txt',
    'q?.txt',
    '\\#hash',
    '\\!bang',
    'trail   ',
    'esc\\*star',
    'cla[]x]ss',
    'x/y',
    'foo*bar*baz',
    '[a-',
  ];
  const NAMES = [
    'a.log',
    'keep.log',
    'sub/b.log',
    'sub/keep.log',
    'top',
    'sub/top',
    'build',
    'sub/build',
    'docs/x.md',
    'docs/s/x.md',
    'sub/docs/x.md',
    'a/z',
    'a/b/z',
    'a/b/c/z',
    'any',
    'p/q/any',
  ];
  NAMES.push(
    'deep/x',
    'deep/x/y',
    'deep',
    'set1.txt',
    'seta.txt',
    'nota.txt',
    'notb.txt',
    'q1.txt',
    'q12.txt',
    '#hash',
    '!bang',
    'trail',
    'esc*star',
    'escXstar',
    'cla]ss',
    'class',
    'claxss',
  );
  NAMES.push('x/y', 'p/x/y', 'foo1bar2baz', 'foo/bar/baz', 'foobarbaz', '[a-', 'comment');

  test('as git reads the same rules', async () => {
    execFileSync('git', ['init', '-q', dir]);
    await put({ '.gitignore': `${RULES.join('\n')}\n` });
    const ignored = ignoreRules(RULES.join('\n'));
    // Each name alone in a folder of its own, so that no ignored parent decides for it.
    const ours = NAMES.filter((name) =>
      name.split('/').some((_, i, parts) => ignored(parts.slice(0, i + 1).join('/'), i < parts.length - 1)),
    );
    const git = execFileSync('git', ['-C', dir, '-c', 'core.quotePath=false', 'check-ignore', '--no-index', '--stdin', '-z'], {
      input: NAMES.join('\0'),
    });
    expect(ours).toEqual(
      git
        .toString()
        .split('\0')
        .filter((name) => name !== ''),
    );
  });

  test('a rule for folders leaves files alone', () => {
    const ignored = ignoreRules('out/');
    expect([ignored('out', true), ignored('out', false), ignored('a/out', true)]).toEqual([true, false, true]);
  });

  test('no rule takes long', () => {
    const ignored = ignoreRules(`${'*a'.repeat(30)}b\n${'**/'.repeat(20)}x\n${'*'.repeat(500)}b`);
    const start = performance.now();
    ignored('a'.repeat(40), false);
    ignored('a/'.repeat(15), false);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe('what is refused', () => {
  test('links that leave the folder', async () => {
    await put({ 'in/x': '', 'out/secret': '' });
    for (const target of ['../out/secret', '/etc/passwd', '..', 'y/../../out']) {
      await symlink(target, join(dir, 'in/link'));
      expect(await failure(packFolder(join(dir, 'in')))).toMatchObject({ exit: 2, code: 'code_link_outside' });
      await rm(join(dir, 'in/link'));
    }
  });

  test('links that leave it through another link', async () => {
    await put({ 'in/x': '', 'out/secret': '', 'in/.ripcordignore': '/hop\n' });
    await symlink('../out', join(dir, 'in/hop'));
    await symlink('hop/secret', join(dir, 'in/link'));
    expect(await failure(packFolder(join(dir, 'in')))).toMatchObject({ code: 'code_link_outside' });
  });

  test('what is no file', async () => {
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    expect(await failure(packFolder(dir))).toMatchObject({
      exit: 2,
      code: 'code_not_a_file',
      message: expect.stringContaining('pipe') as unknown,
    });
  });

  test('nothing to pack, and no folder', async () => {
    expect(await failure(packFolder(dir))).toMatchObject({ code: 'code_empty' });
    expect(await failure(packFolder(join(dir, 'nowhere')))).toMatchObject({ code: 'no_code_folder' });
  });

  test('more than the limit, with the biggest files', async () => {
    await put({ 'small.txt': 'x', 'big/weights.bin': randomBytes(LIMITS.codeBytes), 'big/other.bin': randomBytes(1024) });
    const refused = await failure(packFolder(dir));
    expect(refused).toMatchObject({ exit: 2, code: 'code_too_large' });
    const lines = refused.message.split('\n');
    expect(lines[0]).toContain('16.0 MiB');
    expect(lines[1]).toMatch(/16\.0 MiB {2}big\/weights\.bin$/);
    expect(lines[2]).toMatch(/1\.0 KiB {2}big\/other\.bin$/);
  });

  test('a large folder that packs small is fine', async () => {
    await put({ 'zeros.bin': Buffer.alloc(2 * LIMITS.codeBytes) });
    expect((await packFolder(dir)).bytes).toBeLessThan(100_000);
  });
});
