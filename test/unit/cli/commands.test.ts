import { createHash } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Kept, problem, ripcord, SECRET, StandIn, type Ran, type RunOptions } from './stand-in.ts';

let home: string;
let api: StandIn;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ripcord-cli-'));
  api = new StandIn();
  await api.listen();
});
afterEach(async () => {
  await api.close();
  await rm(home, { recursive: true, force: true });
});

const configFile = () => join(home, 'ripcord', 'config.toml');

function rip(argv: string[], options: RunOptions & { key?: string | null } = {}): Promise<Ran> {
  const key: Record<string, string> = options.key === null ? {} : { RIPCORD_API_KEY: options.key ?? SECRET };
  return ripcord(argv, { cwd: home, ...options, env: { XDG_CONFIG_HOME: home, RIPCORD_API: api.origin, ...key, ...options.env } });
}

function errorOf(ran: Ran): { code: string; message: string; hint: string | null } {
  return (JSON.parse(ran.err) as { error: { code: string; message: string; hint: string | null } }).error;
}

const ME = { account_id: 'acc_1', handle: 'alice', hotkey: '5Abc' };
const VERSION = 'ab'.repeat(32);
const chute = (more: object = {}) => ({
  chute_id: 'cht_1',
  name: 'alice/hello',
  slug: 'alice-hello',
  version: VERSION,
  public: false,
  instances: [],
  ...more,
});

describe('register', () => {
  function signUp(): void {
    api.on('POST /accounts', (request) => {
      const { handle } = JSON.parse(request.body.toString()) as { handle: string };
      return handle === 'taken'
        ? problem(409, 'name_taken')
        : { status: 201, json: { ...ME, handle, hotkey: request.headers['x-ripcord-hotkey'] } };
    });
    api.on('POST /keys', {
      status: 201,
      json: { key_id: 'key_1', name: 'ripcord', secret_key: SECRET, scopes: ['invoke'], created_at: null, expires_at: null },
    });
    api.on('GET /accounts/me', { json: ME });
  }

  test('makes a hotkey, an account and a key, and keeps them to the user', async () => {
    signUp();
    const ran = await rip(['register', 'alice'], { key: null });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toContain('You are alice');
    expect(ran.out + ran.err).not.toContain(SECRET);
    expect(JSON.parse(api.asked('POST /keys')[0]?.body.toString() ?? '')).toEqual({
      name: 'ripcord',
      scopes: ['invoke', 'read', 'write', 'keys'],
    });
    for (const file of [configFile(), join(home, 'ripcord', 'hotkey.json')]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    // The key is used from then on.
    expect(await rip(['whoami'], { key: null })).toMatchObject({
      code: 0,
      out: expect.stringContaining('key of the config file') as unknown,
    });
    expect(await rip(['keys', 'show'], { key: null })).toMatchObject({ code: 0, out: `${SECRET}\n` });
  });

  test('again: the same hotkey, no second key', async () => {
    signUp();
    await rip(['register', 'alice'], { key: null });
    const before = await readFile(join(home, 'ripcord', 'hotkey.json'), 'utf8');
    expect(await rip(['register', 'alice', '--json'], { key: null })).toMatchObject({ code: 0, err: '' });
    expect(await readFile(join(home, 'ripcord', 'hotkey.json'), 'utf8')).toBe(before);
    expect(api.asked('POST /keys')).toHaveLength(1);
    expect(new Set(api.asked('POST /accounts').map((s) => s.headers['x-ripcord-hotkey'])).size).toBe(1);
  });

  test('a taken handle is refused and no key is stored', async () => {
    signUp();
    expect(await rip(['register', 'taken'], { key: null })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/name_taken: It is name_taken\.\n.*another name/s) as unknown,
    });
    await expect(access(configFile())).rejects.toThrow();
  });

  test('a handle that cannot be one, a file that is no hotkey', async () => {
    expect(await rip(['register', 'A!'])).toMatchObject({ code: 2 });
    await writeFile(join(home, 'bad.json'), '{}');
    expect(await rip(['register', 'alice', '--hotkey', 'bad.json'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('invalid_hotkey') as unknown,
    });
  });

  test('two APIs, two profiles', async () => {
    signUp();
    await rip(['register', 'alice'], { key: null });
    const other = new StandIn();
    await other.listen();
    try {
      for (const [route, reply] of api.routes) other.on(route, reply);
      await rip(['register', 'bob', '--api', other.origin], { key: null });
    } finally {
      await other.close();
    }
    const text = await readFile(configFile(), 'utf8');
    expect(text).toContain(`["${api.origin}"]`.slice(1, -1));
    expect(text.match(/handle = "(alice|bob)"/g)).toHaveLength(2);
  });
});

