import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { secretLike } from '../../../cli/env-names.ts';
import { readSecret } from '../../../cli/secret-input.ts';
import { Kept, ripcord, SECRET, StandIn, type Ran, type RunOptions } from './stand-in.ts';

let home: string;
let api: StandIn;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ripcord-cli-'));
  api = new StandIn();
  await api.listen();
  api.on('GET /accounts/me', { json: { account_id: 'acc_1', handle: 'alice', hotkey: '5Abc' } });
  api.on('POST /secrets', (request) => {
    const { purpose, kind, key } = JSON.parse(request.body.toString()) as Record<string, string>;
    return { status: 201, json: { secret_id: 'sec_1', purpose, kind, key } };
  });
});
afterEach(async () => {
  await api.close();
  await rm(home, { recursive: true, force: true });
});

function rip(argv: string[], options: RunOptions = {}): Promise<Ran> {
  const env = { XDG_CONFIG_HOME: home, RIPCORD_API: api.origin, RIPCORD_API_KEY: SECRET, ...options.env };
  return ripcord(argv, { cwd: home, ...options, env });
}

const sent = (): unknown[] => api.asked('POST /secrets').map(({ body }) => JSON.parse(body.toString()));

describe('where a value comes from', () => {
  test.each<[string, string[], RunOptions, string]>([
    ['a pipe, without the newline at its end', [], { input: Buffer.from('hidden value\n') }, 'hidden value'],
    ['a pipe of several lines', [], { input: Buffer.from('a\nb\r\n') }, 'a\nb'],
    ['a file, to the last byte', ['--from-file', 'value'], {}, 'of a file\n'],
    ['a variable', ['--from-env', 'MINE'], { env: { MINE: 'of the environment' } }, 'of the environment'],
  ])('%s', async (_, more, options, value) => {
    await writeFile(join(home, 'value'), 'of a file\n');
    const ran = await rip(['secrets', 'set', 'hello', 'TOKEN', ...more], options);
    expect(sent()).toEqual([{ purpose: 'alice/hello', key: 'TOKEN', value }]);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).not.toContain(value.trim());
  });

  test.each<[string, string[], RunOptions, string]>([
    ['nothing in the pipe', [], {}, 'empty_secret'],
    ['a variable that is not there', ['--from-env', 'MINE'], {}, 'empty_secret'],
    ['a file that is not there', ['--from-file', 'nothing'], {}, 'unreadable_file'],
    ['two sources', ['--from-file', 'a', '--from-env', 'B'], {}, 'two_sources'],
    ['more than it reads', [], { input: Buffer.alloc(65 * 1024, 'x') }, 'secret_too_large'],
    ['the value on the command line', ['hidden'], {}, 'usage'],
  ])('%s: refused', async (_, more, options, code) => {
    const ran = await rip(['secrets', 'set', 'hello', 'TOKEN', ...more, '--json'], options);
    expect([ran.code, (JSON.parse(ran.err) as { error: { code: string } }).error.code]).toEqual([2, code]);
    expect(sent()).toEqual([]);
  });

  /** A terminal: keys come one by one, and it is told not to show them. */
  async function typed(keys: string): Promise<{ value: string | Error; raw: boolean[]; shown: string }> {
    const raw: boolean[] = [];
    const err = new Kept(true);
    const keyboard = (async function* () {
      for (const key of keys) yield Buffer.from(key);
    })();
    const terminal = Object.assign(keyboard, { isTTY: true, setRawMode: (on: boolean) => void raw.push(on) });
    const io = { env: {}, cwd: '/', out: new Kept(), err, in: terminal, signal: new AbortController().signal };
    const value = await readSecret(io, 'Value of TOKEN', {}).catch((error: Error) => error);
    return { value, raw, shown: err.text };
  }

  test.each([
    ['hidden\r', 'hidden'],
    ['hix\u007fdden\n', 'hidden'],
    ['\u007fhidden\u0004', 'hidden'],
  ])('a prompt shows nothing of what is typed: %j', async (keys, value) => {
    expect(await typed(keys)).toEqual({ value, raw: [true, false], shown: 'Value of TOKEN: \n' });
  });

  test('Ctrl-C at the prompt ends it, with the terminal as it was', async () => {
    const { value, raw, shown } = await typed('hid\u0003den\r');
    expect(value).toMatchObject({ code: 'interrupted' });
    expect([raw, shown]).toEqual([[true, false], 'Value of TOKEN: \n']);
  });
});

test('a registry takes a user name, and its password like a secret', async () => {
  const ran = await rip(['secrets', 'registry', 'hello', 'ghcr.io', '--username', 'bob'], { input: Buffer.from('hidden\n') });
  expect(ran.code).toBe(0);
  expect(sent()).toEqual([{ purpose: 'alice/hello', kind: 'registry', key: 'ghcr.io', value: { username: 'bob', password: 'hidden' } }]);
});

test('all pages are listed, by chute', async () => {
  const item = (id: string, purpose: string, key: string) => ({
    secret_id: id,
    purpose,
    kind: 'env',
    key,
    created_at: null,
    updated_at: null,
  });
  api.on('GET /secrets?', { json: { items: [item('sec_1', 'alice/b', 'B')], next: 'sec_1' } });
  api.on('GET /secrets?after=sec_1', { json: { items: [item('sec_2', 'alice/a', 'A')], next: null } });
  const ran = await rip(['secrets', 'list']);
  expect(ran.out.split('\n').map((line) => line.split(/ +/)[0])).toEqual(['CHUTE', 'alice/a', 'alice/b', '']);
});

test('share tells whom, and takes it back', async () => {
  const told = { user_id: 'acc_2', user_name: 'bob' };
  for (const what of ['share', 'unshare']) api.on(`POST /chutes/${what}`, { json: told });
  expect((await rip(['share', 'hello', '--with', 'bob'])).out).toContain('bob may call alice/hello now.');
  expect((await rip(['share', 'hello', '--with', 'bob', '--remove'])).out).toContain('bob may not call alice/hello any more');
  const bodies = ['share', 'unshare'].flatMap((what) => api.asked(`POST /chutes/${what}`)).map(({ body }) => body.toString());
  expect(bodies).toEqual(Array(2).fill('{"chute_id_or_name":"alice/hello","user_id_or_name":"bob"}'));
  // A list in place of it would look as if it were done.
  expect(await rip(['share', 'hello', '--remove'])).toMatchObject({ code: 2 });
});

test.each<[Record<string, string>, string[]]>([
  [
    { HF_TOKEN: 'hf_x', API_KEY: 'k', OPENAI_APIKEY: 'k', DB_PASSWORD: 'p', client_secret: 's' },
    ['HF_TOKEN', 'API_KEY', 'OPENAI_APIKEY', 'DB_PASSWORD', 'client_secret'],
  ],
  [{ MAX_TOKENS: '512', TOKENIZERS_PARALLELISM: 'false', USE_KEY: 'true', EMPTY_TOKEN: '', KEYBOARD: 'de', MODEL: 'x' }, []],
])('names of variables that look like secrets: %j', (env, names) => {
  expect(secretLike(env)).toEqual(names);
});
