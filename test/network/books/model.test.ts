/** Random operations on the ledger and on a model of it: the same answers, the same purses after each. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { brokenOf, openBooks, type Books } from './books.ts';
import { Model, Refused, type ModelCall, type Refusal } from './model.ts';
import { closedCall } from './records.ts';

let books: Books;
let runs = 0;

beforeAll(async () => {
  books = await openBooks();
});
afterAll(() => books.close());

const small = fc.bigInt({ min: 0n, max: 40n });
const who = fc.nat({ max: 1 });
const epoch = fc.oneof({ weight: 12, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constantFrom(2, 3) });

/** Accounts, hotkeys and calls by number; a run gives them names of its own. */
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('give'),
      kind: fc.constantFrom('cash', 'promo'),
      who,
      amount: fc.bigInt({ min: 1n, max: 200n }),
      ref: fc.nat({ max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('move'),
      who,
      epoch,
      n: fc.integer({ min: 1, max: 4 }),
      want: fc.bigInt({ min: -1n, max: 90n }),
      cash: small,
      promo: small,
    }),
  },
  {
    weight: 15,
    arbitrary: fc.record({
      do: fc.constant('flush'),
      who,
      calls: fc.array(
        fc.record({
          call: fc.nat({ max: 4 }),
          epoch,
          hold: fc.bigInt({ min: 15n, max: 90n }),
          promo: fc.bigInt({ min: 0n, max: 4n }),
          costs: fc.array(fc.record({ miner: fc.nat({ max: 2 }), cost: fc.bigInt({ min: 0n, max: 12n }) }), { minLength: 1, maxLength: 3 }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fold') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('mature') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forfeit'), miner: fc.nat({ max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fence'), who, epoch }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('refund'), call: fc.nat({ max: 9 }), amount: small }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

/** What lets the rest get anywhere. */
const start = [0, 1].flatMap((i): Operation[] => [
  { do: 'give', kind: 'cash', who: i, amount: 150n, ref: 100 + i },
  { do: 'give', kind: 'promo', who: i, amount: 20n, ref: 200 + i },
  { do: 'move', who: i, epoch: 1, n: 1, want: 60n, cash: 0n, promo: 0n },
]);

test('the ledger does what the model does', async () => {
  const done = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 10, maxLength: 40, size: 'max' }), async (operations) => {
      const names = namesOf(runs++);
      const model = new Model();
      for (const [i, op] of [...start, ...operations].entries()) {
        const said = await outcome(() => onBooks(op, names, i));
        expect(said, `${i}: ${text(op)}`).toEqual(await outcome(() => Promise.resolve(onModel(op, names, model))));
        expect(await pursesOf(names), `after ${i}: ${text(op)}`).toEqual(modelPurses(names, model));
        const what = `${op.do} ${typeof said === 'string' ? said : 'done'}`;
        done.set(what, (done.get(what) ?? 0) + 1);
      }
    }),
    { numRuns: 40, interruptAfterTimeLimit: 60_000 },
  );
  expect(await brokenOf(books.d)).toEqual([]);
  // Otherwise the operations were too wild, or too tame.
  for (const what of ['give', 'move', 'flush', 'refund', 'fence', 'forfeit']) expect(done.get(`${what} done`), what).toBeGreaterThan(5);
  for (const what of ['flush fenced', 'flush uncovered', 'flush row', 'give conflict', 'refund uncovered'])
    expect(done.get(what), what).toBeGreaterThan(0);
});

interface Names {
  account(i: number): string;
  miner(i: number): string;
  call(i: number): string;
  ref(i: number | string): string;
}

function namesOf(run: number): Names {
  const calls = new Map<number, string>();
  return {
    account: (i) => `acc_${run}_${i}`,
    miner: (i) => `5M${run}x${i}`,
    call: (i) => calls.get(i) ?? calls.set(i, crypto.randomUUID()).get(i) ?? '',
    ref: (i) => `ref-${run}-${i}`,
  };
}

type Flush = Extract<Operation, { calls: unknown }>;

/** The calls of an account have numbers of their own; what repeats may say something else. */
function callOf({ who }: Flush, of: Flush['calls'][number], names: Names): ModelCall {
  const cost = of.costs.reduce((sum, c) => sum + c.cost, 0n);
  return {
    id: names.call(of.call * 2 + who),
    account: names.account(who),
    epoch: of.epoch,
    hold: of.hold,
    promo: of.promo < cost ? of.promo : cost,
    attempts: of.costs.map((c) => ({ hotkey: names.miner(c.miner), cost: c.cost })),
  };
}

async function onBooks(op: Operation, names: Names, place: number): Promise<unknown> {
  const { d } = books;
  if ('kind' in op) {
    const [kind, from, to] =
      op.kind === 'cash' ? (['credit', 'operator_clearing', 'cash'] as const) : (['promo', 'promo_fund', 'promo'] as const);
    const owner = names.account(op.who);
    const entries = { [from]: -op.amount, [`${to}/${owner}`]: op.amount };
    await db.postTransfer(d, { id: crypto.randomUUID(), kind, ref: names.ref(op.ref), owner, entries, reason: '' });
    return {};
  }
  if ('want' in op) {
    const { want, cash, promo, n } = op;
    return { kind: (await db.moveLease(d, { accountId: names.account(op.who), epoch: op.epoch, n, want, cash, promo })).kind };
  }
  if ('calls' in op) {
    const records = op.calls.map((c) => callOf(op, c, names)).map((c) => closedCall({ ...c, feeBps: 1500 }));
    return { taken: (await db.flushCalls(d, records)).taken };
  }
  if ('amount' in op) {
    await db.refundCall(d, { callId: names.call(op.call), amount: op.amount, ref: names.ref(`refund-${place}`), reason: '' });
    return {};
  }
  if ('epoch' in op) {
    await db.fenceLease(d, names.account(op.who), op.epoch);
    return {};
  }
  if ('miner' in op)
    return { total: await db.forfeit(d, { hotkey: names.miner(op.miner), reason: '', ref: names.ref(`forfeit-${place}`) }) };
  if (op.do === 'fold') while ((await db.foldEntries(d, 50)) === 50);
  else await db.matureEarnings(d, new Date(Date.now() + 80 * 3_600_000), 1000);
  return {};
}

function onModel(op: Operation, names: Names, model: Model): unknown {
  if ('kind' in op) model.give(op.kind as 'cash' | 'promo', names.account(op.who), op.amount, names.ref(op.ref));
  else if ('want' in op) return { kind: model.move(names.account(op.who), op.epoch, op.n, op.want, op.cash, op.promo) };
  else if ('calls' in op) return { taken: model.flush(op.calls.map((c) => callOf(op, c, names))) };
  else if ('amount' in op) model.refund(names.call(op.call), op.amount);
  else if ('epoch' in op) model.fence(names.account(op.who), op.epoch);
  else if ('miner' in op) return { total: model.forfeit(names.miner(op.miner)) };
  else if (op.do === 'fold') model.fold();
  else model.mature([0, 1, 2].map((i) => names.miner(i)));
  return {};
}

/** What came back, or why nothing did. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    const why = error instanceof Refused ? error.why : refusalOf(error);
    if (why === null) throw error;
    return why;
  }
}

function refusalOf(error: unknown): Refusal | null {
  if (db.isUncovered(error)) return 'uncovered';
  if (db.isConflict(error)) return 'conflict';
  if (db.isFenced(error)) return 'fenced';
  if (db.isUnknown(error)) return 'unknown';
  return db.isRowFault(error) ? 'row' : null;
}

/** Posted and held, of whatever is not empty. */
async function pursesOf(names: Names): Promise<Record<string, string>> {
  const owners = [0, 1, 2].flatMap((i) => [names.account(i), names.miner(i)]);
  const rows = await books.sql<{ id: string; posted: string; held: string }>('select id, posted, held from purses where owner = any($1)', [
    owners,
  ]);
  return filled(rows.map((p) => [p.id, p.posted, p.held]));
}

function modelPurses(names: Names, model: Model): Record<string, string> {
  const accounts = [0, 1].map((i) => names.account(i));
  const own = accounts.flatMap((a) =>
    (['cash', 'promo'] as const).map((kind) => [`${kind}/${a}`, model.of(`${kind}/${a}`), model.held(kind, a)] as const),
  );
  const miners = [0, 1, 2].flatMap((i) => ['pending', 'payable'].map((kind) => `${kind}/${names.miner(i)}`));
  return filled(
    [...own, ...miners.map((id) => [id, model.of(id), 0n] as const)].map(([id, posted, held]) => [id, String(posted), String(held)]),
  );
}

function filled(purses: [id: string, posted: string, held: string][]): Record<string, string> {
  return Object.fromEntries(
    purses
      .filter(([, posted, held]) => posted !== '0' || held !== '0')
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, posted, held]) => [id, `${posted} of which held ${held}`]),
  );
}

function text(op: Operation): string {
  return JSON.stringify(op, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v));
}
