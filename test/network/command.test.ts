/** `ripcord` as a process: an account, its keys, a first chute; exit codes, and what goes to which stream. */
import { readFileSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { userOf, type User } from '../harness/ripcord.ts';

interface Deployed {
  chute_id: string;
  name: string;
  version: string;
  created: boolean;
  live: boolean;
  instance_id: string | null;
}

interface Chute {
  name: string;
  version: string;
  public: boolean;
  instances: { instance_id: string; state: string; version: string }[];
}

let network: TestNetwork;
/** The account whose programs the network's miner runs. */
let demo: User;
/** One that has just come. */
let alice: User;
beforeAll(async () => {
  network = await startNetwork({ chutes: [] });
  demo = userOf(network, network.folder.folder('home', 'demo'), network.key);
  alice = userOf(network, network.folder.folder('home', 'alice'));
});
afterAll(() => network?.close());

describe('an account and its keys', () => {
  test('register makes a hotkey file and an account; whoami tells it; the key stays out of what is printed', async () => {
    const file = join(network.folder.folder('home', 'alice'), 'keys', 'alice.json');
    const { out, code, err } = await alice.run('register', 'alice', '--hotkey', file, '--json');
    expect([code, err]).toEqual([0, '']);
    const made = JSON.parse(out) as Record<string, string>;
    expect(made).toMatchObject({ handle: 'alice', hotkey_file: file, account_id: expect.stringMatching(/^acc_/) });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ ss58Address: made['hotkey'] });
    expect([file, made['config'] ?? ''].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600]);
    const secret = /^key = "(.+)"/m.exec(readFileSync(made['config'] ?? '', 'utf8'))?.[1] ?? '';
    expect(secret).toMatch(/^.{20,}$/);
    expect(out).not.toContain(secret);

    const [me, again, taken] = await Promise.all([
      alice.json('whoami'),
      alice.json('register', 'alice'),
      alice.refused('register', 'demo', '--hotkey', join(file, '..', 'other.json')),
    ]);
    expect(me).toMatchObject({ account_id: made['account_id'], handle: 'alice', hotkey: made['hotkey'] });
    expect(again).toEqual(made);
    expect(taken).toMatchObject({ code: 1, out: '', error: { code: 'name_taken' } });
  });

  test('a key works until it is revoked, and not one call longer', async () => {
    const key = await alice.json<Record<string, string>>('keys', 'create', 'ci', '--scopes', 'invoke,read', '--expires', '1d');
    expect(key).toMatchObject({ name: 'ci', scopes: ['invoke', 'read'] });
    const secret = key['secret_key'] ?? '';
    const ask = (path: string) => fetch(network.api + path, { headers: { authorization: `Bearer ${secret}` } });
    const list = await alice.run('keys', 'list', '--json');
    expect(list.out).toContain(key['key_id']);
    expect(list.out).not.toContain(secret);
    const paths = ['/accounts/me', '/call/alice/none/', '/chutes'];
    const statuses = async () => (await Promise.all(paths.map(ask))).map(({ status }) => status);
    expect(await statuses()).toEqual([200, 404, 200]);

    expect(await alice.json('keys', 'revoke', key['key_id'] ?? '')).toEqual({ key_id: key['key_id'], revoked: true });
    expect(await statuses()).toEqual([401, 401, 401]);
    expect(await (await ask('/accounts/me')).json()).toMatchObject({ code: 'invalid_api_key' });
    const late = await userOf(network, network.folder.folder('home', 'late'), secret).refused('whoami');
    expect(late).toMatchObject({ code: 1, out: '', error: { code: 'invalid_api_key', hint: expect.stringContaining('ripcord') } });
  });
});

test('what init writes deploys as it is, is called, listed and deleted', async () => {
  expect(await demo.json('init', 'hello')).toMatchObject({ name: 'hello', files: [expect.any(String), expect.any(String)] });
  expect(await demo.refused('init', 'hello')).toMatchObject({ code: 2, out: '', error: { code: 'file_exists' } });
  const deployed = await demo.json<Deployed>('deploy', 'hello');
  expect(deployed).toMatchObject({ name: 'demo/hello', created: true, live: true, instance_id: expect.stringMatching(/^ins_/) });

  const [called, piped, list, shown, versions] = await Promise.all([
    demo.json('call', 'demo/hello', '/any/path?x=1'),
    demo.run('call', 'hello', '/', '-d', '{"a":1}'),
    demo.json<{ items: Chute[] }>('chutes', 'list'),
    demo.json<Chute>('chutes', 'get', 'hello'),
    demo.json('chutes', 'versions', 'hello'),
  ]);
  expect(called).toMatchObject({ status: 200, body: { hello: 'world', path: '/any/path?x=1' } });
  expect(piped).toEqual({ code: 0, out: '{"hello":"world","path":"/"}', err: '' });
  expect(list.items.map(({ name }) => name)).toContain('demo/hello');
  expect(shown).toMatchObject({ version: deployed.version, public: false, instances: [{ state: 'live', version: deployed.version }] });
  expect(versions).toMatchObject({ items: [{ version: deployed.version, current: true }] });

  // To others a private chute is not there.
  expect(await alice.refused('chutes', 'delete', 'demo/hello')).toMatchObject({ code: 1, out: '', error: { code: 'chute_not_found' } });
  expect(await demo.json('chutes', 'delete', 'hello')).toEqual({ name: 'demo/hello', deleted: true });
  const [gone, uncalled] = await Promise.all([demo.refused('chutes', 'get', 'hello'), demo.refused('call', 'hello')]);
  expect(gone).toMatchObject({ code: 1, out: '', error: { code: 'chute_not_found' } });
  expect(uncalled).toMatchObject({ code: 1, out: '', error: { code: 'chute_not_found' } });
});

test('wrong use ends with 2, nobody there with 3; what failed is on stderr alone', async () => {
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const wrong = [
    ['nonsense'],
    ['chutes', 'get'],
    ['call', '../x'],
    ['deploy', '--timeout', 'soon'],
    ['deploy', 'nowhere'],
    ['whoami', '--nope'],
  ];
  const [unreachable, ...used] = await Promise.all([
    demo.refused('whoami', '--api', `http://127.0.0.1:${port}`),
    ...wrong.map((argv) => demo.refused(...argv)),
  ]);
  expect(unreachable).toMatchObject({ code: 3, out: '', error: { code: 'unreachable', hint: expect.any(String) } });
  for (const { code, out, error } of used) {
    expect([code, out, error]).toEqual([2, '', expect.objectContaining({ code: expect.any(String), hint: expect.any(String) })]);
    expect(error.message).not.toBe('');
  }
});
