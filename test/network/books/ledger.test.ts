/** Every function of the ledger, as the edge calls it. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { brokenOf, openBooks, type Books } from './books.ts';
import { closedCall } from './records.ts';

const HOUR = 3_600_000;

let books: Books;
let d: db.Database;
let accounts = 0;

beforeAll(async () => {
  books = await openBooks();
  d = books.d;
});

afterAll(async () => {
  const broken = await brokenOf(d);
  await books.close();
  expect(broken).toEqual([]);
});

/** A new account with so much money. */
async function account(cash: bigint, promo = 0n): Promise<string> {
  const id = `acc_${accounts++}`;
  if (cash > 0n) await give(id, cash);
  if (promo > 0n) {
    const entries = { promo_fund: -promo, [`promo/${id}`]: promo };
    await db.postTransfer(d, { id: crypto.randomUUID(), kind: 'promo', ref: crypto.randomUUID(), owner: id, entries, reason: '' });
  }
  return id;
}

function give(owner: string, amount: bigint, ref: string = crypto.randomUUID()): Promise<string> {
  const entries = { operator_clearing: -amount, [`cash/${owner}`]: amount };
  return db.postTransfer(d, { id: crypto.randomUUID(), kind: 'credit', ref, owner, entries, reason: 'a "gift"\n' });
}

const move = (accountId: string, epoch: number, n: number, want: bigint, cash = 0n, promo = 0n) =>
  db.moveLease(d, { accountId, epoch, n, want, cash, promo });

/** Posted and held of the purses that begin so. */
async function purses(like: string): Promise<Record<string, [string, string]>> {
  const rows = await books.sql<{ id: string; posted: string; held: string }>(
    'select id, posted, held from purses where id like $1 order by id',
    [like],
  );
  return Object.fromEntries(rows.map((p) => [p.id, [p.posted, p.held]]));
}

async function foldAll(): Promise<void> {
  while ((await db.foldEntries(d, 7)) === 7);
}

const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

describe('transfers', () => {
  test('a ref makes one transfer, also in a race, and no other one', async () => {
    const a = await account(0n);
    const ids = await Promise.all(Array.from({ length: 12 }, () => give(a, 5n, `once-${a}`)));
    expect(new Set(ids).size).toBe(1);
    expect(await purses(`cash/${a}`)).toEqual({ [`cash/${a}`]: ['5', '0'] });
    const other = await failure(give(a, 6n, `once-${a}`));
    expect(db.isConflict(other)).toBe(true);
    expect(db.isRowFault(other)).toBe(false);
  });

  test('amounts keep every digit; one that could overflow a purse is refused', async () => {
    const a = await account(9_999_999_999_999_999n);
    expect(await purses(`cash/${a}`)).toEqual({ [`cash/${a}`]: ['9999999999999999', '0'] });
    for (const amount of [10_000_000_000_000_001n, 2n ** 63n, -1n, 0n]) expect(db.isRowFault(await failure(give(a, amount)))).toBe(true);
    await give(a, 10_000_000_000_000_000n);
    expect(await purses(`cash/${a}`)).toEqual({ [`cash/${a}`]: ['19999999999999999', '0'] });
  });

  test('the chain can be verified by whoever reads the tables', async () => {
    const a = await account(100n, 50n);
    await move(a, 1, 1, 150n);
    const call = closedCall({
      account: a,
      promo: 50n,
      attempts: [
        { hotkey: '5V1', cost: 60n },
        { hotkey: '5V2', cost: 33n },
      ],
    });
    await db.flushCalls(d, [call]);
    await db.refundCall(d, { callId: call.callId, amount: 1n, ref: `refund-${a}`, reason: 'née “x”\t\\' });
    const rows = await books.sql<Link>(
      `select t.*, (extract(epoch from created_at) * 1000)::bigint as ms, encode(prev_hash, 'hex') as prev, encode(hash, 'hex') as hash,
        (select json_agg(json_build_array(purse_id, amount::text)) from entries e where e.transfer_id = t.id) as entries
       from transfers t where owner = $1 order by t.n`,
      [a],
    );
    expect(rows.map((row) => row.kind)).toEqual(['credit', 'promo', 'capture', 'refund']);
    let prev = '00'.repeat(32);
    for (const row of rows) {
      expect(row.prev).toBe(prev);
      expect(hashOf(row)).toBe(row.hash);
      prev = row.hash;
    }
  });
});

