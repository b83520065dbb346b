/** Somebody with SQL in hand cannot commit a wrong book. Each case is one transaction; the state it trips on is what stopped it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { query } from '../../../db/native.ts';
import { attempt, brokenOf, openBooks, type Books } from './books.ts';
import { closedCall } from './records.ts';

const FORBIDDEN = 'RC403';
const CHECK = '23514';
const NO_PARENT = '23503';
const DUPLICATE = '23505';

const X = '00000000-0000-4000-8000-00000000000a';
const CALL = '00000000-0000-7000-8000-000000000001';

let books: Books;
/** The transfer that gave acc_1 its money, and the capture of `CALL`. */
let credit: string;
let capture: string;

beforeAll(async () => {
  books = await openBooks();
  const { d } = books;
  credit = await post('credit', 'r1', 'acc_1', { operator_clearing: -1000n, 'cash/acc_1': 1000n });
  await post('promo', 'r2', 'acc_1', { promo_fund: -100n, 'promo/acc_1': 100n });
  await db.moveLease(d, { accountId: 'acc_1', epoch: 1, n: 1, cash: 0n, promo: 0n, want: 600n });
  await db.flushCalls(d, [closedCall({ id: CALL, attempts: [{ hotkey: '5M', cost: 101n }], promo: 50n })]);
  const [row] = await books.sql<{ transfer_id: string }>('select transfer_id from calls');
  capture = row?.transfer_id ?? '';
  await db.foldEntries(d, 1000);
  await db.matureEarnings(d, new Date(Date.now() + 80 * 3_600_000), 10);
});

afterAll(() => books.close());

function post(kind: db.TransferKind, ref: string, owner: string, entries: Record<string, bigint>): Promise<string> {
  return db.postTransfer(books.d, { id: crypto.randomUUID(), kind, ref, owner, entries, reason: '' });
}

const transfer = (kind: string, owner = 'acc_1', id = X) =>
  `insert into transfers (id, kind, ref, owner) values ('${id}', '${kind}', 'by-hand', '${owner}')`;
const entry = (purse: string, amount: number, id = X) => `insert into entries values ('${id}', '${purse}', ${amount})`;
const lease = (set: string) => `update leases set ${set} where account_id = 'acc_1'`;
/** A row like another, but for some columns. */
const like = (table: string, change: Record<string, string>, where: string) => {
  const patch = Object.entries(change).map(([name, value]) => `'${name}', ${value}`);
  return `insert into ${table} select (jsonb_populate_record(t, jsonb_build_object(${patch.join(', ')}))).* from ${table} t where ${where}`;
};
const callLike = (change: Record<string, string>) => like('calls', { call_id: `'${X}'::text`, ...change }, `call_id = '${CALL}'`);
const usageLike = (change: Record<string, string>) => like('usage', { call_id: `'${X}'::text`, ...change }, `call_id = '${CALL}'`);

/** A column of each table that stays. */
const COLUMN = {
  transfers: 'reason',
  entries: 'amount',
  calls: 'cost_nanousd',
  usage: 'cost_nanousd',
  refunds: 'amount',
  flows: 'kind',
  prices: 'fee_bps',
  rates: 'nanousd',
  payout_addresses: 'address',
};

