/** Every function of `#db` on a real Postgres, through the bridge and the driver that the edge uses. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as db from '../../db/index.ts';
import { migrate } from '../../db/migrate.ts';
import { query } from '../../db/native.ts';
import { startBridge, type Bridge } from '../../dev/bridge.ts';
import { startPostgres, type Postgres } from '../../dev/postgres.ts';
import { makeLeash } from '../../dev/leash.ts';
import { closedCall } from './books/records.ts';

const leash = makeLeash();
let folder: string;
let postgres: Postgres;
let bridge: Bridge;
let d: db.Database;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ripcord-db-'));
  postgres = await startPostgres(
    { folder: join(folder, 'pg'), logFile: join(folder, 'pg.log'), password: 'test', port: undefined, durable: false },
    leash,
    () => undefined,
  );
  await Promise.all([migrate(postgres.url), migrate(postgres.url)]);
  await migrate(postgres.url);
  bridge = await startBridge(postgres.url);
  d = db.connect({ DATABASE_URL: postgres.url, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
});

afterAll(async () => {
  await bridge.close();
  await postgres.part.stop();
  await leash.drop();
  await rm(folder, { recursive: true, force: true });
});

async function select(text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('accounts: a handle and a hotkey belong to one account', async () => {
  const alice = { id: 'acc_1', hotkey: '5A', handle: 'alice' };
  expect((await db.insertAccount(d, alice)).kind).toBe('made');
  expect((await db.insertAccount(d, alice)).kind).toBe('same');
  expect(await db.insertAccount(d, { id: 'acc_2', hotkey: '5B', handle: 'alice' })).toMatchObject({ kind: 'taken', by: alice });
  expect(await db.insertAccount(d, { ...alice, handle: 'other' })).toMatchObject({ kind: 'taken', by: alice });
  const racers = await Promise.all(
    Array.from({ length: 8 }, (_, i) => db.insertAccount(d, { id: `acc_r${i}`, hotkey: `5R${i}`, handle: 'race' })),
  );
  expect(racers.filter((r) => r.kind === 'made')).toHaveLength(1);
  expect(racers.filter((r) => r.kind === 'taken')).toHaveLength(7);
  expect(await db.findAccountByHotkey(d, '5A')).toMatchObject(alice);
  expect(await db.findAccountByHandle(d, 'alice')).toMatchObject(alice);
  expect(await db.findAccountByHotkey(d, '5Z')).toBeNull();
});

test('keys: a mirror that only learns of revocations', async () => {
  const key = {
    id: 'key_1',
    accountId: 'acc_1',
    name: 'k',
    scopes: ['invoke', 'read'],
    createdAt: new Date(1_790_000_000_000),
    expiresAt: null,
    revokedAt: null,
  };
  await db.upsertKeys(d, [key]);
  await db.upsertKeys(d, [
    { ...key, revokedAt: new Date(1_790_000_001_000) },
    { ...key, id: 'key_2' },
  ]);
  await db.upsertKeys(d, []);
  expect(await select('select id, scopes, revoked_at from keys order by id')).toEqual([
    { id: 'key_1', scopes: ['invoke', 'read'], revoked_at: new Date(1_790_000_001_000) },
    { id: 'key_2', scopes: ['invoke', 'read'], revoked_at: null },
  ]);
});

test('a database that does not answer is not the fault of a row', async () => {
  const nowhere = db.connect({ DATABASE_URL: postgres.url, DATABASE_FETCH_ENDPOINT: 'http://127.0.0.1:1/sql' });
  const error = await db.flushCalls(nowhere, [closedCall({ epoch: null, attempts: [] })]).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Error);
  expect(db.isRowFault(error)).toBe(false);
  expect(db.isUnanswered(error)).toBe(true);
  d = db.connect({ DATABASE_URL: postgres.url, DATABASE_FETCH_ENDPOINT: bridge.endpoint });
  expect(await db.findAccountByHotkey(d, '5A')).toMatchObject({ handle: 'alice' });
});

test('chutes: deploy, change, delete and deploy again', async () => {
  const chute = { id: 'cht_1', accountId: 'acc_1', name: 'alice/chat', slug: 'alice-chat', public: false, version: 'v1' };
  await db.upsertChute(d, chute);
  await db.insertVersion(d, { chuteId: 'cht_1', version: 'v1', config: { name: 'chat' }, code: { sha256: 'ab', bytes: 3 } });
  await db.insertVersion(d, { chuteId: 'cht_1', version: 'v1', config: { name: 'changed' }, code: null });
  await db.insertVersion(d, { chuteId: 'cht_1', version: 'v2', config: {}, code: null });
  await db.upsertChute(d, { ...chute, version: 'v2', public: true });
  expect((await db.listVersions(d, 'cht_1')).map((v) => v.version)).toEqual(['v2', 'v1']);
  expect(await db.findVersion(d, 'cht_1', 'v1')).toMatchObject({ config: { name: 'chat' }, code: { sha256: 'ab', bytes: 3 } });
  expect(await db.findVersion(d, 'cht_1', 'v9')).toBeNull();
  await db.upsertChute(d, { ...chute, id: 'cht_2', name: 'alice/secret', slug: 'alice-secret' });
  expect((await db.listChutes(d, 'acc_1')).map((c) => c.name)).toEqual(['alice/chat', 'alice/secret']);
  expect((await db.listChutes(d, 'acc_9')).map((c) => c.name)).toEqual(['alice/chat']);
  expect((await db.listChutes(d, 'acc_1', 'alice/chat')).map((c) => c.name)).toEqual(['alice/secret']);
  await db.deleteChute(d, 'cht_1');
  expect(await db.findChute(d, 'cht_1')).toBeNull();
  expect(await db.listChutes(d, 'acc_9')).toEqual([]);
  await db.upsertChute(d, chute);
  expect(await db.findChute(d, 'cht_1')).toMatchObject({ version: 'v1', public: false });
  expect(await db.listVersions(d, 'cht_1')).toHaveLength(2);
});

test('miners: agents and what they did lately', async () => {
  await db.upsertAgent(d, { agent: 'agt_1', hotkey: '5M', inventory: { devices: [] } });
  await db.upsertAgent(d, { agent: 'agt_2', hotkey: '5M', inventory: {} });
  await db.upsertAgent(d, { agent: 'agt_1', hotkey: '5M', inventory: { devices: [1] } });
  await db.upsertAgent(d, { agent: 'agt_3', hotkey: '5N', inventory: {} });
  expect((await db.listAgents(d)).map((a) => a.id)).toEqual(['agt_1', 'agt_2', 'agt_3']);
  expect((await db.listAgents(d, { after: 'agt_1', limit: 1 })).map((a) => a.id)).toEqual(['agt_2']);
  expect(await db.listAgentsOf(d, '5M')).toMatchObject([{ id: 'agt_1', inventory: { devices: [1] } }, { id: 'agt_2' }]);
  expect(await db.listMiners(d)).toMatchObject([
    { hotkey: '5M', agents: 2, lastSeenAt: expect.any(Date) as Date },
    { hotkey: '5N', agents: 1, attempts: 0, completed: 0, tokensOut: 0 },
  ]);
  expect((await db.listMiners(d, { after: '5M' })).map((m) => m.hotkey)).toEqual(['5N']);
  expect((await db.listMiners(d, { hotkey: '5M' })).map((m) => m.hotkey)).toEqual(['5M']);
});

test('observations and scores: once, by page, the newer round wins', async () => {
  const observation = {
    id: 'obs_1',
    judge: '5J',
    type: 'rtt' as const,
    agent: 'agt_1',
    hotkey: '5M',
    instance: null,
    epoch: 3600,
    round: 60,
    ok: true,
    reason: 'answered' as const,
    value_ms: 9,
    first_byte_ms: null,
    tokens: null,
    call: null,
    compared: null,
    at: 1_790_000_000_123,
  };
  expect(await db.insertObservations(d, [observation, { ...observation, id: 'obs_2', judge: '5K' }])).toEqual(['obs_1', 'obs_2']);
  expect(await db.insertObservations(d, [{ ...observation, ok: false }])).toEqual([]);
  expect(await db.listObservations(d, { epoch: 3600, limit: 10 })).toEqual([observation, { ...observation, id: 'obs_2', judge: '5K' }]);
  expect((await db.listObservations(d, { epoch: 3600, after: 'obs_1', limit: 10 })).map((o) => o.id)).toEqual(['obs_2']);
  expect(await db.listObservations(d, { epoch: 3600, judge: '5J', hotkey: '5N', limit: 10 })).toEqual([]);
  const parts = { share: 9, standing: 8, need: 1, use: 0, quality: 4, tests: 5, calls: 6, latency: 7, clean: true };
  const score = { hotkey: '5M', epoch: 3600, round: 61, score: 900_000, parts };
  await db.insertScores(d, '5J', [score]);
  await db.insertScores(d, '5J', [{ ...score, round: 60, score: 1 }]);
  expect(await db.readScores(d, { epoch: 3600 })).toEqual([{ judge: '5J', ...score }]);
  await db.insertScores(d, '5J', [{ ...score, round: 62, score: 2 }]);
  expect(await db.readScores(d, { epoch: 3600, judge: '5J', hotkey: '5M' })).toMatchObject([{ round: 62, score: 2 }]);
  expect(await db.newestEpoch(d)).toBe(3600);
});

test('the native driver gives the same answers as HTTP', async () => {
  const native = db.connect({ DATABASE_URL: postgres.url, HYPERDRIVE: { connectionString: postgres.url } });
  await expect(db.listMiners(native)).rejects.toThrow();
  db.useNativeDriver(query);
  expect(await db.listObservations(native, { epoch: 3600, limit: 10 })).toEqual(await db.listObservations(d, { epoch: 3600, limit: 10 }));
  expect(await db.listMiners(native)).toEqual(await db.listMiners(d));
  expect(await db.listAgentsOf(native, '5M')).toEqual(await db.listAgentsOf(d, '5M'));
  expect((await db.insertAccount(native, { id: 'acc_n', hotkey: '5Nat', handle: 'native' })).kind).toBe('made');
  await db.postTransfer(native, {
    id: crypto.randomUUID(),
    kind: 'credit',
    ref: 'native',
    owner: 'acc_n',
    entries: { operator_clearing: -9_007_199_254_740_993n, 'cash/acc_n': 9_007_199_254_740_993n },
    reason: '',
  });
  const ask = { accountId: 'acc_n', epoch: 1, n: 1, want: 9_007_199_254_740_993n, cash: 0n, promo: 0n };
  expect(await db.moveLease(native, ask)).toMatchObject({ kind: 'ok', cashAmount: 9_007_199_254_740_993n });
  expect(await db.flushCalls(native, [closedCall({ account: 'acc_n' })])).toEqual({ taken: 1, known: 0 });
  expect(await db.checkBooks(native)).toEqual(await db.checkBooks(d));
  const error = await db.flushCalls(native, [{ ...closedCall(), callId: 'nope' }]).catch((e: unknown) => e);
  expect(db.isRowFault(error)).toBe(true);
});
