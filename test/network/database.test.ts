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
  expect(await db.agentsHere(d, { hotkey: '5M', after: '', limit: 1 })).toEqual(['agt_1']);
  expect(await db.agentsHere(d, { hotkey: '5M', after: 'agt_1', limit: 9 })).toEqual(['agt_2']);
  expect((await db.listAgents(d, { perHotkey: 1 })).map((a) => a.id)).toEqual(['agt_1', 'agt_3']);
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
  const compared = { from: 1, step: 250, tokens: [1, 2], proofs: ['chl_1'] };
  const load = { ...observation, id: 'obs_3', type: 'load' as const, instance: 'ins_1', ok: false, reason: 'loaded' as const, compared };
  await db.insertObservations(d, [load]);
  expect(await db.listObservations(d, { epoch: 3600, types: ['load', 'interfere'], limit: 10 })).toEqual([load]);
  const parts = { share: 9, capacity: 8, use: 0, quality: 4, tests: 5, calls: 6, latency: 7, clean: true };
  const score = { hotkey: '5M', epoch: 3600, round: 61, score: 900_000, parts };
  await db.insertScores(d, '5J', [score]);
  await db.insertScores(d, '5J', [{ ...score, round: 60, score: 1 }]);
  expect(await db.readScores(d, { epoch: 3600 })).toEqual([{ judge: '5J', ...score }]);
  await db.insertScores(d, '5J', [{ ...score, round: 62, score: 2 }]);
  expect(await db.readScores(d, { epoch: 3600, judge: '5J', hotkey: '5M' })).toMatchObject([{ round: 62, score: 2 }]);
  expect(await db.newestEpoch(d)).toBe(3600);
});

