/**
 * The bank test of the ledger: many clients do random things with few accounts while Postgres is killed again and again. Every client
 * repeats what was not answered, as the edge does. Books must be right whenever one looks, and in the end hold exactly what was
 * answered. `node test/network/books/bank.ts --operations 100000 --kills 20` prints one line of figures and exits 1 on any miss.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as db from '../../../db/index.ts';
import { openBooks, type Books } from './books.ts';
import { closedCall } from './records.ts';
import { Random } from '../../sim/random.ts';

export interface BankAsk {
  clients: number;
  accounts: number;
  miners: number;
  /** Of all clients together. */
  operations: number;
  /** How often Postgres gets a SIGKILL, evenly over the operations. */
  kills: number;
  seed: number;
}

/** A mistake made on purpose: in this function of the ledger, this text is replaced. */
export interface Plant {
  in: string;
  find: string;
  put: string;
}

export interface BankFigures {
  operations: number;
  calls: number;
  /** Statements that were not answered, and sent again. */
  repeated: number;
  kills: number;
  /** How often somebody looked at the books meanwhile. */
  looks: number;
  /** What is wrong, in words; none if all is right. */
  faults: string[];
}

/** What an account has done, as answered. Its object is one: moves of its lease come one after the other. */
interface Customer {
  id: string;
  epoch: number;
  n: number;
  /** Unspent credit in hand. */
  cash: bigint;
  promo: bigint;
  /** What older leases had left when their object forgot them. */
  lost: { epoch: number }[];
  closed: db.CallRecord[];
  flushed: Set<string>;
  refunded: Map<string, bigint>;
  given: bigint;
  spent: bigint;
  back: bigint;
  moving: Promise<unknown>;
}

const HOUR = 3_600_000;
/** Operations between two looks at the books. */
const LOOK_EVERY = 150;

export async function runBank(ask: BankAsk, plants: Plant[] = []): Promise<BankFigures> {
  const books = await openBooks({ durable: ask.kills > 0 });
  try {
    for (const plant of plants) await sow(books, plant);
    return await new Bank(ask, books).run();
  } finally {
    await books.close();
  }
}

async function sow(books: Books, { in: name, find, put }: Plant): Promise<void> {
  const [row] = await books.sql<{ text: string }>('select pg_get_functiondef($1::regproc) as text', [name]);
  if (row?.text.includes(find) !== true) throw new Error(`${name} has no ${find}.`);
  await books.sql(row.text.replace(find, put));
}

class Bank {
  readonly #ask: BankAsk;
  readonly #books: Books;
  readonly #random: () => number;
  readonly #customers: Customer[];
  readonly #miners: string[];
  readonly #earned = new Map<string, bigint>();
  readonly #faults: string[] = [];
  #fees = 0n;
  #done = 0;
  #repeated = 0;
  #looks = 0;
  #kills = 0;

  constructor(ask: BankAsk, books: Books) {
    this.#ask = ask;
    this.#books = books;
    this.#random = new Random(ask.seed).next;
    this.#miners = Array.from({ length: ask.miners }, (_, i) => `5Miner${i}`);
    this.#customers = Array.from({ length: ask.accounts }, (_, i) => customerOf(`acc_${i}`));
  }

