/** The edge's half of an epoch on a real Postgres: who was there is counted, the evidence is closed once, judges commit once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { EPOCH_LIMITS } from '#protocol/epoch.ts';
import { closeDue } from '../../../functions/epochs/closing.ts';
import { epochAt, networkOf } from '../../../functions/epochs/network.ts';
import { readEvidence } from '../../../validator-cron/epoch.ts';
import { openBooks, type Books } from './books.ts';

const HOUR = 60;
const START = epochAt(1_790_000_000_000, HOUR);
const slots = [START, START + 10, START + 20, START + 30, START + 40, START + 50];
const device = (agent: string, id: string, hotkey: string, need = 0): db.PresenceRecord => ({
  target: `${agent}/${id}`,
  agent,
  hotkey,
  device: id,
  instance: '',
  body: { kind: 'cpu', name: 'a cpu', memory_mb: 512 },
  need,
  serving: need > 0,
});

let books: Books;
const files = new Map<string, Uint8Array>();

beforeAll(async () => {
  books = await openBooks();
});

afterAll(async () => {
  await books.close();
});

test('a slot counts once, however often it is counted, and first sights stay', async () => {
  const a = device('agt_a', 'gpu0', hotkey('A'), 500);
  for (const slot of slots.slice(0, 4)) {
    await db.countPresence(books.d, { epoch: START, slot, seen: [a] });
    await db.countPresence(books.d, { epoch: START, slot, seen: [a] });
  }
  await db.countPresence(books.d, { epoch: START, slot: START, seen: [a] });
  expect(await db.isCounted(books.d, { epoch: START, slot: START + 30 })).toBe(true);
  expect(await db.isCounted(books.d, { epoch: START, slot: START + 40 })).toBe(false);
  const rows = await books.sql('select from_slot, to_slot, slots, need, serving from presence');
  expect(rows).toEqual([{ from_slot: String(START), to_slot: String(START + 30), slots: 4, need: '2000', serving: 4 }]);
  expect(await books.sql('select target, slot from first_seen')).toEqual([{ target: 'agt_a/gpu0', slot: String(START) }]);
});

test('who names his devices anew in every slot crowds out his own', async () => {
  const epoch = START - HOUR;
  const steady = device('agt_z', 'gpu0', hotkey('Z'));
  for (const slot of [epoch, epoch + 10, epoch + 20]) {
    const renamed = Array.from({ length: 4 }, (_, at) => device('agt_b', `gpu${slot}-${at}`, hotkey('B')));
    await db.countPresence(books.d, { epoch, slot, seen: [...renamed, steady, device('agt_b', 'stays', hotkey('B'))] });
  }
  const left = () => books.sql('select device, slots from presence where epoch = $1 order by slots desc, device', [epoch]);
  expect(await left()).toHaveLength(14);
  await db.trimPresence(books.d, { epoch, most: 14 });
  expect(await left()).toHaveLength(14);
  for (let again = 0; again < 2; again++) {
    await db.trimPresence(books.d, { epoch, most: 3 });
    expect(await left()).toEqual([
      { device: 'gpu0', slots: 3 },
      { device: 'stays', slots: 3 },
      { device: `gpu${epoch}-0`, slots: 1 },
    ]);
  }
  await books.sql('delete from presence where epoch = $1', [epoch]);
});

test('an epoch is closed once its time and its grace are over, whatever cron is first, and each file names the one before', async () => {
  await db.countPresence(books.d, { epoch: START + HOUR, slot: START + HOUR, seen: [device('agt_a', 'gpu0', hotkey('A'))] });
  expect(await close((START + HOUR) * 1000 + EPOCH_LIMITS.graceMs - 1_000)).toBe(0);
  await Promise.all([
    close((START + HOUR) * 1000 + EPOCH_LIMITS.graceMs + 1_000),
    close((START + HOUR) * 1000 + EPOCH_LIMITS.graceMs + 1_000),
  ]);
  expect(await close((START + HOUR) * 1000 + EPOCH_LIMITS.graceMs + 2_000)).toBe(0);
  expect(await close((START + 2 * HOUR) * 1000 + EPOCH_LIMITS.graceMs + 1_000)).toBe(1);
  const [first, second] = await Promise.all([db.readEpoch(books.d, START), db.readEpoch(books.d, START + HOUR)]);
  const evidence = readEvidence(files.get(first?.evidence ?? '') ?? new Uint8Array());
  expect(evidence.sha256).toBe(first?.evidence);
  expect(evidence.presence).toMatchObject([{ hotkey: hotkey('A'), device: 'gpu0', since: START, slots: 4, need: 2000, serving: 4 }]);
  expect(first?.previous).toBe(db.NO_HASH);
  expect(second?.previous).toBe(first?.evidence);
  expect(readEvidence(files.get(second?.evidence ?? '') ?? new Uint8Array()).head.previous).toBe(first?.evidence);
});

test('a transcript is in the evidence of one epoch, the first that is closed after it ended', async () => {
  const at = START + 2 * HOUR;
  await db.countPresence(books.d, { epoch: at, slot: at, seen: [device('agt_a', 'gpu0', hotkey('A'))] });
  await db.countPresence(books.d, { epoch: at + HOUR, slot: at + HOUR, seen: [device('agt_a', 'gpu0', hotkey('A'))] });
  const ended = (id: string, second: number, done = true) =>
    books.sql(
      `insert into transcripts (id, kind, target, agent_id, hotkey, slot, body, ended, seq, committed_at, ended_at)
       values ($1, 'pow.mm', 'agt_a/gpu0', 'agt_a', 'A', $2, '{}', $3, 1, now(), to_timestamp($4))`,
      [id, at, done, second],
    );
  await ended('chl_late_of_before', START + 5);
  await ended('chl_in_time', at + HOUR - 1);
  await ended('chl_after', at + HOUR + 1);
  await ended('chl_running', at + 1, false);
  await close((at + HOUR) * 1000 + EPOCH_LIMITS.graceMs + 1_000);
  const claimed = await books.sql('select id, epoch from transcripts order by id');
  expect(claimed).toEqual([
    { id: 'chl_after', epoch: null },
    { id: 'chl_in_time', epoch: String(at) },
    { id: 'chl_late_of_before', epoch: String(at) },
    { id: 'chl_running', epoch: null },
  ]);
});

test('where there are more than fit, each hotkey has its turn, with what was due first', async () => {
  const start = START - 10 * HOUR;
  const rows: [string, string, boolean][] = [
    ...[1, 2, 3, 4].map((k): [string, string, boolean] => [`chl_b${k}`, 'B', true]),
    ['chl_z_repeat', 'Z', false],
    ['chl_z_due', 'Z', true],
  ];
  for (const [at, [id, of, scheduled]] of rows.entries())
    await books.sql(
      `insert into transcripts (id, kind, target, agent_id, hotkey, slot, body, ended, seq, ended_at)
       values ($1, 'pow.mm', 't', 'agt', $2, $3, $4, true, 1, to_timestamp($5))`,
      [id, of, start, { scheduled }, start + at],
    );
  await db.beginEpoch(books.d, { start, seconds: HOUR, suite: 'development', previous: db.NO_HASH, transcripts: 3 });
  const claimed = await books.sql('select id from transcripts where epoch = $1 order by id', [start]);
  expect(claimed.map((row) => row['id'])).toEqual(['chl_b1', 'chl_b2', 'chl_z_due']);
  await books.sql('delete from transcripts where slot = $1', [start]);
  await books.sql('delete from epochs where start = $1', [start]);
});

test('what payers spent: by other names, linked where payer and miner are one on the chain', async () => {
  const at = START + 4 * HOUR;
  await db.insertAccount(books.d, { id: 'acc_own', hotkey: hotkey('P'), handle: 'own' });
  await db.insertAccount(books.d, { id: 'acc_other', hotkey: hotkey('Q'), handle: 'other' });
  for (const [uid, key, cold] of [
    [1, 'A', 'C'],
    [2, 'P', 'C'],
    [3, 'Q', 'D'],
  ] as const)
    await books.sql(`insert into neurons values ($1, $2, $3, false, 0, 0, 0, 1)`, [uid, hotkey(key), hotkey(cold)]);
  // Without its call, its lease and its entries, which are other tests' matter.
  const spend = (account: string, cost: number, ms: number, outcome: string, key = 'key_x') =>
    books.attempt(
      'set local session_replication_role = replica',
      `insert into usage (call_id, attempt, account_id, key_id, chute_id, version, instance_id, agent_id, hotkey, outcome, code, bytes, started_at,
         first_byte_ms, cost_nanousd, recorded_at)
       values (gen_random_uuid(), 0, '${account}', '${key}', 'cht_1', 'v', 'ins', 'agt_a', '${hotkey('A')}', '${outcome}', '', 1, now(), ${ms}, ${cost},
         to_timestamp(${at + 1}))`,
    );
  await spend('acc_own', 70, 100, 'completed');
  await spend('acc_own', 30, 200, 'completed');
  await spend('acc_other', 5, 300, 'completed');
  await spend('acc_other', 0, 900, 'failed');
  await spend('acc_other', 9, 0, 'completed', '');
  await db.countPresence(books.d, { epoch: at, slot: at, seen: [device('agt_a', 'gpu0', hotkey('A'))] });
  await close((at + HOUR) * 1000 + EPOCH_LIMITS.graceMs + 1_000);
  const closed = await db.readEpoch(books.d, at);
  const bytes = files.get(closed?.evidence ?? '') ?? new Uint8Array();
  const { uses, served, neurons } = readEvidence(bytes);
  expect(uses.map(({ nanousd, linked }) => ({ nanousd, linked })).toSorted((a, b) => Number(b.nanousd) - Number(a.nanousd))).toEqual([
    { nanousd: '100', linked: true },
    { nanousd: '14', linked: false },
  ]);
  expect(new TextDecoder().decode(bytes)).not.toMatch(/acc_/);
  expect(served).toEqual([{ t: 'served', hotkey: hotkey('A'), completed: 3, failed: 1, first_byte_ms: 200 }]);
  expect(neurons.map((n) => n.uid)).toEqual([1, 2, 3]);
});

test('the first commitment stands, and the first word on the chain', async () => {
  const epoch = START;
  const commit = {
    epoch,
    evidence: 'a'.repeat(64),
    findings: 'b'.repeat(64),
    summary: 'c'.repeat(64),
    weights: { uids: [1], values: [65_535] },
  };
  const judge = hotkey('J');
  const gate = [judge];
  expect(await db.listEpochs(books.d, { before: epoch + 1, limit: 1, gate })).toMatchObject([{ judged: 0, block: null }]);
  expect(await db.commitEpoch(books.d, judge, commit, {})).toBe(true);
  expect(await db.commitEpoch(books.d, judge, commit, {})).toBe(true);
  expect(await db.commitEpoch(books.d, judge, { ...commit, weights: { uids: [2], values: [65_535] } }, {})).toBe(false);
  const posted = { epoch, extrinsic: `0x${'1'.repeat(64)}`, block: 7, reveal_round: null };
  expect(await db.markPosted(books.d, hotkey('K'), posted)).toBe(false);
  expect(await db.markPosted(books.d, judge, posted)).toBe(true);
  await db.markPosted(books.d, judge, { ...posted, block: 9 });
  expect(await db.listEpochs(books.d, { before: epoch + 1, limit: 1, gate })).toMatchObject([{ judged: 1, block: 7 }]);
  expect(await db.listEpochs(books.d, { before: epoch + 1, limit: 1, gate: [hotkey('K')] })).toMatchObject([{ judged: 0, block: null }]);
});

function close(now: number): Promise<number> {
  const network = networkOf({ NETWORK: 'development', EPOCH_SECONDS: String(HOUR) });
  const put = (sha256: string, bytes: Uint8Array) => Promise.resolve(void files.set(sha256, bytes));
  return closeDue({ base: books.d, network, put, secret: { EDGE_SECRET: '11'.repeat(32) } }, now);
}

function hotkey(letter: string): string {
  return `5${letter.repeat(47)}`;
}
