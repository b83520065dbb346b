/**
 * The bank test: paid calls of many accounts over HTTP through workerd to real agents, while Postgres dies and comes
 * back, objects are torn down, and what the edge tells Postgres is doubled, held back and lost. In the end the ledger
 * must be exactly what the engines' own receipts come to.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as Postgres } from 'pg';
import { startNetwork, type TestNetwork } from '../../harness/network.ts';
import { fault } from '../../harness/story.ts';
import { until } from '../../harness/until.ts';
import { Random } from '../../sim/random.ts';
import { CREDIT, call, chuteIn, openAccounts, type Holder } from './holders.ts';
import { recompute, type PriceRow } from './recompute.ts';
import { unruly } from './unruly.ts';

export interface BankWish {
  calls: number;
  accounts: number;
  clients: number;
  seed: number;
  /** How often Postgres is killed, and objects of each kind are torn down. */
  kills: number;
  evictions: number;
  /** Told once in a while. */
  say?: (line: string) => void;
}

export interface BankFigures {
  calls: number;
  accounts: number;
  /** Calls that did not end in a whole 200, by what came instead. */
  failed: Record<string, number>;
  /** Receipts of engines, and those of a second attempt. */
  receipts: number;
  repeated: number;
  recomputed: bigint;
  charged: bigint;
  /** Accounts whose charge is not what the receipts say. */
  differing: { account: string; charged: bigint; recomputed: bigint }[];
  /** Captures, and calls with more than one. */
  captures: number;
  /** Broken invariants of the books. */
  broken: string[];
  trouble: { kills: number; evictions: number; duplicated: number; delayed: number; lost: number };
  callsPerSecond: number;
}

export async function bank(wish: BankWish): Promise<BankFigures> {
  const random = new Random(wish.seed).next;
  const trouble = unruly({ duplicated: 0.1, delayed: 0.05, lost: 0.05 }, new Random(wish.seed + 1).next);
  const place = await mkdtemp(join(tmpdir(), 'ripcord-bank-'));
  let network: TestNetwork | undefined;
  try {
    const chute = await chuteIn(place);
    network = await startNetwork({
      agents: 2,
      chutes: [chute],
      between: (bridge) => trouble.between(bridge),
    });
    return await run(wish, network, place, random, trouble);
  } finally {
    await network?.close();
    await trouble.close();
    await rm(place, { recursive: true, force: true });
  }
}

async function run(
  wish: BankWish,
  network: TestNetwork,
  place: string,
  random: () => number,
  trouble: ReturnType<typeof unruly>,
): Promise<BankFigures> {
  const holders = await openAccounts(network, wish);
  const failed: Record<string, number> = {};
  const done = { calls: 0, kills: 0, evictions: 0 };
  const startedAt = performance.now();

  const one = async (number: number): Promise<void> => {
    const holder = holders[Math.floor(random() * holders.length)] ?? (holders[0] as Holder);
    const outcome = await call(network, holder, number, random);
    if (outcome !== 'whole') failed[outcome] = (failed[outcome] ?? 0) + 1;
    done.calls += 1;
    if (done.calls % Math.max(1, Math.floor(wish.calls / 20)) === 0) wish.say?.(`${done.calls} calls`);
  };
  const makeTrouble = async (): Promise<void> => {
    if (done.kills < (done.calls / wish.calls) * wish.kills) {
      done.kills += 1;
      network.postgres.crash();
    }
    if (done.evictions < (done.calls / wish.calls) * wish.evictions) {
      done.evictions += 1;
      const account = holders[Math.floor(random() * holders.length)]?.account ?? '';
      await (done.evictions % 3 === 0 ? tearMinerDown(network, done.evictions % 2) : fault(network, 'account', account));
    }
  };

  let next = 0;
  const clients = Array.from({ length: wish.clients }, async () => {
    while (next < wish.calls) {
      next += 1;
      await one(next);
      await makeTrouble();
    }
  });
  await Promise.all(clients);
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    ...(await audit(network, holders, place, wish, failed)),
    failed,
    trouble: { ...done, ...trouble.done },
    callsPerSecond: wish.calls / seconds,
  };
}

/** Once everything has come to Postgres: what was charged, what the receipts say, and whether the books are whole. */
async function audit(network: TestNetwork, holders: Holder[], place: string, wish: BankWish, failed: Record<string, number>) {
  const postgres = new Postgres({ connectionString: network.databaseUrl });
  await postgres.connect();
  try {
    const one = async <T>(text: string, values: unknown[] = []): Promise<T> => (await postgres.query(text, values)).rows[0] as T;
    const { price } = await one<{ price: PriceRow }>('select price from prices order by created_at desc limit 1');
    const accounts = holders.map(({ account }) => account);
    const whole = wish.calls - Object.values(failed).reduce((sum, n) => sum + n, 0);
    await until(
      'every call is in Postgres',
      async () => {
        const { count } = await one<{ count: string }>('select count(*) from calls where account_id = any($1)', [accounts]);
        if (Number(count) >= whole) return true;
        throw new Error(`${count} of ${whole}; failed: ${JSON.stringify(failed)}`);
      },
      { deadlineMs: 90_000, everyMs: 200 },
    );
    await network.cron();
    const said = recompute(place, price);
    const { rows } = await postgres.query<{ owner: string; posted: string }>(
      `select owner, sum(posted)::text as posted from purses where owner = any($1) and kind in ('cash', 'promo') group by owner`,
      [accounts],
    );
    const posted = new Map(rows.map((row) => [row.owner, BigInt(row.posted)]));
    const charges = holders.map(({ name, account }) => ({
      account,
      charged: CREDIT - (posted.get(account) ?? 0n),
      recomputed: said.byAccount.get(name) ?? 0n,
    }));
    const { captures } = await one<{ captures: string }>(
      'select count(*) as captures from calls where cost_nanousd > 0 and account_id = any($1)',
      [accounts],
    );
    const broken = await postgres.query<{ invariant: string; broken: string }>('select * from check_books() where broken > 0');
    const theirs = [...said.byAccount].filter(([name]) => holders.some((holder) => holder.name === name));
    return {
      calls: wish.calls,
      accounts: wish.accounts,
      receipts: said.receipts,
      repeated: said.repeated,
      recomputed: theirs.reduce((sum, [, cost]) => sum + cost, 0n),
      charged: charges.reduce((sum, { charged }) => sum + charged, 0n),
      differing: charges.filter(({ charged, recomputed }) => charged !== recomputed),
      captures: Number(captures),
      broken: broken.rows.map((row) => `${row.invariant}: ${row.broken}`),
    };
  } finally {
    await postgres.end();
  }
}

/** One of two at a time: where neither can take it, a call is refused rightly. */
async function tearMinerDown(network: TestNetwork, index: number): Promise<void> {
  const other = network.agent(1 - index).hotkey;
  await until(
    'the other miner can take its calls',
    async () => {
      const { agents } = (await (await network.request(`/miners/${other}`)).json()) as { agents: { connected: boolean | null }[] };
      return agents.some(({ connected }) => connected);
    },
    { deadlineMs: 60_000 },
  );
  await fault(network, 'miner', network.agent(index).agent);
}