const cases: [what: string, state: string, words: string, ...statements: (string | (() => string))[]][] = [
  [
    'a transfer that does not add up',
    CHECK,
    'add up to zero',
    entry('operator_clearing', -10),
    entry('cash/acc_1', 11),
    transfer('credit'),
  ],
  ['a transfer of one entry', CHECK, 'add up to zero', entry('cash/acc_1', 11), transfer('credit')],
  ['a transfer without entries', CHECK, 'add up to zero', transfer('credit')],
  ['an entry of nothing', CHECK, 'entries_amount', entry('cash/acc_1', 0)],
  ['entries without a transfer', NO_PARENT, 'part of no transfer', entry('operator_clearing', -10), entry('cash/acc_1', 10)],
  ['an entry for a transfer of before', FORBIDDEN, 'is sealed', () => entry('cash/acc_1', 5, credit).replace('acc_1', 'acc_2')],
  [
    'an entry after its transfer, constraints made immediate',
    FORBIDDEN,
    'is sealed',
    entry('operator_clearing', -10),
    entry('cash/acc_1', 10),
    transfer('credit'),
    'set constraints all immediate',
    entry('fee', 10),
  ],
  ['a transfer that is there already, posted again', DUPLICATE, 'transfers_pkey', () => transfer('credit', 'acc_1', credit)],
  ['… and quietly', CHECK, 'add up to zero', entry('cash/acc_2', 1), () => `${transfer('credit', 'acc_2', X)} on conflict do nothing`],
  [
    'a ref that is taken, quietly',
    NO_PARENT,
    'part of no transfer',
    entry('operator_clearing', -10),
    entry('cash/acc_1', 10),
    transfer('credit').replace('by-hand', 'r1') + ' on conflict do nothing',
  ],
  [
    'two transfers in one statement',
    DUPLICATE,
    'transfers_chain',
    entry('operator_clearing', -10),
    entry('cash/acc_1', 10),
    entry('operator_clearing', -10, CALL),
    entry('cash/acc_1', 10, CALL),
    `${transfer('credit')}, ('${CALL}', 'credit', 'by-hand-2', 'acc_1')`,
  ],
  ['a kind that is not known', NO_PARENT, 'transfers_kind', entry('operator_clearing', -10), entry('cash/acc_1', 10), transfer('gift')],
  ['a flow that is not foreseen', CHECK, 'out of fee', entry('fee', -10), entry('cash/acc_1', 10), transfer('credit')],
  ['a flow of somebody else', CHECK, 'is not of acc_1', entry('operator_clearing', -10), entry('cash/acc_2', 10), transfer('credit')],
  ['a new flow', FORBIDDEN, 'insert of flows', `insert into flows values ('gift', '{fee}', '{cash}')`],
  ['overdraw of a purse', CHECK, 'purses_floor', entry('payable/5M', -91), entry('in_flight/5M', 91), transfer('payout_begin', '5M')],
  ['a purse of no kind', CHECK, 'purses_id', `insert into purses (id) values ('gold/acc_1')`],
  ['a purse with money in it from the start', FORBIDDEN, 'insert of purses', `insert into purses (id, posted) values ('cash/acc_9', 5)`],
  ['a purse that claims to have no floor', '428C9', 'floor_zero', `insert into purses (id, floor_zero) values ('cash/acc_9', false)`],
  ['posted by hand', FORBIDDEN, 'update of purses', `update purses set posted = posted + 1 where id = 'cash/acc_1'`],
  ['held by hand', FORBIDDEN, 'update of purses', `update purses set held = 0`],
  ['a purse renamed', FORBIDDEN, 'update of purses', `update purses set id = 'cash/acc_3' where id = 'cash/acc_1'`],
  ['a purse deleted', FORBIDDEN, 'delete of purses', `delete from purses`],
  ['a chain by hand', FORBIDDEN, 'update of chains', `update chains set n = 0`],
  ['a chain that begins in the middle', FORBIDDEN, 'insert of chains', `insert into chains (owner, n) values ('acc_7', 5)`],
  ['a credit queued twice', FORBIDDEN, 'insert of unfolded', () => `insert into unfolded values ('${capture}', 'fee')`],
  ['the queue emptied', FORBIDDEN, 'truncate of unfolded', 'truncate unfolded'],
  ['earnings made older', FORBIDDEN, 'insert of maturing', `insert into maturing values ('pending/5M', now() - interval '5 days', 5)`],
  ...Object.entries(COLUMN).flatMap(([table, column]): typeof cases => [
    [`an update of ${table}`, FORBIDDEN, `update of ${table}`, `update ${table} set ${column} = ${column}`],
    [`a delete from ${table}`, FORBIDDEN, `delete of ${table}`, `delete from ${table}`],
    [`a truncate of ${table}`, FORBIDDEN, 'truncate of ', `truncate ${table} cascade`],
  ]),
  ['a lease beyond what there is', CHECK, 'purses_floor', lease('cash_amount = 1051')],
  ['a lease below what is spent', CHECK, 'leases_spent', lease('promo_amount = 49')],
  ['spent by hand', FORBIDDEN, 'follows from its calls', lease('cash_spent = 0')],
  [
    'a lease that begins spent',
    FORBIDDEN,
    'begins open and unspent',
    `insert into leases (account_id, epoch, n, cash_amount, cash_spent) values ('acc_1', 2, 1, 5, 5)`,
  ],
  ['a second open lease', DUPLICATE, 'leases_open', `insert into leases (account_id, epoch, n) values ('acc_1', 2, 1)`],
  ['a lease opened again', FORBIDDEN, 'does not go back', lease(`state = 'closing'`), lease(`state = 'open'`)],
  ['a lease deleted', FORBIDDEN, 'delete of leases', 'delete from leases'],
  ['a second capture of a call', DUPLICATE, 'calls_pkey', callLike({ call_id: `'${CALL}'::text`, transfer_id: `'${X}'::text` })],
  ['a call added to a capture of before', FORBIDDEN, 'is sealed', callLike({}), usageLike({})],
  ['a call without its capture', NO_PARENT, 'part of no capture', callLike({ transfer_id: `'${X}'::text` })],
  [
    'a call paid by a transfer of another kind',
    NO_PARENT,
    'no capture transfer',
    callLike({ transfer_id: `'${X}'::text` }),
    usageLike({}),
    entry('operator_clearing', -10),
    entry('cash/acc_1', 10),
    transfer('credit'),
  ],
  [
    'a refund that is a credit',
    NO_PARENT,
    'no refund transfer',
    `insert into refunds values ('${X}', '${CALL}', 500)`,
    entry('operator_clearing', -10),
    entry('cash/acc_1', 10),
    transfer('credit'),
  ],
  [
    'a transfer changed on conflict',
    FORBIDDEN,
    'update of transfers',
    () => `${transfer('credit', 'acc_1', credit)} on conflict (id) do update set reason = 'other'`,
  ],
  ['a call above its hold', CHECK, 'calls_hold', callLike({ transfer_id: `'${X}'::text`, hold_nanousd: '100' })],
  ['a call whose parts are not its cost', CHECK, 'calls_cost', callLike({ transfer_id: `'${X}'::text`, cash_nanousd: '52' })],
  ['a call that nobody paid', CHECK, 'calls_paid', callLike({ transfer_id: 'null' })],
  [
    'a call of a lease that is not there',
    'RC410',
    'lease 7 of acc_1 is closed',
    callLike({ transfer_id: `'${X}'::text`, lease_epoch: '7' }),
  ],
  [
    'a call beyond its lease',
    CHECK,
    'leases_spent',
    callLike({ transfer_id: `'${X}'::text`, hold_nanousd: '700', cost_nanousd: '600', cash_nanousd: '600', promo_nanousd: '0' }),
  ],
  ['a call of a fenced lease', 'RC410', 'lease 1 of acc_1 is closed', lease(`state = 'closed'`), callLike({ transfer_id: `'${X}'::text` })],
  ['an attempt added to a paid call', CHECK, 'without its call', () => like('usage', { attempt: '1' }, `call_id = '${CALL}'`)],
  ['an attempt of no call', CHECK, 'without its call', usageLike({ cost_nanousd: '0', share_nanousd: '0' })],
  [
    'a free attempt added to a paid call',
    CHECK,
    'without its call',
    () => like('usage', { attempt: '1', cost_nanousd: '0', share_nanousd: '0' }, `call_id = '${CALL}'`),
  ],
  ['a share above its cost', CHECK, 'usage_share', usageLike({ share_nanousd: '102' })],
  [
    'a capture with too few attempts',
    CHECK,
    'attempts add up to',
    callLike({ transfer_id: `'${X}'::text`, attempts: '2' }),
    usageLike({}),
    ...captured(90, 11),
  ],
  ['a capture of a call without attempts', CHECK, 'attempts add up to', callLike({ transfer_id: `'${X}'::text` }), ...captured(90, 11)],
  [
    'a capture that gives the miner more',
    CHECK,
    'what its calls cost',
    callLike({ transfer_id: `'${X}'::text` }),
    usageLike({}),
    ...captured(91, 10),
  ],
  [
    'a capture with an unfair share',
    CHECK,
    'attempts add up to',
    callLike({ transfer_id: `'${X}'::text` }),
    usageLike({ share_nanousd: '91' }),
    ...captured(91, 10),
  ],
  [
    'a capture for another miner',
    CHECK,
    'what its calls cost',
    callLike({ transfer_id: `'${X}'::text` }),
    usageLike({}),
    ...captured(90, 11, '5N'),
  ],
  ['a capture without calls', CHECK, 'what its calls cost', ...captured(90, 11)],
  [
    'an attempt after its capture',
    CHECK,
    'without its call',
    callLike({ transfer_id: `'${X}'::text` }),
    usageLike({}),
    ...captured(90, 11),
    usageLike({ attempt: '1' }),
  ],
  [
    'a refund above the capture',
    'RC402',
    'beyond what the call cost',
    `insert into refunds values ('${X}', '${CALL}', 102)`,
    entry('loss', -102),
    entry('cash/acc_1', 52),
    entry('promo/acc_1', 50),
    refund(),
  ],
  ['a refund without its record', 'RC402', 'of no call', entry('loss', -10), entry('cash/acc_1', 10), refund()],
  ['a refund record without a refund', NO_PARENT, 'part of no refund', `insert into refunds values ('${X}', '${CALL}', 1)`],
  [
    'a refund of promo as cash',
    CHECK,
    'where the money came from',
    `insert into refunds values ('${X}', '${CALL}', 101)`,
    entry('loss', -101),
    entry('cash/acc_1', 101),
    refund(),
  ],
  [
    'two refunds at once that exceed the capture',
    'RC402',
    'beyond what the call cost',
    `insert into refunds values ('${X}', '${CALL}', 60), ('${CALL}', '${CALL}', 60)`,
    entry('loss', -60),
    entry('cash/acc_1', 51),
    entry('promo/acc_1', 9),
    refund(),
  ],
];