interface Link extends Record<string, unknown> {
  id: string;
  kind: string;
  ref: string;
  owner: string;
  n: string;
  call_id: string | null;
  reason: string;
  ms: string;
  prev: string;
  hash: string;
  entries: [string, string][];
}

/** As `docs/books.md` tells an outsider. */
function hashOf(t: Link): string {
  const head = ['ripcord transfer 1', t.id, t.kind, t.ref, t.owner, t.n, t.call_id ?? '-', JSON.stringify(t.reason), t.ms, t.prev];
  const entries = t.entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([purse, amount]) => `${purse} ${amount}`);
  return createHash('sha256')
    .update([...head, ...entries].join('\n'))
    .digest('hex');
}

describe('leases', () => {
  test('take what there is, promo first, and give back', async () => {
    const a = await account(100n, 30n);
    expect(await move(a, 1, 1, 50n)).toEqual({
      kind: 'ok',
      epoch: 1,
      n: 1,
      cashAmount: 20n,
      promoAmount: 30n,
      cashAvailable: 80n,
      promoAvailable: 0n,
    });
    expect(await move(a, 1, 2, 500n)).toMatchObject({ kind: 'ok', n: 2, cashAmount: 100n, promoAmount: 30n, cashAvailable: 0n });
    expect(await move(a, 1, 3, 500n)).toMatchObject({ kind: 'ok', n: 3, cashAmount: 100n });
    expect(await move(a, 1, 4, -1n, 40n, 10n)).toMatchObject({
      n: 4,
      cashAmount: 60n,
      promoAmount: 20n,
      cashAvailable: 40n,
      promoAvailable: 10n,
    });
    expect(await move(a, 1, 5, 0n, 7n, 7n)).toMatchObject({ kind: 'ok', n: 5, cashAmount: 60n, promoAmount: 20n });
    expect(await purses(`%/${a}`)).toEqual({ [`cash/${a}`]: ['100', '60'], [`promo/${a}`]: ['30', '20'] });
  });

  test('the same move again changes nothing, at once or in a race', async () => {
    const a = await account(100n);
    const answers = await Promise.all(Array.from({ length: 8 }, () => move(a, 1, 1, 60n)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await move(a, 1, 1, 999n)).toMatchObject({ kind: 'ok', n: 1, cashAmount: 60n, cashAvailable: 40n });
  });

  test('a move out of order is stale', async () => {
    const a = await account(100n);
    expect(await move(a, 1, 2, 10n)).toMatchObject({ kind: 'stale', epoch: 0, n: 0, cashAmount: 0n, cashAvailable: 100n });
    await move(a, 1, 1, 10n);
    await move(a, 1, 2, 10n);
    expect(await move(a, 1, 1, 10n)).toMatchObject({ kind: 'stale', epoch: 1, n: 2, cashAmount: 20n });
    expect(await move(a, 1, 4, 10n)).toMatchObject({ kind: 'stale', epoch: 1, n: 2 });
    expect(await move('acc_nobody', 1, 1, 10n)).toMatchObject({ kind: 'ok', epoch: 1, cashAmount: 0n, promoAvailable: 0n });
  });

  test('a higher epoch opens a new lease; the older one keeps its credit until it is fenced', async () => {
    const a = await account(100n);
    await move(a, 1, 1, 60n);
    expect(await move(a, 3, 1, 60n)).toMatchObject({ kind: 'ok', epoch: 3, cashAmount: 40n, cashAvailable: 0n });
    expect(await move(a, 1, 2, 5n)).toMatchObject({ kind: 'stale', epoch: 3, n: 1 });
    expect(await db.flushCalls(d, [closedCall({ account: a, epoch: 1, attempts: [{ hotkey: '5L', cost: 15n }] })])).toEqual({
      taken: 1,
      known: 0,
    });
    expect(await db.fenceLease(d, a, 1)).toEqual({ cash: 45n, promo: 0n });
    expect(await db.fenceLease(d, a, 1)).toEqual({ cash: 0n, promo: 0n });
    expect(await purses(`cash/${a}`)).toEqual({ [`cash/${a}`]: ['85', '40'] });
    expect(await move(a, 3, 2, 100n)).toMatchObject({ kind: 'ok', cashAmount: 85n, cashAvailable: 0n });
    await db.fenceLease(d, a, 3);
    expect(await move(a, 3, 2, 100n)).toMatchObject({ kind: 'stale', epoch: 3, n: 2, cashAvailable: 85n });
    expect(db.isUnknown(await failure(db.fenceLease(d, a, 2)))).toBe(true);
  });

  test('no more is given back than is unspent', async () => {
    const a = await account(100n);
    await move(a, 1, 1, 100n);
    await db.flushCalls(d, [closedCall({ account: a, attempts: [{ hotkey: '5L', cost: 70n }] })]);
    const error = await failure(move(a, 1, 2, -31n, 31n));
    expect(db.isUncovered(error)).toBe(true);
    expect(db.sqlState(await failure(move(a, 1, 2, -1n, -5n)))).toBe('22023');
    expect(await move(a, 1, 2, -30n, 30n)).toMatchObject({ cashAmount: 70n, cashAvailable: 30n });
  });
});

describe('closed calls', () => {
  test('batches again, overlapping, reordered, doubled and at once are each call once', async () => {
    const a = await account(100_000n, 1000n);
    await move(a, 1, 1, 101_000n);
    const calls = Array.from({ length: 120 }, (_, i) =>
      closedCall({
        account: a,
        promo: BigInt(i % 3),
        attempts: [
          { hotkey: `5F${i % 4}`, cost: BigInt(i) },
          { hotkey: '5F9', cost: 3n },
        ],
      }),
    );
    const batches = [calls.slice(0, 70), calls.slice(40).toReversed(), [...calls, ...calls], calls.slice(60, 61), calls.toReversed()];
    const answers = await Promise.all(batches.map((batch) => db.flushCalls(d, batch)));
    expect(answers.reduce((sum, { taken }) => sum + taken, 0)).toBe(120);
    expect(answers.map(({ taken, known }) => taken + known)).toEqual(batches.map((batch) => batch.length));
    expect(await db.flushCalls(d, [])).toEqual({ taken: 0, known: 0 });
    const cost = calls.reduce((sum, c) => sum + c.costNanousd, 0n);
    const promo = calls.reduce((sum, c) => sum + c.promoNanousd, 0n);
    expect(await purses(`%/${a}`)).toEqual({
      [`cash/${a}`]: [String(100_000n - cost + promo), String(100_000n - cost + promo)],
      [`promo/${a}`]: [String(1000n - promo), String(1000n - promo)],
    });
    const [row] = await books.sql('select count(*)::int as n, sum(cost_nanousd)::text as cost from usage where account_id = $1', [a]);
    expect(row).toEqual({ n: 240, cost: String(cost) });
  });

  test('what a call did is kept with every digit', async () => {
    const a = await account(9_900_000_000_000_001n);
    await move(a, 1, 1, 9_900_000_000_000_001n);
    const call = closedCall({
      account: a,
      hold: 9_900_000_000_000_001n,
      attempts: [{ hotkey: '5D', cost: 9_900_000_000_000_001n }],
    });
    await db.flushCalls(d, [call]);
    expect(await db.listUsageOfCall(d, call.callId)).toMatchObject([
      { ...call.attempts[0], startedAt: new Date(call.attempts[0]?.startedAt ?? 0), shareNanousd: 8_910_000_000_000_000n },
    ]);
    const [row] = await books.sql(
      'select cost_nanousd, attempts, opened_at, closed_at, fee_bps, price_version from calls where call_id = $1',
      [call.callId],
    );
    const { openedAt, closedAt, priceVersion } = call;
    expect(row).toMatchObject({ cost_nanousd: '9900000000000001', attempts: 1, fee_bps: 1000, price_version: priceVersion });
    expect(row).toMatchObject({ opened_at: new Date(openedAt), closed_at: new Date(closedAt) });
  });

  test('a call that cost nothing needs no lease', async () => {
    const a = await account(0n);
    const call = closedCall({ account: a, epoch: null, attempts: [{ hotkey: '5Z', cost: 0n }] });
    expect(await db.flushCalls(d, [call, closedCall({ account: a, epoch: null, attempts: [] })])).toEqual({ taken: 2, known: 0 });
    expect(await books.sql('select transfer_id from calls where account_id = $1', [a])).toEqual([
      { transfer_id: null },
      { transfer_id: null },
    ]);
    expect(await books.sql('select id from transfers where owner = $1', [a])).toEqual([]);
  });

  test('a batch of several accounts', async () => {
    const [a, b] = [await account(100n), await account(100n)];
    await Promise.all([move(a, 1, 1, 100n), move(b, 1, 1, 100n)]);
    const calls = [a, b, a].map((of) => closedCall({ account: of, attempts: [{ hotkey: '5Z', cost: 10n }] }));
    expect(await db.flushCalls(d, calls)).toEqual({ taken: 3, known: 0 });
    expect(await purses(`cash/${a}`)).toEqual({ [`cash/${a}`]: ['80', '80'] });
    expect(await purses(`cash/${b}`)).toEqual({ [`cash/${b}`]: ['90', '90'] });
  });

  type Bend = (call: db.CallRecord) => Partial<db.CallRecord> | { attempts: unknown };
  const attempt =
    (change: object): Bend =>
    (call) => ({ attempts: call.attempts.map((a) => ({ ...a, ...change })) });
  test.each<[string, Bend]>([
    ['an id that is no UUID', () => ({ callId: 'nope' })],
    ['text with a zero', () => ({ code: 'a\u0000b' })],
    ['a kind nobody knows', () => ({ kind: 'gift' as 'call' })],
    ['an amount out of range', () => ({ costNanousd: 2n ** 63n })],
    ['a negative cost', attempt({ costNanousd: -1n })],
    ['a fraction', attempt({ bytes: 1.5 })],
    ['a missing field', attempt({ hotkey: undefined })],
    ['a hotkey that is no name', attempt({ hotkey: 'a/b' })],
    ['a number out of range', attempt({ firstByteMs: 2 ** 40 })],
    ['no attempts at all', () => ({ attempts: undefined })],
    ['a cost without attempts', () => ({ attempts: [] })],
    ['a cost above the hold', () => ({ holdNanousd: 99n })],
    ['a cost that is not its attempts', () => ({ costNanousd: 99n, cashNanousd: 99n })],
    ['parts that are not the cost', () => ({ cashNanousd: 99n })],
    ['a share that is not its due', attempt({ shareNanousd: 91n })],
    ['more promo than was leased', () => ({ cashNanousd: 90n, promoNanousd: 10n })],
    ['a call of another account', () => ({ callId: strangers })],
  ])('%s fails its whole batch and is known as the fault of a row', async (_, bend) => {
    const a = await account(1000n);
    await move(a, 1, 1, 1000n);
    const good = closedCall({ account: a });
    const bad = closedCall({ account: a });
    const error = await failure(db.flushCalls(d, [good, { ...bad, ...(bend(bad) as Partial<db.CallRecord>) }]));
    expect(error).toBeInstanceOf(Error);
    expect(db.isRowFault(error), String((error as Error).cause)).toBe(true);
    expect(await purses(`cash/${a}`)).toEqual({ [`cash/${a}`]: ['1000', '1000'] });
    expect(await db.flushCalls(d, [good])).toEqual({ taken: 1, known: 0 });
  });

  let strangers: string;
  beforeAll(async () => {
    const call = closedCall({ account: await account(0n), epoch: null, attempts: [] });
    strangers = call.callId;
    await db.flushCalls(d, [call]);
  });

  test('calls of a fenced lease are refused as such; known ones are not', async () => {
    const a = await account(1000n);
    await move(a, 1, 1, 500n);
    const before = closedCall({ account: a });
    await db.flushCalls(d, [before]);
    await db.fenceLease(d, a, 1);
    await move(a, 2, 1, 500n);
    expect(await db.flushCalls(d, [before])).toEqual({ taken: 0, known: 1 });
    const error = await failure(db.flushCalls(d, [before, closedCall({ account: a })]));
    expect(db.isFenced(error)).toBe(true);
    expect(db.isRowFault(error)).toBe(false);
    expect(db.isFenced(await failure(db.flushCalls(d, [closedCall({ account: a, epoch: 9 })])))).toBe(true);
    expect(await db.flushCalls(d, [closedCall({ account: a, epoch: 2 })])).toEqual({ taken: 1, known: 0 });
  });
});

describe('earnings', () => {
  async function earn(hotkey: string, ...costs: bigint[]): Promise<void> {
    const a = await account(10_000n);
    await move(a, 1, 1, 10_000n);
    await db.flushCalls(
      d,
      costs.map((cost) => closedCall({ account: a, feeBps: 0, attempts: [{ hotkey, cost }] })),
    );
  }
  const inHours = (hours: number) => new Date(Date.now() + hours * HOUR);

  test('wait 72 hours, then are payable, once', async () => {
    await earn('5E', 100n, 20n);
    expect(await purses('%/5E')).toEqual({ 'pending/5E': ['0', '0'] });
    await Promise.all([foldAll(), foldAll(), foldAll()]);
    expect(await purses('%/5E')).toEqual({ 'pending/5E': ['120', '0'] });
    await db.matureEarnings(d, inHours(71.9), 100);
    expect(await purses('%/5E')).toEqual({ 'pending/5E': ['120', '0'] });
    await Promise.all([db.matureEarnings(d, inHours(74), 100), db.matureEarnings(d, inHours(74), 100)]);
    expect(await purses('%/5E')).toEqual({ 'payable/5E': ['120', '0'], 'pending/5E': ['0', '0'] });
    await earn('5E', 7n);
    await foldAll();
    expect(await db.matureEarnings(d, inHours(74), 1)).toBe(1);
    expect(await db.matureEarnings(d, inHours(74), 100)).toBe(0);
    expect(await purses('%/5E')).toEqual({ 'payable/5E': ['127', '0'], 'pending/5E': ['0', '0'] });
  });

  test('a forfeit takes pending and payable, what waits to be folded too, and nothing in flight', async () => {
    await earn('5C', 100n);
    await foldAll();
    await db.matureEarnings(d, inHours(74), 100);
    const begin = { 'payable/5C': -40n, 'in_flight/5C': 40n };
    await db.postTransfer(d, { id: crypto.randomUUID(), kind: 'payout_begin', ref: 'payout-5C', owner: '5C', entries: begin, reason: '' });
    await earn('5C', 11n);
    await foldAll();
    await earn('5C', 5n);
    expect(await db.forfeit(d, { hotkey: '5C', reason: 'forged receipts', ref: 'forfeit-5C' })).toBe(76n);
    expect(await db.forfeit(d, { hotkey: '5C', reason: 'forged receipts', ref: 'forfeit-5C' })).toBe(76n);
    expect(await purses('%/5C')).toEqual({ 'in_flight/5C': ['40', '0'], 'payable/5C': ['0', '0'], 'pending/5C': ['0', '0'] });
    expect(await db.forfeit(d, { hotkey: '5C', reason: '', ref: 'forfeit-5C-2' })).toBe(0n);
    expect(await db.forfeit(d, { hotkey: '5Nobody', reason: '', ref: 'forfeit-nobody' })).toBe(0n);
    const end = { 'in_flight/5C': -40n, operator_clearing: 40n };
    await db.postTransfer(d, { id: crypto.randomUUID(), kind: 'payout_paid', ref: 'paid-5C', owner: '5C', entries: end, reason: '' });
  });

  test('a forfeit leaves no hours behind', async () => {
    await earn('5H', 50n);
    await foldAll();
    await db.forfeit(d, { hotkey: '5H', reason: '', ref: 'forfeit-5H' });
    expect(await books.sql(`select * from maturing where purse_id = 'pending/5H'`)).toEqual([]);
  });
});

describe('refunds', () => {
  test('give back cash before promo, in parts, never more than was paid', async () => {
    const a = await account(60n, 40n);
    await move(a, 1, 1, 100n);
    const call = closedCall({ account: a, promo: 40n, attempts: [{ hotkey: '5R', cost: 100n }] });
    await db.flushCalls(d, [call]);
    const refund = (amount: bigint, ref: string) => db.refundCall(d, { callId: call.callId, amount, ref: `${ref}-${a}`, reason: 'late' });
    const first = await refund(30n, 'a');
    expect(await refund(30n, 'a')).toBe(first);
    expect(db.isConflict(await failure(refund(31n, 'a')))).toBe(true);
    expect(await purses(`%/${a}`)).toEqual({ [`cash/${a}`]: ['30', '0'], [`promo/${a}`]: ['0', '0'] });
    expect(db.isUncovered(await failure(refund(71n, 'b')))).toBe(true);
    const racers = await Promise.all(Array.from({ length: 5 }, (_, i) => failure(refund(40n, `r${i}`))));
    expect(racers.filter((error) => error === null)).toHaveLength(1);
    expect(await purses(`%/${a}`)).toEqual({ [`cash/${a}`]: ['60', '0'], [`promo/${a}`]: ['10', '0'] });
    expect(db.isUncovered(await failure(refund(0n, 'c')))).toBe(true);
    expect(db.isUncovered(await failure(refund(-5n, 'd')))).toBe(true);
    expect(db.isUnknown(await failure(db.refundCall(d, { callId: crypto.randomUUID(), amount: 1n, ref: 'x', reason: '' })))).toBe(true);
  });
});