  async run(): Promise<BankFigures> {
    const killer = this.#killer();
    const clients = Array.from({ length: this.#ask.clients }, () => this.#client());
    await Promise.all([...clients, this.#looker()]);
    await killer;
    if (this.#faults.length === 0) await this.#settle();
    const calls = this.#customers.reduce((sum, c) => sum + c.flushed.size, 0);
    return { operations: this.#done, calls, repeated: this.#repeated, kills: this.#kills, looks: this.#looks, faults: this.#faults };
  }

  get #over(): boolean {
    return this.#done >= this.#ask.operations || this.#faults.length > 0;
  }

  async #client(): Promise<void> {
    while (!this.#over) {
      try {
        await this.#step(this.#pick(this.#customers));
      } catch (error) {
        this.#faults.push(`${db.sqlState(error)} ${String(error instanceof Error && error.cause instanceof Error ? error.cause : error)}`);
      }
      this.#done += 1;
    }
  }

  /** At any moment, between any two statements, the books are right. */
  async #looker(): Promise<void> {
    while (!this.#over) {
      for (let i = 1; i <= 15; i++) await this.#look(`I${i}`);
      this.#looks += 1;
      const seen = this.#done;
      while (!this.#over && this.#done < seen + LOOK_EVERY) await sleep(10);
    }
  }

  async #look(which: string): Promise<void> {
    const [check] = await this.#insist(() => db.checkBooks(this.#books.d, which));
    if (check !== undefined && check.broken > 0) this.#faults.push(`${which} ${check.detail}`);
  }

  async #killer(): Promise<void> {
    const { part } = this.#books.postgres;
    while (this.#kills < this.#ask.kills && !this.#over) {
      if (this.#done < ((this.#kills + 1) * this.#ask.operations) / (this.#ask.kills + 1)) {
        await sleep(10);
        continue;
      }
      part.signal('SIGKILL');
      this.#kills += 1;
      // The supervisor starts it again; until then somebody else may still be served.
      const { pid } = part;
      while (part.pid === pid) await sleep(10);
      await this.#insist(() => db.checkBooks(this.#books.d, 'I1'));
    }
  }

  /** Again until it is answered. */
  async #insist<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!db.isUnanswered(error)) throw error;
        this.#repeated += 1;
        await sleep(20);
      }
    }
  }

  #step(c: Customer): Promise<unknown> {
    const dice = this.#random();
    if (dice < 0.08) return this.#give(c);
    if (dice < 0.25) return this.#inTurn(c, () => this.#move(c));
    if (dice < 0.28) return this.#inTurn(c, () => this.#forget(c));
    if (dice < 0.3) return this.#fence(c);
    if (dice < 0.35) return this.#refund(c);
    if (dice < 0.4) return this.#miner();
    this.#spend(c);
    return this.#flush(c);
  }

  async #give(c: Customer): Promise<void> {
    const amount = this.#below(50_000) + 1n;
    const [kind, from, to] =
      this.#random() < 0.3 ? (['promo', 'promo_fund', 'promo'] as const) : (['credit', 'operator_clearing', 'cash'] as const);
    const id = crypto.randomUUID();
    const entries = { [from]: -amount, [`${to}/${c.id}`]: amount };
    await this.#insist(() => db.postTransfer(this.#books.d, { id, kind, ref: `give/${id}`, owner: c.id, entries, reason: '' }));
    c.given += amount;
  }

  #inTurn(c: Customer, work: () => Promise<void>): Promise<void> {
    const turn = c.moving.then(work);
    c.moving = turn.catch(() => undefined);
    return turn;
  }

  async #move(c: Customer): Promise<void> {
    const back = this.#random() < 0.3;
    const [cash, promo] = back ? [this.#below(Number(c.cash)), this.#below(Number(c.promo))] : [0n, 0n];
    c.cash -= cash;
    c.promo -= promo;
    c.n += 1;
    const ask = { accountId: c.id, epoch: c.epoch, n: c.n, want: back ? -cash - promo : this.#below(30_000), cash, promo };
    const before = this.#leased.get(c) ?? { cash: 0n, promo: 0n };
    const answer = await this.#insist(() => db.moveLease(this.#books.d, ask));
    if (answer.kind === 'stale') {
      // An operator fenced it.
      c.cash = 0n;
      c.promo = 0n;
      this.#reopen(c, answer.epoch + 1);
      return;
    }
    if (!back) {
      c.cash += answer.cashAmount - before.cash;
      c.promo += answer.promoAmount - before.promo;
    }
    this.#leased.set(c, { cash: answer.cashAmount, promo: answer.promoAmount });
  }

  /** What the lease in hand has had in all. */
  readonly #leased = new Map<Customer, { cash: bigint; promo: bigint }>();

  #reopen(c: Customer, epoch: number): void {
    c.epoch = epoch;
    c.n = 0;
    this.#leased.delete(c);
  }

  /** The object dies with its lease in hand; its outbox does not. */
  #forget(c: Customer): Promise<void> {
    c.lost.push({ epoch: c.epoch });
    c.cash = 0n;
    c.promo = 0n;
    this.#reopen(c, c.epoch + 1);
    return this.#move(c);
  }

  /** Only once all calls of that lease are flushed, or they would be lost. */
  async #fence(c: Customer): Promise<void> {
    const old = c.lost.find(({ epoch }) => c.closed.every((call) => call.leaseEpoch !== epoch || c.flushed.has(call.callId)));
    if (old === undefined) return;
    c.lost = c.lost.filter((l) => l !== old);
    try {
      await this.#insist(() => db.fenceLease(this.#books.d, c.id, old.epoch));
    } catch (error) {
      // It died before it ever took anything.
      if (!db.isUnknown(error)) throw error;
    }
  }

  #spend(c: Customer): void {
    if (c.n === 0) return;
    for (let i = this.#below(6); i > 0n; i--) {
      const attempts = Array.from({ length: 1 + Number(this.#below(3)) }, () => ({
        hotkey: this.#pick(this.#miners),
        cost: this.#below(900),
      }));
      const cost = attempts.reduce((sum, a) => sum + a.cost, 0n);
      const promo = cost < c.promo ? cost : c.promo;
      if (cost - promo > c.cash) continue;
      c.promo -= promo;
      c.cash -= cost - promo;
      c.closed.push(closedCall({ account: c.id, epoch: c.epoch, attempts, promo, feeBps: 777 }));
    }
  }

  /** Some of what waits, some of what was sent before, some twice, in any order. */
  async #flush(c: Customer): Promise<void> {
    const waiting = c.closed.filter((call) => !c.flushed.has(call.callId) && this.#random() < 0.8);
    const again = c.closed.slice(-20).filter(() => this.#random() < 0.1);
    const batch = [...waiting, ...again].toSorted(() => this.#random() - 0.5);
    await this.#insist(() => db.flushCalls(this.#books.d, batch));
    for (const call of batch) this.#paid(c, call);
  }

  #paid(c: Customer, call: db.CallRecord): void {
    if (c.flushed.has(call.callId)) return;
    c.flushed.add(call.callId);
    c.spent += call.costNanousd;
    for (const a of call.attempts) {
      const share = (a.costNanousd * (10_000n - 777n)) / 10_000n;
      this.#earned.set(a.hotkey, (this.#earned.get(a.hotkey) ?? 0n) + share);
      this.#fees += a.costNanousd - share;
    }
  }

  async #refund(c: Customer): Promise<void> {
    const call = this.#pick(c.closed.filter(({ callId }) => c.flushed.has(callId)));
    if (call === undefined) return;
    const amount = this.#below(Number(call.costNanousd)) + 1n;
    const ref = `refund/${crypto.randomUUID()}`;
    try {
      await this.#insist(() => db.refundCall(this.#books.d, { callId: call.callId, amount, ref, reason: '' }));
    } catch (error) {
      if (!db.isUncovered(error)) throw error;
      return;
    }
    c.back += amount;
    c.refunded.set(call.callId, (c.refunded.get(call.callId) ?? 0n) + amount);
    if ((c.refunded.get(call.callId) ?? 0n) > call.costNanousd) this.#faults.push(`call ${call.callId} gave back more than it cost`);
  }

  async #miner(): Promise<void> {
    const { d } = this.#books;
    const hotkey = this.#pick(this.#miners);
    const dice = this.#random();
    if (dice < 0.6) await this.#insist(() => db.foldEntries(d, 200));
    else if (dice < 0.9) await this.#insist(() => db.matureEarnings(d, new Date(Date.now() + 80 * HOUR), 3));
    else await this.#insist(() => db.forfeit(d, { hotkey, reason: '', ref: `forfeit/${crypto.randomUUID()}` }));
  }

  /** Everything that waits arrives, and is what was answered. */
  async #settle(): Promise<void> {
    const { d } = this.#books;
    for (const c of this.#customers) {
      const rest = c.closed.filter((call) => !c.flushed.has(call.callId));
      await this.#insist(() => db.flushCalls(d, rest));
      for (const call of rest) this.#paid(c, call);
    }
    while ((await this.#insist(() => db.foldEntries(d, 5000))) === 5000);
    for (let i = 1; i <= 15; i++) await this.#look(`I${i}`);
    for (const c of this.#customers) {
      await this.#expect(`cash and promo of ${c.id}`, c.given - c.spent + c.back, `id in ('cash/${c.id}', 'promo/${c.id}')`);
    }
    await this.#expect('the fee', this.#fees, `id = 'fee'`);
    const earned = [...this.#earned.values()].reduce((sum, amount) => sum + amount, 0n);
    await this.#expect('earnings', earned, `kind in ('pending', 'payable', 'forfeited')`);
  }

  async #expect(what: string, amount: bigint, where: string): Promise<void> {
    const [row] = await this.#books.sql<{ sum: string }>(`select coalesce(sum(posted), 0)::text as sum from purses where ${where}`);
    if (row?.sum !== String(amount)) this.#faults.push(`${what}: the ledger has ${row?.sum}, answered was ${amount}`);
  }

  /** From 0 to below. */
  #below(end: number): bigint {
    return BigInt(Math.floor(this.#random() * end));
  }

  #pick<T>(of: T[]): T {
    return of[Math.floor(this.#random() * of.length)] as T;
  }
}

function customerOf(id: string): Customer {
  return {
    id,
    epoch: 1,
    n: 0,
    cash: 0n,
    promo: 0n,
    lost: [],
    closed: [],
    flushed: new Set(),
    refunded: new Map(),
    given: 0n,
    spent: 0n,
    back: 0n,
    moving: Promise.resolve(),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      clients: { type: 'string', default: '32' },
      accounts: { type: 'string', default: '100' },
      miners: { type: 'string', default: '20' },
      operations: { type: 'string', default: '100000' },
      kills: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
    },
  });
  const ask = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])) as unknown as BankAsk;
  const figures = await runBank(ask);
  console.log(JSON.stringify(figures));
  process.exitCode = figures.faults.length > 0 ? 1 : 0;
}
