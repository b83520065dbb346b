/** `npm run books` as a process, on a real Postgres. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Failure } from '../../../db/books/failure.ts';
import { parseUsd } from '../../../db/books/usd.ts';
import { showUsd } from '#protocol/usd.ts';
import * as db from '../../../db/index.ts';
import { openBooks, type Books } from './books.ts';
import { closedCall } from './records.ts';

const ROOT = join(import.meta.dirname, '../../..');
const HOTKEY = '5Miner';

let books: Books;
let folder: string;

beforeAll(async () => {
  books = await openBooks();
  folder = await mkdtemp(join(tmpdir(), 'ripcord-books-command-'));
  await db.insertAccount(books.d, { id: 'acc_alice', hotkey: '5Alice', handle: 'alice' });
  await db.insertAccount(books.d, { id: 'acc_bob', hotkey: '5Bob', handle: 'bob' });
});

afterAll(async () => {
  await books.close();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

function run(args: string[], env: Record<string, string> = { DATABASE_URL: books.postgres.url }): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const { DATABASE_URL: _, ...own } = process.env;
    const child = spawn(process.execPath, ['db/books.ts', ...args], { cwd: ROOT, env: { ...own, ...env } });
    const ran: Ran = { code: null, out: '', err: '' };
    child.stdout.on('data', (bytes: Buffer) => (ran.out += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (ran.err += bytes.toString()));
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ran, code }));
  });
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await run([...args, '--json']);
  expect(err).toBe('');
  expect(code).toBe(0);
  return JSON.parse(out) as Record<string, unknown>;
}

test('money in, a call, a refund, a forfeit: each with its answer, and the books that follow', async () => {
  const credit = await json('credit', 'alice', '25.000000001', '--reason', 'invoice 12', '--ref', 'i12');
  expect(credit).toMatchObject({ account: 'acc_alice', kind: 'credit', nanousd: '25000000001', ref: 'books/i12', before: false });
  expect(await json('credit', 'acc_alice', '25.000000001', '--reason', 'invoice 12', '--ref', 'i12')).toEqual({ ...credit, before: true });
  expect(await json('promo', 'alice', '$1', '--reason', 'welcome')).toMatchObject({ kind: 'promo', nanousd: '1000000000' });

  await db.moveLease(books.d, { accountId: 'acc_alice', epoch: 1, n: 1, want: 3_000_000_000n, cash: 0n, promo: 0n });
  const call = closedCall({ account: 'acc_alice', promo: 1_000_000_000n, attempts: [{ hotkey: HOTKEY, cost: 2_000_000_000n }] });
  await db.flushCalls(books.d, [call]);

  expect(await json('refund', call.callId, '0.5', '--reason', 'cut short', '--ref', 'r1')).toMatchObject({ nanousd: '500000000' });
  expect(await json('refund', call.callId, '--reason', 'all of it')).toMatchObject({ nanousd: '1500000000' });
  expect((await run(['refund', call.callId, '--reason', 'more'])).err).toContain('nothing to give back');

  const view = await json();
  expect(view).toMatchObject({ ok: true, sum_nanousd: '0', leases: { open: 1, closing: 0, unspent_nanousd: '1000000000' } });
  expect(view['invariants']).toHaveLength(15);
  expect(view['unfolded']).toMatchObject({ entries: 6 });
  expect(view['trial_balance']).toContainEqual({
    kind: 'cash',
    purses: 1,
    posted_nanousd: '25000000001',
    unfolded_nanousd: '0',
    held_nanousd: '1000000000',
  });

  expect(await json('fence', 'alice', '1')).toEqual({ account: 'acc_alice', epoch: 1, cash_nanousd: '1000000000', promo_nanousd: '0' });
  expect(await json('forfeit', HOTKEY, '--reason', 'forged receipts', '--ref', 'f1')).toMatchObject({ nanousd: '1800000000' });
  expect(await json('forfeit', HOTKEY, '--reason', 'forged receipts', '--ref', 'f1')).toMatchObject({ nanousd: '1800000000' });

  const account = await json('account', 'alice', '--limit', '2');
  expect(account['transfers']).toMatchObject([
    { n: 5, kind: 'refund', call: call.callId, reason: 'all of it' },
    { n: 4, kind: 'refund' },
  ]);
  expect(await json('miner', HOTKEY)).toMatchObject({
    purses: [{ id: `pending/${HOTKEY}`, posted_nanousd: '0' }],
    transfers: [{ kind: 'forfeit' }],
  });

  const rate = ['rate', 'TAO', '412.5', '--source', 'exchange.example', '--at', '2026-01-31T12:00:00Z'];
  expect(await json(...rate)).toEqual(await json(...rate));
  expect(await books.sql('select asset, nanousd, source, at from rates')).toEqual([
    { asset: 'TAO', nanousd: '412500000000', source: 'exchange.example', at: new Date('2026-01-31T12:00:00Z') },
  ]);
});

test('for people: aligned text, no colours in a pipe, nothing of others moves the cursor', async () => {
  expect((await run(['credit', 'bob', '7', '--reason', 'evil\u001b[2Jreason'])).out).toMatch(
    /^bob gets 7\.00 USD of cash\. Transfer [0-9a-f-]{36}\n$/,
  );
  const { out, code } = await run([]);
  expect(code).toBe(0);
  expect(out).toContain('Sum: 0.00');
  expect(out).toContain('The books are right.');
  const statement = await run(['account', 'bob']);
  expect(statement.out).toContain('evil·[2Jreason');
  for (const text of [out, statement.out]) expect(text).not.toContain('\u001b');
});

describe('wrong use is told in one line, and nothing happens', () => {
  test.each<[string[], number, string]>([
    [['credit', 'alice', '-5', '--reason', 'x'], 2, ''],
    [['credit', 'alice', '5EUR', '--reason', 'x'], 2, 'no amount of USD'],
    [['credit', 'alice', '5'], 2, '--reason'],
    [['credit', 'nobody', '5', '--reason', 'x'], 1, 'no account "nobody"'],
    [['credit', 'alice', '5', '--reason', 'x', '--ref', 'two words'], 2, 'A ref is'],
    [['credit', 'alice', '6', '--reason', 'x', '--ref', 'i12'], 1, 'used before'],
    [['credit', 'alice', '5', '--reason', 'x'.repeat(501)], 1, 'transfers_reason'],
    [['refund', 'nope', '1', '--reason', 'x'], 2, 'no id of a call'],
    [['refund', '00000000-0000-7000-8000-000000000000', '1', '--reason', 'x'], 1, 'there is no call'],
    [['fence', 'alice', '0'], 2, 'whole number'],
    [['fence', 'alice', '9'], 1, 'no lease 9'],
    [['rate', 'BTC', '5', '--source', 's'], 2, 'rates of TAO only'],
    [['rate', 'TAO', '5', '--source', 's', '--at', 'yesterday'], 2, 'no time'],
    [['miner', '5Nobody'], 1, 'ever earned'],
    [['--frobnicate'], 2, 'frobnicate'],
  ])('%j', async (args, code, words) => {
    const before = await books.sql('select count(*) from transfers');
    const ran = await run(args);
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err.trim().split('\n')).toHaveLength(1);
    expect(ran.err).toContain(words);
    expect(await books.sql('select count(*) from transfers')).toEqual(before);
  });

  test('as JSON too', async () => {
    const ran = await run(['credit', 'nobody', '5', '--reason', 'x', '--json']);
    expect(JSON.parse(ran.err)).toEqual({ error: { message: 'There is no account "nobody".' } });
  });
});

test('amounts are exact, or refused', () => {
  const taken: [string, bigint, string][] = [
    ['25', 25_000_000_000n, '25.00'],
    ['$0.1', 100_000_000n, '0.10'],
    ['0.000000001', 1n, '0.000000001'],
    ['007.120', 7_120_000_000n, '7.12'],
    ['9007199.254740993', 9_007_199_254_740_993n, '9007199.254740993'],
    ['10000000', 10_000_000_000_000_000n, '10000000.00'],
  ];
  for (const [text, nanousd, shown] of taken) {
    expect(parseUsd(text)).toBe(nanousd);
    expect(showUsd(nanousd)).toBe(shown);
    expect(showUsd(-nanousd)).toBe(`-${shown}`);
  }
  const refused = [
    '',
    ' 5',
    '-5',
    '+5',
    '0',
    '0.00',
    '1e3',
    '1,000',
    '1.',
    '.5',
    '1.2.3',
    '5 EUR',
    '5USD',
    '€5',
    'NaN',
    'Infinity',
    '0x10',
    '٥',
  ];
  for (const text of [...refused, '0.0000000001', '10000000.000000001', '9'.repeat(40)])
    expect(() => parseUsd(text), text).toThrow(Failure);
});

describe('which Postgres', () => {
  test('that of npm start, from its data folder', async () => {
    const { port, password } = new URL(books.postgres.url);
    await mkdir(join(folder, 'data'), { recursive: true });
    await writeFile(join(folder, 'data', 'state.json'), JSON.stringify({ postgresPort: Number(port), postgresPassword: password }));
    expect(await run(['--data', join(folder, 'data'), '--json'], {})).toMatchObject({ code: 0, err: '' });
  });

  test.each<[string, (folder: string) => [string[], Record<string, string>], number, string]>([
    ['none', (at) => [['--data', join(at, 'nowhere')], {}], 2, 'There is no DATABASE_URL'],
    ['one that does not answer', () => [[], { DATABASE_URL: 'postgresql://ripcord:secret@127.0.0.1:1/ripcord' }], 3, 'ECONNREFUSED'],
    [
      'a wrong password',
      () => [[], { DATABASE_URL: books.postgres.url.replace(':test@', ':secret@') }],
      3,
      'password authentication failed',
    ],
    ['no address', () => [[], { DATABASE_URL: 'secret' }], 2, 'no postgres:// address'],
    ['one without tables', () => [[], { DATABASE_URL: books.postgres.url.replace(/ripcord$/, 'postgres') }], 1, 'db:migrate'],
  ])('%s', async (_, ask, code, words) => {
    const ran = await run(...ask(folder));
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.err).toContain(words);
    expect(ran.err).not.toContain('secret');
    expect(ran.err.trim().split('\n')).toHaveLength(1);
  });
});

test('a broken invariant is shown, and ends with 1', async () => {
  await books.sql('alter table purses disable trigger user');
  await books.sql(`update purses set posted = posted + 1 where id = 'cash/acc_bob'`);
  const ran = await run([]);
  expect(ran.code).toBe(1);
  expect(ran.out).toMatch(/I3 +BROKEN +1 +cash\/acc_bob has 7000000001, its entries say 7000000000/);
  expect(ran.out).toMatch(/I8 +BROKEN +3 /);
  expect(ran.out).toContain('The books are wrong.');
  const view = await run(['--json']);
  expect(view.code).toBe(1);
  expect(JSON.parse(view.out)).toMatchObject({ ok: false, sum_nanousd: '1' });
});