function captured(share: number, fee: number, hotkey = '5M'): string[] {
  return [entry('cash/acc_1', -51), entry('promo/acc_1', -50), entry(`pending/${hotkey}`, share), entry('fee', fee), transfer('capture')];
}

function refund(): string {
  return `insert into transfers (id, kind, ref, owner, call_id) values ('${X}', 'refund', 'by-hand', 'acc_1', '${CALL}')`;
}

test.each(cases)('%s is refused: %s, %s', async (_, state, words, ...statements) => {
  const before = await picture();
  const refused = await books.attempt(...statements.map((s) => (typeof s === 'string' ? s : s())));
  expect(refused?.state, refused?.words).toBe(state);
  expect(refused?.words).toContain(words);
  expect(await picture()).toEqual(before);
});

test('the same by hand, but right, is taken', async () => {
  expect(await books.attempt(entry('operator_clearing', -10), entry('cash/acc_1', 10), transfer('credit'))).toBeNull();
  const right = callLike({ transfer_id: `'${CALL}'::text` });
  expect(
    await books.attempt(right, usageLike({}), ...captured(90, 11).map((s) => s.replaceAll(X, CALL).replace('by-hand', 'by-hand-2'))),
  ).toBeNull();
  expect(await books.attempt('delete from unfolded')).toBeNull();
  expect(await brokenOf(books.d)).toEqual([]);
});