test('the subnet: the newest block stands, uids change hands, emission is counted once per epoch', async () => {
  const neuron = {
    uid: 0,
    hotkey: '5U',
    coldkey: '5C',
    permit: true,
    stake: 2n ** 70n,
    incentive: 9,
    emission: 2n ** 60n,
    registeredBlock: 1,
  };
  const head = { netuid: 64, block: 100, hash: '0xa', epochIndex: 5 };
  const second = { ...neuron, uid: 1, hotkey: '5V', permit: false, emission: 0n };
  const uids = () => select('select uid, hotkey from neurons order by uid');
  expect(await db.readRegistered(d, 64)).toBeNull();
  expect(await db.saveNeurons(d, head, [neuron, second])).toBe(true);
  expect(await db.readRegistered(d, 64)).toEqual(new Set(['5U', '5V']));
  expect(await select('select stake::text, emission::text from neurons where uid = 0')).toEqual([
    { stake: String(2n ** 70n), emission: String(2n ** 60n) },
  ]);
  // Older, or the same again: nothing moves.
  expect(await db.saveNeurons(d, { ...head, block: 99 }, [{ ...neuron, hotkey: '5X' }])).toBe(false);
  expect(await db.saveNeurons(d, head, [])).toBe(false);
  expect(await uids()).toEqual([
    { uid: 0, hotkey: '5U' },
    { uid: 1, hotkey: '5V' },
  ]);
  // They change places, and the epoch is still the same.
  expect(
    await db.saveNeurons(d, { ...head, block: 101 }, [
      { ...second, uid: 0 },
      { ...neuron, uid: 1, emission: 7n },
    ]),
  ).toBe(true);
  expect(await uids()).toEqual([
    { uid: 0, hotkey: '5V' },
    { uid: 1, hotkey: '5U' },
  ]);
  expect(await db.saveNeurons(d, { ...head, block: 102, epochIndex: 6 }, [{ ...second, uid: 0, emission: 3n }])).toBe(true);
  expect(await select('select hotkey, epoch_index::int as epoch, rao::text from emissions order by epoch_index')).toEqual([
    { hotkey: '5U', epoch: 5, rao: String(2n ** 60n) },
    { hotkey: '5V', epoch: 6, rao: '3' },
  ]);
  for (const [agent, hotkey] of Object.entries({ agt_u: '5U', agt_v: '5V' })) await db.upsertAgent(d, { agent, hotkey, inventory: {} });
  const gone = await db.listUnregistered(d, { seenMs: 60_000, limit: 100 });
  expect([gone.includes('agt_u'), gone.includes('agt_v')]).toEqual([true, false]);
  expect(await db.listUnregistered(d, { seenMs: 60_000, limit: 1 })).toHaveLength(1);
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

/** As a Miner object writes it down. */
function transcript(id: string, of: Partial<db.TranscriptDraft> = {}): db.TranscriptDraft {
  const hex = '00'.repeat(32);
  const login = {
    hotkey: '5M',
    name: 'n',
    agent: 'agt_1',
    challenge: 'c',
    origin: 'o',
    sessionKey: hex,
    sealKey: hex,
    expires: 1,
    versions: [2],
  };
  return {
    v: 1,
    id,
    kind: 'pow.mm',
    target: 'agt_1/cpu',
    slot: 100,
    scheduled: true,
    hotkey: '5M',
    agent: 'agt_1',
    device: { id: 'cpu', kind: 'cpu', name: 'ä', memoryMb: 1 },
    instance: null,
    class: 'cpu',
    profile: 'mm-128',
    steps: 4,
    round: 7,
    sent_at: 1_790_000_000_001,
    rtt_ms: null,
    login: { ...login, signature: '00'.repeat(64) },
    commit: null,
    sample: null,
    opening: null,
    declined: null,
    end: null,
    ended_at: null,
    ...of,
  };
}

test('transcripts: in the feed once from the commit and once more from the end, which stands', async () => {
  await db.putTranscripts(d, []);
  await db.putTranscripts(d, [transcript('chl_1'), transcript('chl_2', { slot: 110 })]);
  const first = await db.feedOf(d, { after: 0, limit: 10 });
  expect(first.map((t) => [t.transcript.id, t.ended])).toEqual([
    ['chl_1', false],
    ['chl_2', false],
  ]);
  expect(first[0]?.transcript).toEqual(transcript('chl_1'));
  const whole = transcript('chl_1', { end: 'no_commit', ended_at: 1_790_000_000_999 });
  await db.putTranscripts(d, [whole]);
  await db.putTranscripts(d, [{ ...whole, end: 'opened' }]);
  expect((await db.feedOf(d, { after: first[1]?.seq ?? 0, limit: 10 })).map((t) => [t.transcript, t.ended])).toEqual([[whole, true]]);
  expect(await db.readTranscript(d, 'chl_1')).toMatchObject({ ended: true, transcript: whole });
  expect(await db.readTranscript(d, 'chl_none')).toBeNull();
  const page = (after: db.SlotPlace | null, to = 111) => db.transcriptsOfSlots(d, { from: 100, to, after, limit: 1 });
  expect((await page(null)).map((t) => t.transcript.id)).toEqual(['chl_1']);
  expect((await page({ slot: 100, id: 'chl_1' })).map((t) => t.transcript.id)).toEqual(['chl_2']);
  expect(await page({ slot: 100, id: 'chl_1' }, 110)).toEqual([]);
  expect([...(await db.endedAmong(d, ['chl_1', 'chl_2', 'chl_none']))]).toEqual([
    ['chl_1', { kind: 'pow.mm', target: 'agt_1/cpu', hotkey: '5M', slot: 100 }],
  ]);
  const bad = await db.putTranscripts(d, [transcript('chl_3', { declined: 'a\0b' })]).catch((e: unknown) => e);
  expect(db.isRowFault(bad), 'it is known for one that no retry helps').toBe(true);
});

test('writers of transcripts at once: who has read up to a number misses no smaller one', async () => {
  let after = (await db.feedOf(d, { after: 0, limit: 100 })).at(-1)?.seq ?? 0;
  const seen: string[] = [];
  const writers = Array.from({ length: 12 }, (_, at) => db.putTranscripts(d, [transcript(`chl_w${at}`), transcript(`chl_x${at}`)]));
  let writing = true;
  const done = Promise.all(writers).then(() => (writing = false));
  do {
    const page = await db.feedOf(d, { after, limit: 100 });
    seen.push(...page.map((t) => t.transcript.id));
    after = page.at(-1)?.seq ?? after;
  } while (writing);
  await done;
  seen.push(...(await db.feedOf(d, { after, limit: 100 })).map((t) => t.transcript.id));
  expect(seen.toSorted()).toEqual(
    Array.from({ length: 12 }, (_, at) => [`chl_w${at}`, `chl_x${at}`])
      .flat()
      .toSorted(),
  );
});

test('what was first seen when', async () => {
  expect(await db.firstSeen(d, [], 10)).toEqual(new Map());
  expect(await db.firstSeen(d, ['a/1', 'a/1'], 10)).toEqual(new Map([['a/1', 10]]));
  expect(await db.firstSeen(d, ['a/1', 'a/2'], 20)).toEqual(
    new Map([
      ['a/2', 20],
      ['a/1', 10],
    ]),
  );
});

test('what nobody has is not noted', async () => {
  expect(await db.seenSince(d, [])).toEqual(new Map());
  await db.firstSeen(d, ['b/1'], 10);
  expect(await db.seenSince(d, ['b/1', 'b/2'])).toEqual(new Map([['b/1', 10]]));
  expect(await db.firstSeen(d, ['b/2'], 30)).toEqual(new Map([['b/2', 30]]));
});

test('verdicts: the first word of a judge stands', async () => {
  const said = { kind: 'pow.mm', target: 'agt_1/cpu', hotkey: '5M', elapsed_ms: null, rate: null, class: null, wrong: null } as const;
  const row = (id: string, reason: 'proven' | 'wrong_leaf', outcome: string, slot = 100) => ({
    verdict: { id, ...said, reason },
    outcome,
    slot,
  });
  expect(await db.insertVerdicts(d, '5J', [row('chl_1', 'proven', 'pass'), row('chl_2', 'wrong_leaf', 'hard', 110)])).toEqual([
    'chl_1',
    'chl_2',
  ]);
  expect(await db.insertVerdicts(d, '5J', [row('chl_1', 'wrong_leaf', 'hard')])).toEqual([]);
  expect(await db.insertVerdicts(d, '5K', [row('chl_1', 'wrong_leaf', 'hard')])).toEqual(['chl_1']);
  expect(await db.hardAmong(d, '5J', ['chl_1', 'chl_2'])).toEqual(new Set(['chl_2']));
  const all = await db.verdictsOfSlots(d, { from: 100, to: 111, after: null, limit: 10 });
  expect(all.map((v) => [v.slot, v.id, v.judge])).toEqual([
    [100, 'chl_1', '5J'],
    [100, 'chl_1', '5K'],
    [110, 'chl_2', '5J'],
  ]);
  expect(await db.verdictsOfSlots(d, { from: 100, to: 111, after: { slot: 100, id: 'chl_1', judge: '5J' }, limit: 10 })).toEqual(
    all.slice(1),
  );
  expect(await db.verdictsOfSlots(d, { from: 100, to: 110, judge: '5J', hotkey: '5M', after: null, limit: 10 })).toEqual(all.slice(0, 1));
  expect(await db.verdictsOfMiner(d, { hotkey: '5M', before: null, limit: 10 })).toEqual(all.toReversed());
  expect(await db.verdictsOfMiner(d, { hotkey: '5M', before: { slot: 110, id: 'chl_2', judge: '5J' }, limit: 10 })).toEqual([
    all[1],
    all[0],
  ]);
});

test('jails: a day, twice as long each time, and never longer for what was done before it is out', async () => {
  const ask = { hotkey: '5Jailed', judge: '5J', challengeId: 'chl_a', reason: 'wrong_leaf', slot: Math.floor(Date.now() / 1000) };
  const days = (jail: db.Jail | null) => (jail === null ? null : Math.round((jail.until.getTime() - Date.now()) / 86_400_000));
  expect(await db.jailOf(d, '5Jailed')).toBeNull();
  expect(days(await db.jail(d, ask))).toBe(1);
  expect(await db.jail(d, { ...ask, challengeId: 'chl_b' }), 'it is in already').toBeNull();
  expect(await db.jailOf(d, '5Jailed')).toMatchObject({ challengeId: 'chl_a', times: 1 });
  expect((await db.newJails(d, { withinMs: 60_000, limit: 10 })).map((j) => j.hotkey)).toEqual(['5Jailed']);
  await select(`update jails set until = now() - interval '1 second', since = now() - interval '1 day'`);
  expect(await db.jailOf(d, '5Jailed')).toBeNull();
  expect(await db.newJails(d, { withinMs: 60_000, limit: 10 })).toEqual([]);
  expect(await db.jail(d, { ...ask, challengeId: 'chl_b', slot: ask.slot - 60 }), 'a proof of the time before').toBeNull();
  expect(days(await db.jail(d, { ...ask, challengeId: 'chl_c', slot: ask.slot + 60 }))).toBe(2);
  await select(`update jails set until = now() - interval '1 second', times = 40`);
  expect(days(await db.jail(d, { ...ask, challengeId: 'chl_d', slot: ask.slot + 60 })), 'and no longer than this').toBe(256);
});

test('what was forfeited for a challenge', async () => {
  await db.foldEntries(d, 1_000);
  const amount = await db.forfeit(d, { hotkey: '5M', reason: 'challenge chl_2: wrong_leaf', ref: 'chl_2' });
  expect(amount).toBeGreaterThan(0n);
  expect(await db.forfeitedFor(d, '5M', ['chl_1', 'chl_2'])).toEqual(new Map([['chl_2', amount]]));
  expect(await db.forfeitedFor(d, '5N', ['chl_2'])).toEqual(new Map());
});