describe('keys', () => {
  const key = { key_id: 'key_1', name: 'ci', scopes: ['invoke'], created_at: '2026-01-02T03:04:05.000Z', expires_at: null };

  test('create prints the secret, and only that, on stdout', async () => {
    api.on('POST /keys', { status: 201, json: { ...key, secret_key: 'rk_new' } });
    expect(await rip(['keys', 'create', 'ci', '--scopes', 'invoke,read', '--expires', '30d'])).toMatchObject({ code: 0, out: 'rk_new\n' });
    const asked = JSON.parse(api.asked('POST /keys')[0]?.body.toString() ?? '') as { expires_at: string };
    expect(asked).toMatchObject({ name: 'ci', scopes: ['invoke', 'read'] });
    expect(Math.abs(Date.parse(asked.expires_at) - Date.now() - 30 * 86_400_000)).toBeLessThan(60_000);
    expect(JSON.parse((await rip(['keys', 'create', 'ci', '--json'])).out)).toMatchObject({ secret_key: 'rk_new', key_id: 'key_1' });
  });

  test('list and revoke', async () => {
    api.on('GET /keys', { json: { items: [key] } });
    api.on('DELETE /keys/key_1', { status: 204 });
    expect((await rip(['keys', 'list'])).out).toMatch(
      /^KEY +NAME +SCOPES +MADE +EXPIRES +CAP +LEFT +RESETS\nkey_1 +ci +invoke +2026-01-02 03:04:05Z +- +- +- +-\n$/,
    );
    expect(JSON.parse((await rip(['keys', 'list', '--json'])).out)).toEqual({ items: [key] });
    expect(await rip(['keys', 'revoke', 'key_1'])).toMatchObject({ code: 0, out: 'key_1 is revoked.\n' });
  });

  test('a cap: made with the key, changed, shown, taken away', async () => {
    const cap = { limit_nanousd: '20150000000', period: 'month', remaining_nanousd: '19000000000', resets_at: '2026-02-01T00:00:00.000Z' };
    api.on('POST /keys', { status: 201, json: { ...key, cap, secret_key: 'rk_new' } });
    api.on('PATCH /keys/key_1', (request) => ({ json: { ...key, cap: request.body.includes('null') ? null : cap } }));
    api.on('GET /keys', { json: { items: [{ ...key, cap }] } });
    await rip(['keys', 'create', 'ci', '--cap', '20.15', '--per', 'month']);
    expect(JSON.parse(api.asked('POST /keys')[0]?.body.toString() ?? '')).toEqual({
      name: 'ci',
      cap: { limit_nanousd: '20150000000', period: 'month' },
    });
    expect((await rip(['keys', 'list'])).out).toContain('20.15 USD a month  19.00 USD  2026-02-01 00:00:00Z');
    expect(await rip(['keys', 'cap', 'key_1', '0.000000001'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('19.00 USD is left') as unknown,
    });
    expect(await rip(['keys', 'cap', 'key_1', 'none'])).toMatchObject({ code: 0, out: 'key_1 has no cap.\n' });
    expect(api.asked('PATCH /keys/key_1').map((seen) => JSON.parse(seen.body.toString()) as unknown)).toEqual([
      { cap: { limit_nanousd: '1', period: 'total' } },
      { cap: null },
    ]);
  });

  test.each([
    ['--scopes', 'admin'],
    ['--cap', '-1'],
    ['--cap', '1.0000000001'],
    ['--cap', 'much'],
    ['--cap=1', '--per=year'],
    ['--expires', 'yesterday'],
    ['--expires', '2001-01-01'],
  ])('%s %s is wrong use', async (option, value) => {
    expect(await rip(['keys', 'create', 'x', option, value])).toMatchObject({ code: 2 });
    expect(api.seen).toHaveLength(0);
  });
});

describe('init and deploy', () => {
  const blob = (sha: string) => `/blobs/${sha}`;

  function service(instances: () => object[], more: () => object = () => ({})): void {
    const blobs = new Map<string, Buffer>();
    api.on('POST /chutes', {
      status: 201,
      json: { chute_id: 'cht_1', name: 'alice/hello', slug: 'alice-hello', version: VERSION, created: true },
    });
    api.on('GET /chutes/cht_1', () => ({ json: chute({ instances: instances(), ...more() }) }));
    api.on('GET /chutes/cht_1/logs', { body: '', headers: { 'content-type': 'application/x-ndjson' } });
    const find = api.routes.get.bind(api.routes);
    api.routes.get = (route) => {
      const sha = /^(HEAD|PUT) \/blobs\/([0-9a-f]{64})$/.exec(route);
      if (sha === null) return find(route);
      if (sha[1] === 'HEAD') return { status: blobs.has(sha[2] ?? '') ? 200 : 404 };
      return (request) => {
        blobs.set(sha[2] ?? '', request.body);
        return { status: 201, json: {} };
      };
    };
  }
  const live = [{ instance_id: 'ins_1', state: 'live', version: VERSION, detail: '' }];

  test('what init writes deploys as it is, and ends with a curl line', async () => {
    service(() => live);
    expect(await rip(['init', 'hello'])).toMatchObject({
      code: 0,
      out: 'Wrote hello/chute.toml and hello/server.mjs. Next: ripcord deploy hello\n',
    });
    const ran = await rip(['deploy', 'hello']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toBe(`alice/hello is live.\n\ncurl '${api.origin}/call/alice/hello/' -H "Authorization: Bearer $RIPCORD_API_KEY"\n`);
    expect(ran.err).toMatch(/Packed 1 file, .*\nDeployed alice\/hello, version abababababab\.\nins_1 live\n$/s);
    const put = api.seen.find((s) => s.method === 'PUT');
    const { code, config } = JSON.parse(api.asked('POST /chutes')[0]?.body.toString() ?? '') as {
      code: { sha256: string; bytes: number };
      config: object;
    };
    expect(put?.target).toBe(blob(code.sha256));
    expect(
      createHash('sha256')
        .update(put?.body ?? '')
        .digest('hex'),
    ).toBe(code.sha256);
    expect(put?.body.length).toBe(code.bytes);
    expect(config).toMatchObject({ name: 'hello', command: ['node', 'server.mjs'], min: 1 });
  });

  test('the same code is not sent twice', async () => {
    service(() => live);
    await rip(['init', 'hello']);
    await rip(['deploy', 'hello']);
    expect((await rip(['deploy', 'hello'])).err).toContain('has this code already');
    expect(api.seen.filter((s) => s.method === 'PUT')).toHaveLength(1);
  });

  test('init never overwrites', async () => {
    await mkdir(join(home, 'hello'));
    await writeFile(join(home, 'hello', 'server.mjs'), 'mine');
    expect(await rip(['init', 'hello'])).toMatchObject({ code: 0 });
    expect(await readFile(join(home, 'hello', 'server.mjs'), 'utf8')).toBe('mine');
    expect(await rip(['init', 'hello'])).toMatchObject({ code: 2 });
    expect(await rip(['init', 'x', '--name', 'No Name'])).toMatchObject({ code: 2 });
  });

  test('--json: one object on stdout, silence on stderr', async () => {
    service(() => live);
    await rip(['init', 'hello']);
    const ran = await rip(['deploy', 'hello', '--json']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(ran.out)).toMatchObject({
      chute_id: 'cht_1',
      version: VERSION,
      live: true,
      instance_id: 'ins_1',
      curl: expect.stringContaining('curl ') as unknown,
    });
  });

  test('--no-wait returns at once, --dry-run sends nothing', async () => {
    service(() => []);
    await rip(['init', 'hello']);
    expect(await rip(['deploy', 'hello', '--dry-run'], { key: null })).toMatchObject({
      code: 0,
      out: expect.stringContaining('Nothing was sent') as unknown,
    });
    expect(api.seen).toHaveLength(0);
    expect(await rip(['deploy', 'hello', '--no-wait'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('alice/hello is deployed.') as unknown,
    });
  });

  test('shows each phase once, and waits for the new version, not the old one', async () => {
    const old = { instance_id: 'ins_0', state: 'live', version: 'cd'.repeat(32) };
    const phases = [
      [old],
      [old, { ...live[0], state: 'starting', detail: 'fetching 40 %' }],
      [old, { ...live[0], state: 'starting', detail: 'fetching 40 %' }],
      live,
    ];
    service(() => phases.shift() ?? live);
    await rip(['init', 'hello']);
    const ran = await rip(['deploy', 'hello']);
    expect(ran.code).toBe(0);
    expect(ran.err.split('\n').slice(2)).toEqual(['ins_1 starting: fetching 40 %', 'ins_1 live', '']);
  });

  test('starts that fail show their last log lines, and end the wait', async () => {
    let n = 0;
    service(
      () => [],
      () => ({ last_error: { at: `2026-01-01T00:00:0${(n += 1)}.000Z`, message: `exit code ${n}`, failed_starts: n, crash_loop: false } }),
    );
    const line = (instance_id: string, seq: number, source: string, text: string) =>
      JSON.stringify({ instance_id, seq, at: seq, source, text });
    const lines = [
      line('ins_1', 0, 'err', 'boom\u001b[31m'),
      line('ins_1', 1, 'edge', 'start failed'),
      line('ins_0', 0, 'out', 'the old version'),
    ];
    api.on('GET /chutes/cht_1/logs', { body: `${lines.join('\n')}\n` });
    await rip(['init', 'hello']);
    const ran = await rip(['deploy', 'hello']);
    expect(ran).toMatchObject({
      code: 1,
      err: expect.stringMatching(
        /A start failed: exit code 1\n {2}boom\[31m\n.*start_failed: .*keeps failing to start: exit code 3\n/s,
      ) as unknown,
    });
    expect(ran.err).toContain('ripcord logs alice/hello');
    expect(ran.err).not.toContain('the old version');

    const told = await rip(['deploy', 'hello', '--json']);
    expect(told).toMatchObject({ code: 1, out: '' });
    expect(JSON.parse(told.err)).toMatchObject({ error: { code: 'start_failed', log: ['boom\u001b[31m'] } });
  });

  test('a failure from before is not this one’s; a crash loop ends the wait at once', async () => {
    const errors = [
      { at: 'a', message: 'old' },
      { at: 'a', message: 'old' },
      { at: 'b', message: 'new', crash_loop: true },
    ];
    service(
      () => [],
      () => ({ last_error: errors.shift() }),
    );
    api.on('POST /chutes', {
      status: 201,
      json: { chute_id: 'cht_1', name: 'alice/hello', slug: 'alice-hello', version: VERSION, created: false },
    });
    await rip(['init', 'hello']);
    const ran = await rip(['deploy', 'hello']);
    expect(ran).toMatchObject({ code: 1, err: expect.stringContaining('keeps failing to start: new') as unknown });
    expect(ran.err).not.toContain('old');
  });

  test('no miner takes it: refused after --timeout, with what to do', async () => {
    service(() => []);
    await rip(['init', 'hello']);
    const ran = await rip(['deploy', 'hello', '--timeout', '1', '--json']);
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(errorOf(ran)).toMatchObject({
      code: 'not_live_yet',
      message: expect.stringContaining('no miner runs it') as unknown,
      hint: expect.stringContaining('chutes get') as unknown,
    });
  });

  test('a chute that keeps no instances is woken by a call', async () => {
    let woken = false;
    service(() => (woken ? live : []));
    api.on('GET /call/alice/hello/health', () => {
      woken = true;
      return problem(429, 'no_capacity');
    });
    await rip(['init', 'hello']);
    const file = join(home, 'hello', 'chute.toml');
    await writeFile(file, (await readFile(file, 'utf8')).replace('min = 1', 'min = 0'));
    expect(await rip(['deploy', 'hello'])).toMatchObject({ code: 0 });
  });

  test('a wrong file is wrong use, with its lines', async () => {
    await mkdir(join(home, 'bad'));
    await writeFile(join(home, 'bad', 'chute.toml'), 'name = "a"\ncommand = ["x"]\nmaks = 2\n');
    expect(await rip(['deploy', 'bad'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/chute\.toml:3: maks: no such field; did you mean max\?/) as unknown,
    });
    const ran = await rip(['deploy', 'bad', '--json']);
    expect(JSON.parse(ran.err)).toMatchObject({ error: { code: 'invalid_config', problems: [{ line: 3, field: 'maks' }] } });
    expect(await rip(['deploy', 'nowhere'])).toMatchObject({ code: 2, err: expect.stringContaining('ripcord init') as unknown });
    expect(api.seen).toHaveLength(0);
  });
});

describe('chutes', () => {
  test('list', async () => {
    api.on('GET /chutes', { json: { items: [chute({ tagline: 'x\u001b[2J\ny' })] } });
    expect((await rip(['chutes', 'list'])).out).toMatch(
      /^NAME +WHO +TEMPLATE +VERSION +TAGLINE\nalice\/hello +private +- +abababababab +x\[2J y\n$/,
    );
    expect(JSON.parse((await rip(['chutes', 'list', '--json'])).out)).toMatchObject({ items: [{ chute_id: 'cht_1' }] });
  });

  test('list, page by page', async () => {
    api.on('GET /chutes', { json: { items: [chute({ name: 'a11/a' })], next: 'a11/a' } });
    api.on('GET /chutes?after=a11%2Fa', { json: { items: [chute({ name: 'a11/b' })], next: null } });
    const { items } = JSON.parse((await rip(['chutes', 'list', '--json'])).out) as { items: { name: string }[] };
    expect(items.map((item) => item.name)).toEqual(['a11/a', 'a11/b']);
  });

  test('get, by each way to name it', async () => {
    api.on('GET /accounts/me', { json: ME });
    api.on('GET /chutes/alice/hello', { json: chute({ instances: [{ instance_id: 'ins_1', state: 'live', version: VERSION }] }) });
    api.on('GET /chutes/cht_1', { json: chute() });
    expect((await rip(['chutes', 'get', 'hello'])).out).toMatch(/ins_1 +live +abababababab/);
    expect((await rip(['chutes', 'get', 'alice/hello'])).code).toBe(0);
    expect((await rip(['chutes', 'get', 'cht_1'])).out).toContain('No instances.');
    expect(JSON.parse((await rip(['chutes', 'get', 'cht_1', '--json'])).out)).toMatchObject({ slug: 'alice-hello' });
    expect(await rip(['chutes', 'get', '../keys'])).toMatchObject({ code: 2 });
  });

  test('delete', async () => {
    api.on('DELETE /chutes/alice/hello', { status: 204 });
    expect(await rip(['chutes', 'delete', 'alice/hello'])).toMatchObject({ code: 0, out: 'alice/hello is deleted.\n' });
    expect(await rip(['chutes', 'delete', 'alice/none'])).toMatchObject({ code: 1, err: expect.stringContaining('not_found') as unknown });
  });

  test('versions and rollback by the first digits', async () => {
    const other = `abcd${'0'.repeat(60)}`;
    api.on('GET /chutes/alice/hello/versions', {
      json: {
        items: [
          { version: VERSION, created_at: 0, current: true },
          { version: other, created_at: 0 },
        ],
      },
    });
    api.on('POST /chutes/alice/hello/rollback', { json: {} });
    expect((await rip(['chutes', 'versions', 'alice/hello'])).out).toContain('abababababab  1970-01-01 00:00:00Z  serves');
    expect(await rip(['chutes', 'rollback', 'alice/hello', 'abcd00'])).toMatchObject({ code: 0 });
    expect(JSON.parse(api.asked('POST /chutes/alice/hello/rollback')[0]?.body.toString() ?? '')).toEqual({ version: other });
    for (const wrong of ['ab', 'zzzzzz', '123456'])
      expect(await rip(['chutes', 'rollback', 'alice/hello', wrong])).toMatchObject({ code: 2 });
  });
});

describe('call', () => {
  const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256));

  test('bytes go through as they are', async () => {
    api.on('POST /call/demo/image/generate', { body: bytes, headers: { 'content-type': 'image/png', 'set-cookie': 'a=b' } });
    const ran = await rip(['call', 'demo/image', '/generate?n=1', '-d', '{"prompt":"a fox"}', '-H', 'X-One: 1']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.bytes.equals(bytes)).toBe(true);
    const [asked] = api.asked('POST /call/demo/image/generate?n=1');
    expect(asked?.headers).toMatchObject({ 'content-type': 'application/json', 'x-one': '1', authorization: `Bearer ${SECRET}` });
    expect(asked?.body.toString()).toBe('{"prompt":"a fox"}');
  });

  test('an Idempotency-Key', async () => {
    api.on('POST /call/demo/http/x', { json: { ok: true } });
    expect(await rip(['call', 'demo/http', '/x', '-d', '{}', '--idempotency-key', 'order 7'])).toMatchObject({ code: 0 });
    expect(api.asked('POST /call/demo/http/x')[0]?.headers).toMatchObject({ 'idempotency-key': 'order 7' });
    for (const key of ['', 'clé', 'x'.repeat(256)])
      expect(await rip(['call', 'demo/http', '/x', '-d', '{}', '--idempotency-key', key])).toMatchObject({ code: 2 });
    expect(await rip(['call', 'demo/chat', 'Hello', '--idempotency-key', 'k'])).toMatchObject({ code: 2 });
    expect(api.asked('POST /call/demo/http/x')).toHaveLength(1);
  });

  test('-o writes a file; a terminal is not given bytes', async () => {
    api.on('GET /call/demo/image/', { body: bytes, headers: { 'content-type': 'image/png' } });
    expect(await rip(['call', 'demo/image', '-o', 'x.png'])).toMatchObject({ code: 0, out: '' });
    expect((await readFile(join(home, 'x.png'))).equals(bytes)).toBe(true);
    expect(JSON.parse((await rip(['call', 'demo/image', '-o', 'x.png', '--json'])).out)).toEqual({
      status: 200,
      file: join(home, 'x.png'),
    });
    expect(await rip(['call', 'demo/image'], { tty: true })).toMatchObject({ code: 2, err: expect.stringContaining('-o FILE') as unknown });
    expect(await rip(['call', 'demo/image', '-o', 'no/such/x.png'])).toMatchObject({ code: 2 });
  });

  test('data from a file and from stdin, methods', async () => {
    await writeFile(join(home, 'data.bin'), bytes);
    api.on('PUT /call/demo/http/x', { status: 204 });
    api.on('POST /call/demo/http/x', { json: { ok: true } });
    expect(await rip(['call', 'demo/http', '/x', '-X', 'put', '-d', '@data.bin'])).toMatchObject({ code: 0 });
    expect(api.seen.at(-1)?.body.equals(bytes)).toBe(true);
    expect(api.seen.at(-1)?.headers['content-type']).toBe('application/octet-stream');
    expect(await rip(['call', 'demo/http', '/x', '-d', '@-'], { input: Buffer.from('in') })).toMatchObject({ code: 0, out: '{"ok":true}' });
    expect(api.seen.at(-1)?.body.toString()).toBe('in');
    expect(await rip(['call', 'demo/http', '/x', '-d', '@missing'])).toMatchObject({ code: 2 });
  });

  test('--json gives one object, bytes as base64', async () => {
    api.on('GET /call/demo/http/x', { json: { a: 1 }, headers: { 'x-request-id': 'r1' } });
    api.on('GET /call/demo/http/y', { body: Buffer.from([0, 255]), headers: { 'content-type': 'application/octet-stream' } });
    expect(JSON.parse((await rip(['call', 'demo/http', '/x', '--json'])).out)).toMatchObject({
      status: 200,
      headers: { 'x-request-id': 'r1' },
      body: { a: 1 },
    });
    expect(JSON.parse((await rip(['call', 'demo/http', '/y', '--json'])).out)).toMatchObject({ body: null, body_base64: 'AP8=' });
  });

  test('--stream asks for events and shows each as it comes', async () => {
    const out = new Kept();
    let shown = 0;
    api.on('POST /call/demo/chat/v1/chat/completions', {
      headers: { 'content-type': 'text/event-stream' },
      // The second event leaves only when the first was shown.
      stream: async (response) => {
        for (const event of ['data: {"n":1}\n\n', 'data: {"n":2}\n\n']) {
          const written = new Promise<void>((done) => (out.onWrite = done));
          response.write(event);
          await written;
          shown += 1;
        }
        response.end('data: [DONE]\n\n');
      },
    });
    const ran = await rip(['call', 'demo/chat', '/v1/chat/completions', '--stream', '-d', '{"messages":[]}'], { out });
    expect(ran).toMatchObject({ code: 0, out: 'data: {"n":1}\n\ndata: {"n":2}\n\ndata: [DONE]\n\n' });
    expect(shown).toBe(2);
    expect(JSON.parse(api.seen[0]?.body.toString() ?? '')).toEqual({ messages: [], stream: true });
    expect(api.seen[0]?.headers.accept).toBe('text/event-stream');
  });

  test('a refusal of the service, and an error of the program', async () => {
    api.on('GET /call/demo/none/', problem(404, 'chute_not_found', { hint: 'Look again.' }));
    api.on('GET /call/demo/http/x', { status: 418, json: { short: 'stout' } });
    expect(await rip(['call', 'demo/none'])).toMatchObject({
      code: 1,
      out: '',
      err: 'chute_not_found: It is chute_not_found.\nLook again.\n',
    });
    expect(await rip(['call', 'demo/http', '/x'])).toMatchObject({
      code: 1,
      out: '{"short":"stout"}',
      err: expect.stringContaining('chute_error: The program of demo/http answered 418.') as unknown,
    });
  });

  test('a busy service says when to come back', async () => {
    api.on('GET /call/demo/http/x', {
      ...problem(429, 'queue_full'),
      headers: { 'content-type': 'application/problem+json', 'retry-after': '7' },
    });
    expect(errorOf(await rip(['call', 'demo/http', '/x', '--json']))).toMatchObject({ code: 'queue_full', hint: 'Try again in 7 s.' });
  });

  test.each([
    [['call', 'demo/http', '/x', '-H', 'nonsense'], 'invalid_header'],
    [['call', 'demo/http', '/x', '-H', 'Authorization: Bearer x'], 'key_in_arguments'],
    [['call', 'demo/http', '/x', '-X', 'GET', '-d', 'x'], 'invalid_method'],
    [['call', 'demo/http', '/../../keys'], 'invalid_path'],
    [['call', 'demo/http/deep', '/x'], 'invalid_name'],
    [['call', 'demo/http', '/x', '--key', 'rk_1'], 'key_in_arguments'],
    [['--key', 'rk_1', 'whoami'], 'key_in_arguments'],
    [['call'], 'usage'],
    [['call', 'a/b', '/', 'too', 'many'], 'usage'],
    [['cal', 'x'], 'usage'],
    [['call', 'demo/http', '--frobnicate'], 'usage'],
    [['deploy', '--timeout', 'soon'], 'usage'],
    [['whoami', '--api', 'not a url'], 'invalid_api'],
    [['whoami', '--api', 'http://user:pass@127.0.0.1:1'], 'invalid_api'],
  ])('%j is wrong use: %s', async (argv, code) => {
    const ran = await rip([...argv, '--json']);
    expect(ran).toMatchObject({ code: 2, out: '' });
    expect(errorOf(ran)).toMatchObject({ code });
    expect(ran.err).not.toContain('rk_1');
    expect(api.seen).toHaveLength(0);
  });
});

describe('call NAME "prompt"', () => {
  const event = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`;
  const answer = (body: string) => api.on('POST /v1/chat/completions', { body, headers: { 'content-type': 'text/event-stream' } });

  test('prints the text as it is written', async () => {
    answer(
      `: waiting\n\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\n\n${event('Blue ')}${event('light 💡')}data: {"choices":[],"usage":{}}\n\ndata: [DONE]\n\n`,
    );
    expect(await rip(['call', 'demo/chat', 'Why is the sky blue?'])).toMatchObject({ code: 0, out: 'Blue light 💡\n', err: '' });
    expect(JSON.parse(api.seen[0]?.body.toString() ?? '')).toEqual({
      model: 'demo/chat',
      messages: [{ role: 'user', content: 'Why is the sky blue?' }],
      stream: true,
    });
  });

  test('a terminal is not moved by what a model says', async () => {
    answer(`${event('a\u001b[2Jb\nc')}data: [DONE]\n\n`);
    expect((await rip(['call', 'demo/chat', 'x'], { tty: true })).out).toBe('a[2Jb\nc\n');
  });

  test('an error inside the stream, and a stream that breaks off', async () => {
    answer(`${event('Blu')}data: {"error":{"code":"miner_lost","message":"The miner was lost."}}\n\ndata: [DONE]\n\n`);
    expect(await rip(['call', 'demo/chat', 'x'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('miner_lost: The miner was lost.') as unknown,
    });
    answer(event('Blu'));
    expect(await rip(['call', 'demo/chat', 'x'])).toMatchObject({
      code: 1,
      out: 'Blu\n',
      err: expect.stringContaining('stream_broken') as unknown,
    });
  });

  test('--json gives the whole answer', async () => {
    api.on('POST /v1/chat/completions', { json: { choices: [{ message: { content: 'hi' } }] } });
    expect(JSON.parse((await rip(['call', 'demo/chat', 'x', '--json'])).out)).toMatchObject({ choices: [{ message: { content: 'hi' } }] });
  });

  test('OpenAI’s shape of an error', async () => {
    api.on('POST /v1/chat/completions', {
      status: 404,
      json: { error: { code: 'model_not_found', message: 'No such model.', type: 'x', param: null } },
    });
    expect(await rip(['call', 'demo/none', 'x'])).toMatchObject({ code: 1, err: 'model_not_found: No such model.\n' });
  });
});

describe('logs', () => {
  const line = (seq: number) =>
    `${JSON.stringify({ instance_id: 'ins_1', seq, at: 1_000 * seq, source: 'out', text: `line ${seq}\u0007` })}\n`;

  test('as text and as NDJSON', async () => {
    api.on('GET /chutes/alice/hello/logs', { body: `${line(0)}not json\n${line(1)}` });
    expect((await rip(['logs', 'alice/hello'])).out).toBe('00:00:00.000 ins_1 out line 0\n00:00:01.000 ins_1 out line 1\n');
    const rows = (await rip(['logs', 'alice/hello', '--json'])).out.trim().split('\n');
    expect(rows.map((row) => (JSON.parse(row) as { seq: number }).seq)).toEqual([0, 1]);
  });

  test('of a chute in a crash loop: says so after the lines', async () => {
    api.on('GET /chutes/alice/hello/logs', { body: line(0) });
    api.on('GET /chutes/alice/hello', {
      json: chute({ last_error: { at: 1, message: 'exit code 7', failed_starts: 4, crash_loop: true } }),
    });
    const ran = await rip(['logs', 'alice/hello']);
    expect(ran).toMatchObject({ code: 0, out: '00:00:00.000 ins_1 out line 0\n' });
    expect(ran.err).toBe('crash loop: 4 starts in a row failed; the last one: exit code 7\n');
    expect((await rip(['chutes', 'get', 'alice/hello'])).out).toMatch(/crash loop \(4 failed starts in a row\).*exit code 7/);
  });

  test('-f goes on over a lost connection, shows no line twice, and ends at Ctrl-C with 130', async () => {
    const stop = new AbortController();
    const out = new Kept();
    out.onWrite = () => out.text.includes('line 2') && stop.abort();
    let tries = 0;
    const note = line(1).replace('"out"', '"edge"').replace('line 1', 'a note');
    api.on('GET /chutes/alice/hello/logs?follow=1', {
      stream: (response) => {
        tries += 1;
        response.write(tries === 1 ? line(0) + note + line(1) : note + line(1) + line(2), () => tries === 1 && response.destroy());
      },
    });
    const ran = await rip(['logs', 'alice/hello', '-f'], { stop, out });
    expect(ran.code).toBe(130);
    expect(ran.out.match(/line \d|a note/g)).toEqual(['line 0', 'a note', 'line 1', 'line 2']);
  });
});

describe('warm', () => {
  const stand = (phase: string, more: object = {}) => ({
    name: 'alice/hello',
    status: 'cold',
    phase,
    detail: '',
    log: `it is ${phase}`,
    ...more,
  });
  const events = (...all: object[]) => ({ body: all.map((it) => `data: ${JSON.stringify(it)}\n\n: waiting\n\n`).join('') });
  const STREAM = 'GET /chutes/alice/hello/warmup?stream=1';

  beforeEach(() => api.on('POST /chutes/alice/hello/warmup', { json: stand('waiting') }));

  test('asks, tells each phase on a line of its own, and is done when it serves', async () => {
    api.on(STREAM, events(stand('pulling', { progress: 0.4 }), stand('ready', { status: 'hot' })));
    const ran = await rip(['warm', 'alice/hello', '--for', '600']);
    expect(ran).toEqual(expect.objectContaining({ code: 0, out: 'alice/hello is ready.\n' }));
    expect(ran.err).toBe('pulling: it is pulling (40 %)\nready: it is ready\n');
    expect(JSON.parse(api.asked('POST /chutes/alice/hello/warmup')[0]?.body.toString() ?? '')).toEqual({ seconds: 600 });
  });

  test('on a terminal it is one line that changes', async () => {
    api.on(STREAM, events(stand('loading'), stand('ready')));
    const { err } = await rip(['warm', 'alice/hello'], { tty: true, env: { NO_COLOR: '1' } });
    expect(err).toBe('\r\u001b[2Kloading: it is loading\r\u001b[2Kready: it is ready\n');
  });

  test('--no-wait, --json: how it stands, at once', async () => {
    const ran = await rip(['warm', 'alice/hello', '--no-wait', '--json']);
    expect(JSON.parse(ran.out)).toMatchObject({ phase: 'waiting' });
    expect(api.asked(STREAM)).toEqual([]);
    expect(JSON.parse(api.asked('POST /chutes/alice/hello/warmup')[0]?.body.toString() ?? '')).toEqual({});
  });

  test('a crash loop is exit 1 with the error', async () => {
    const error = { message: 'exit code 7\u001b[2J', failed_starts: 3, crash_loop: true };
    api.on(STREAM, events(stand('loading'), stand('failed', { last_error: error })));
    const ran = await rip(['warm', 'alice/hello', '--json']);
    expect([ran.code, errorOf(ran)]).toEqual([1, expect.objectContaining({ code: 'start_failing', failed_starts: 3, crash_loop: true })]);
    expect((await rip(['warm', 'alice/hello'])).err).toContain('alice/hello is in a crash loop: exit code 7[2J\n');
  });

  test('a stream that ends before: exit 1; a service that is gone: exit 3', async () => {
    api.on(STREAM, events(stand('waiting')));
    expect(await rip(['warm', 'alice/hello'])).toMatchObject({ code: 1, err: expect.stringContaining('not_ready_yet') as unknown });
    await api.close();
    expect((await rip(['warm', 'alice/hello'])).code).toBe(3);
    await api.listen();
  });

  test.each(['29', '3601', '1.5', 'x'])('--for %s is wrong use', async (seconds) => {
    expect((await rip(['warm', 'alice/hello', '--for', seconds])).code).toBe(2);
  });
});

describe('why', () => {
  const ID = '019ab3c0-0000-7000-8000-000000000000';

  test('tells the reasons, and what is next', async () => {
    const why = {
      call: ID,
      state: 'waiting',
      since: '2026-01-31T12:00:00.000Z',
      waited_ms: 4_200,
      position: 2,
      eta_ms: 1_500,
      reasons: [{ code: 'starting', count: 1, text: 'an instance is starting: pulling\u001b[2J' }],
      next: { code: 'starting', text: 'wait' },
    };
    api.on(`GET /calls/${ID}/why`, { json: why });
    const { code, out } = await rip(['why', ID]);
    expect(code).toBe(0);
    expect(out).toMatch(/state +waiting, place 2, about 1\.500 s to go/);
    expect(out).toMatch(/starting +1 +an instance is starting: pulling\[2J\n\nNext: wait\.\n$/);
    expect(JSON.parse((await rip(['why', ID, '--json'])).out)).toEqual(why);
  });

  test('of what is no call', async () => {
    expect((await rip(['why', 'x'])).code).toBe(2);
    expect((await rip(['why', ID])).code).toBe(1);
  });
});

describe('exit codes', () => {
  const COMMANDS: string[][] = [
    ['whoami'],
    ['register', 'alice'],
    ['keys', 'list'],
    ['keys', 'create', 'x'],
    ['keys', 'revoke', 'key_1'],
    ['deploy', 'hello'],
    ['chutes', 'list'],
    ['chutes', 'get', 'a11/b'],
    ['chutes', 'delete', 'a11/b'],
    ['chutes', 'versions', 'a11/b'],
    ['chutes', 'rollback', 'a11/b', VERSION],
    ['call', 'demo/chat', 'hello'],
    ['call', 'demo/chat', '/x'],
    ['logs', 'demo/chat'],
    ['logs', 'demo/chat', '-f'],
  ];

  test.each(COMMANDS)('3 when nobody is there: %s %s', async (...argv) => {
    await rip(['init', 'hello']);
    const ran = await rip([...argv, '--json'], { env: { RIPCORD_API: 'http://127.0.0.1:1' } });
    expect(ran).toMatchObject({ code: 3, out: '' });
    expect(errorOf(ran)).toMatchObject({ code: 'unreachable' });
  });

  test.each(COMMANDS.filter(([name]) => name !== 'register'))('1 when the key is refused: %s %s', async (...argv) => {
    await rip(['init', 'hello']);
    const ran = await rip([...argv, '--json'], { key: 'rk_wrong' });
    expect(ran).toMatchObject({ code: 1, out: '' });
    expect(errorOf(ran)).toMatchObject({ code: 'invalid_api_key', hint: expect.stringContaining('ripcord register') as unknown });
    expect(ran.err).not.toContain('rk_wrong');
  });

  test('2 without any key', async () => {
    for (const argv of [['whoami'], ['call', 'a11/b'], ['keys', 'show']]) {
      expect(await rip(argv, { key: null })).toMatchObject({ code: 2, err: expect.stringContaining('no_key') as unknown });
    }
    expect(api.seen).toHaveLength(0);
  });

  test('1 when something else answers', async () => {
    api.on('GET /accounts/me', { body: '<html>', headers: { 'content-type': 'text/html' } });
    api.on('GET /keys', { status: 302, headers: { location: 'http://127.0.0.1:1/' } });
    expect(await rip(['whoami'])).toMatchObject({ code: 1, err: expect.stringContaining('unexpected_reply') as unknown });
    expect(await rip(['keys', 'list'])).toMatchObject({ code: 1, err: expect.stringContaining('redirects') as unknown });
  });

  test('130 at Ctrl-C, before and during a request', async () => {
    const stop = new AbortController();
    api.on('GET /keys', { stream: () => stop.abort() });
    expect(await rip(['keys', 'list'], { stop })).toMatchObject({ code: 130 });
  });
});

describe('the config file', () => {
  const write = async (text: string, mode = 0o600) => {
    await mkdir(join(home, 'ripcord'), { recursive: true });
    await writeFile(configFile(), text, { mode });
  };

  test('gives the API and the key; the environment and --api come first', async () => {
    api.on('GET /accounts/me', { json: ME });
    await write(`api = "${api.origin}"\n[profiles."${api.origin}"]\nkey = "${SECRET}"\n`);
    expect(await rip(['whoami'], { key: null, env: { RIPCORD_API: '' } })).toMatchObject({ code: 0 });
    expect(await rip(['whoami'], { key: null, env: { RIPCORD_API: 'http://127.0.0.1:1' } })).toMatchObject({ code: 2 });
    expect(await rip(['whoami', '--api', api.origin], { key: null, env: { RIPCORD_API: 'http://127.0.0.1:1' } })).toMatchObject({
      code: 0,
    });
  });

  test('a bare name belongs to the account of the key in use', async () => {
    await write(`[profiles."${api.origin}"]\nkey = "rk_other"\nhandle = "bob"\n`);
    api.on('GET /accounts/me', { json: ME });
    api.on('GET /chutes/alice/hello', { json: chute() });
    expect(await rip(['chutes', 'get', 'hello'])).toMatchObject({ code: 0 });
  });

  test('a key for one API is never sent to another', async () => {
    await write(`[profiles."https://api.example.com"]\nkey = "${SECRET}"\n`);
    expect(await rip(['whoami'], { key: null })).toMatchObject({ code: 2, err: expect.stringContaining('no_key') as unknown });
  });

  test('that others can read is told', async () => {
    api.on('GET /accounts/me', { json: ME });
    await write('', 0o644);
    expect((await rip(['whoami'])).err).toContain('chmod 600');
  });

  test('that is broken is told without its content', async () => {
    await write(`key = "${SECRET}\n`);
    const ran = await rip(['whoami']);
    expect(ran).toMatchObject({ code: 2, err: expect.stringContaining('config.toml:1 is not TOML') as unknown });
    expect(ran.err).not.toContain(SECRET);
  });
});

describe('colours', () => {
  test.each([
    [true, {}, true],
    [true, { NO_COLOR: '1' }, false],
    [true, { TERM: 'dumb' }, false],
    [false, {}, false],
  ])('terminal %s, %j: %s', async (tty, env, colours) => {
    const ran = await rip(['chutes', 'get', 'a11/b'], { tty, env });
    expect(ran.err.includes('\u001b[')).toBe(colours);
  });
});
