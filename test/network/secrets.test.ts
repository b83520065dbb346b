/**
 * A secret from the command to the program of a granted agent, and nowhere else: what is planted is looked for in every
 * byte that the network wrote and in every answer. And the same private chute, called by another account while it is shared.
 */
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as Postgres } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chuteConfigSchema } from '#protocol';
import { Client } from '../../cli/client.ts';
import { ROOT } from '../../dev/network.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { userOf, type User } from '../harness/ripcord.ts';
import { until } from '../harness/until.ts';
import { newHotkey } from '../hostile/raw-agent.ts';

/** In every secret of this file; a text that nothing else holds. */
const MARKER = `planted-${randomBytes(12).toString('hex')}`;
const FIRST = `${MARKER}-first "quoted"\nsecond line ü`;
const SECOND = `${MARKER}-second`;
const PASSWORD = `${MARKER}-password`;
const NEWER_KEY = `newer:${'ab'.repeat(32)}`;

let network: TestNetwork;
let owner: Client;
let demo: User;
let outside: string;
/** Everything that the API and the command said. */
const said: string[] = [];

beforeAll(async () => {
  network = await startNetwork({ chutes: [], vars: { SECRETS_KEYS: NEWER_KEY } });
  owner = new Client(network);
  demo = userOf(network, network.folder.folder('home'), network.key);
  // The owner's own file with the secret is not the network's to keep.
  outside = mkdtempSync(join(tmpdir(), 'owner-'));
});
afterAll(async () => {
  await network?.close();
  if (outside !== undefined) rmSync(outside, { recursive: true, force: true });
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

async function set(key: string, value: string, ...more: string[]): Promise<void> {
  const file = join(outside, key);
  writeFileSync(file, value);
  const told = await demo.run('secrets', 'set', 'vault', key, '--from-file', file, ...more);
  said.push(told.out, told.err);
  expect(told).toMatchObject({ code: 0 });
}

async function deploy(round: number): Promise<void> {
  const folder = network.folder.folder('vault');
  cpSync(join(ROOT, 'test/network/chutes/vault'), folder, { recursive: true });
  const toml = join(folder, 'chute.toml');
  writeFileSync(toml, readFileSync(toml, 'utf8').replace('ROUND = "1"', `ROUND = "${round}"`));
  const told = await demo.run('deploy', folder, '--no-wait');
  said.push(told.out, told.err);
  expect(told).toMatchObject({ code: 0 });
}

interface Proof {
  proof: string;
  pid: number;
  round: string;
}

async function asked(): Promise<Proof> {
  const answer = await network.request('/call/demo/vault/proof');
  const text = await answer.text();
  said.push(text);
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return JSON.parse(text) as Proof;
}

test('a secret set before the first deploy is in the environment of the program, and wins over the config', async () => {
  await set('PLANTED', FIRST);
  await deploy(1);
  expect((await until('it answers', asked, { deadlineMs: 60_000 })).proof).toBe(sha256(FIRST));
});

test('a changed one is for instances that start from now on', async () => {
  const before = await asked();
  await set('PLANTED', SECOND);
  expect(await asked()).toEqual(before);
  await deploy(2);
  const after = await until('the second round answers', async () => {
    const now = await asked();
    return now.round === '2' ? now : null;
  });
  expect(after.proof).toBe(sha256(SECOND));
});

test('an agent that starts anew has another key, and needs no Postgres to get the secret again', async () => {
  const before = await asked();
  await network.postgres.kill();
  await network.agent(0).restart();
  const after = await until('it runs again', async () => {
    const now = await asked();
    return now.pid !== before.pid ? now : null;
  });
  expect(after.proof).toBe(sha256(SECOND));
  await network.postgres.restart();
});

test('registry credentials come and go by the name of the registry', async () => {
  const file = join(outside, 'password');
  writeFileSync(file, PASSWORD);
  await demo.json('secrets', 'registry', 'vault', 'ghcr.io', '--username', 'alice', '--from-file', file);
  const { items } = await demo.json<{ items: { kind: string; key: string; secret_id: string; purpose: string }[] }>(
    'secrets',
    'list',
    'vault',
  );
  expect(items.map(({ kind, key, purpose }) => [kind, key, purpose])).toEqual([
    ['env', 'PLANTED', 'demo/vault'],
    ['registry', 'ghcr.io', 'demo/vault'],
  ]);
  for (const target of [
    '/secrets',
    '/secrets?purpose=vault',
    `/secrets/${items[1]?.secret_id}`,
    '/chutes/demo/vault',
    '/chutes/demo/vault/versions',
  ])
    said.push(await (await network.request(target)).text());
  await demo.json('secrets', 'delete', 'vault', 'ghcr.io');
  expect((await owner.secrets('vault')).map(({ key }) => key)).toEqual(['PLANTED']);
});

test('shared, another account calls it and sees its face; unshared, it is as absent as before', async () => {
  const hotkey = newHotkey();
  const friend = new Client({ api: network.api, hotkey });
  const handle = `f${randomBytes(6).toString('hex')}`;
  await friend.signUp(handle);
  const key = (await friend.createKey({ name: 'calls' })).secret_key;
  const status = async (target: string, init: { method?: string; body?: string } = {}): Promise<number> => {
    const answer = await network.request(target, { ...init, headers: { authorization: `Bearer ${key}` } });
    said.push(await answer.text());
    return answer.status;
  };
  const seen = async () => [
    await status('/call/demo/vault/proof'),
    await status('/chutes/demo/vault'),
    (await friend.chutes()).map((c) => c.name),
  ];

  expect(await seen()).toEqual([404, 404, []]);
  await demo.json('share', 'vault', '--with', handle);
  expect(await owner.shares('demo/vault')).toMatchObject([{ user_name: handle }]);
  await until('the friend may call', async () => (await status('/call/demo/vault/proof')) === 200);
  expect(await seen()).toEqual([200, 200, ['demo/vault']]);
  expect(await status('/quote?path=/call/demo/vault/proof', { method: 'POST', body: '{}' })).toBe(200);
  // What is behind the face stays the owner's.
  for (const inside of ['logs', 'versions', 'shares', 'metrics']) expect(await status(`/chutes/demo/vault/${inside}`), inside).toBe(403);
  expect(await status('/secrets?purpose=demo/vault')).toBe(404);
  const face = JSON.parse(
    await (await network.request('/chutes/demo/vault', { headers: { authorization: `Bearer ${key}` } })).text(),
  ) as object;
  for (const field of ['env_names', 'command', 'last_error']) expect(face).not.toHaveProperty(field);

  // A stream of the way to an instance goes on for minutes; it ends with the share.
  await owner.deploy(chuteConfigSchema.parse({ name: 'asleep', command: ['true'] }), null);
  await owner.share({ chute_id_or_name: 'asleep', user_id_or_name: handle }, true);
  const warming = friend.warming('demo/asleep');
  expect((await warming.next()).value).toMatchObject({ phase: 'cold' });
  await owner.share({ chute_id_or_name: 'asleep', user_id_or_name: handle }, false);
  expect(await warming.next()).toEqual({ done: true, value: undefined });

  await owner.share({ chute_id_or_name: 'vault', user_id_or_name: handle }, false);
  await until('the friend may not call', async () => (await status('/call/demo/vault/proof')) === 404);
  expect(await seen()).toEqual([404, 404, []]);
});

test('what was planted is nowhere: not in Postgres, an object, a log, an agent’s folder or an answer', async () => {
  said.push(...(await Promise.all(['logs', 'prices'].map(async (what) => (await network.request(`/chutes/demo/vault/${what}`)).text()))));
  expect(said.join('\n')).not.toContain(MARKER);
  expect(await rowsWith(MARKER)).toEqual([]);
  const files = filesOf(network.folder.path);
  expect(files.length).toBeGreaterThan(20);
  const forms = [MARKER, Buffer.from(MARKER).toString('hex'), Buffer.from(MARKER).toString('base64').slice(0, 24)].map((text) =>
    Buffer.from(text),
  );
  expect(files.filter((file) => forms.some((form) => readFileSync(file).includes(form)))).toEqual([]);
  // The search does find what is there.
  expect(files.some((file) => readFileSync(file).includes('what the config says'))).toBe(true);
});

test('the database keeps the bounds, also of many at once, and every change has a revision of its own', async () => {
  const set = (chute: string, key: string, [most, bytes, account]: number[], at = 0) =>
    sql<{ answer: string }>(`select set_secret($1, 'acc_x', $2, 'x/y', 'env', $3, '{}', 10, $4, $5, $6) as answer`, [
      `sec_${chute}_${key}_${at}`,
      chute,
      key,
      most,
      bytes,
      account,
    ]).then(([row]) => row?.answer);
  const together = await Promise.all(Array.from({ length: 12 }, (_, i) => set('cht_many', `K${i}`, [5, 1_000, 100])));
  expect(together.filter((answer) => answer === 'too_many')).toHaveLength(7);
  expect(await sql('select revision::int from attached where chute_id = $1', ['cht_many'])).toEqual([{ revision: 12 }]);
  expect(await set('cht_small', 'A', [5, 15, 100])).toBe('sec_cht_small_A_0');
  expect(await set('cht_small', 'B', [5, 15, 100])).toBe('too_large');
  // The same key again takes the place of the first, and keeps its id.
  expect(await set('cht_small', 'A', [1, 15, 6], 1)).toBe('sec_cht_small_A_0');
  expect(await set('cht_other', 'A', [5, 15, 6])).toBe('too_many');
  const share = (account: string) =>
    sql<{ may: boolean }>('select share_chute($1, $2, 1) as may', ['cht_many', account]).then(([row]) => row?.may);
  expect([await share('acc_1'), await share('acc_2'), await share('acc_1')]).toEqual([true, false, true]);
  await sql(`select detach_all(chute_id) from attached where chute_id in ('cht_many', 'cht_small', 'cht_other')`);
  expect(await sql(`select from secrets where account_id = 'acc_x'`)).toEqual([]);
});

test('a deleted chute leaves no secret and no share behind', async () => {
  await owner.deleteChute('demo/vault');
  expect(await owner.secrets(null)).toEqual([]);
  expect(await rowsWith('PLANTED')).toEqual(['versions', 'versions']);
});

async function sql<T extends Record<string, unknown>>(text: string, values: unknown[] = []): Promise<T[]> {
  const postgres = new Postgres({ connectionString: network.databaseUrl });
  await postgres.connect();
  try {
    return (await postgres.query<T>(text, values)).rows;
  } finally {
    await postgres.end();
  }
}

/** The tables with a row that holds this text, once per row. */
async function rowsWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const { name } of await sql<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public'`))
    found.push(...(await sql(`select from "${name}" t where strpos(to_jsonb(t)::text, $1) > 0`, [text])).map(() => name));
  return found;
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