test('a role that owns nothing uses the ledger through its functions, and cannot write past them with triggers of its own', async () => {
  const docs = await readFile(join(import.meta.dirname, '../../../docs/books.md'), 'utf8');
  const grants = /```sql\n([^`]*ripcord_edge[^`]*)```/.exec(docs)?.[1] ?? '';
  await books.sql(`create role ripcord_edge login password 'edge'; ${grants}`);
  const { postgres } = books;
  const url = Object.assign(new URL(postgres.url), { username: 'ripcord_edge', password: 'edge' }).href;
  db.useNativeDriver(query);
  const d = db.connect({ DATABASE_URL: url, HYPERDRIVE: { connectionString: url } });
  const owner = 'acc_edge';
  const entries = { operator_clearing: -500n, [`cash/${owner}`]: 500n };
  await db.postTransfer(d, { id: crypto.randomUUID(), kind: 'credit', ref: 'edge', owner, entries, reason: '' });
  expect(await db.moveLease(d, { accountId: owner, epoch: 1, n: 1, cash: 0n, promo: 0n, want: 300n })).toMatchObject({
    kind: 'ok',
    cashAmount: 300n,
  });
  const call = closedCall({ account: owner });
  expect(await db.flushCalls(d, [call])).toEqual({ taken: 1, known: 0 });
  await db.refundCall(d, { callId: call.callId, amount: null, ref: 'edge-refund', reason: '' });
  await db.foldEntries(d, 1000);
  await db.matureEarnings(d, new Date(Date.now() + 80 * 3_600_000), 10);
  await db.fenceLease(d, owner, 1);
  expect(await brokenOf(d)).toEqual([]);
  const trick = [
    'create temp table lever (x int)',
    `create function pg_temp.pull() returns trigger language plpgsql as
      $$ begin update public.purses set posted = posted + 1000 where id = 'cash/acc_edge'; return null; end $$`,
    'create trigger pull after insert on lever for each row execute function pg_temp.pull()',
    'insert into lever values (1)',
  ];
  expect(await attempt(url, trick)).toMatchObject({ state: '42501' });
  // The owner has that lever, as the docs say; whoever looks sees it.
  expect(await books.attempt(...trick)).toBeNull();
  expect((await brokenOf(books.d)).map(({ invariant }) => invariant)).toEqual(['I3']);
});

/** All that money is in. */
async function picture(): Promise<unknown> {
  return books.sql(`select (select jsonb_agg(p order by id) from purses p) as purses, (select jsonb_agg(l) from leases l) as leases,
    (select jsonb_agg(c order by owner) from chains c) as chains, (select jsonb_agg(m) from maturing m) as maturing,
    (select count(*) from entries) as entries, (select count(*) from unfolded) as unfolded, (select count(*) from calls) as calls`);
}
