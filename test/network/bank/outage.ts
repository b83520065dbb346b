/**
 * Postgres is away for a while and calls go on: accounts that hold a lease notice nothing, workerd dies in the middle of
 * it, and when Postgres is back everything is billed within a minute.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as Postgres } from 'pg';
import { startNetwork, type TestNetwork } from '../../harness/network.ts';
import { until } from '../../harness/until.ts';
import { call, chuteIn, openAccounts, type Holder } from './holders.ts';

export interface OutageWish {
  accounts: number;
  perSecond: number;
  /** Seconds that Postgres is away. */
  seconds: number;
  seed: number;
}

export interface OutageFigures {
  /** Calls sent while Postgres was away, outside the restart of workerd, and those of them that failed. */
  calls: number;
  failed: number;
  failures: Record<string, number>;
  /** Calls sent or running while workerd was down; they may fail. */
  inRestart: number;
  restartMs: number;
  /** Milliseconds from Postgres' return until it had every call that ended well. */
  billedMs: number;
  broken: string[];
}

interface Sent {
  at: number;
  over: number;
  outcome: string;
}

export async function outage(wish: OutageWish): Promise<OutageFigures> {
  const place = await mkdtemp(join(tmpdir(), 'ripcord-outage-'));
  let network: TestNetwork | undefined;
  try {
    network = await startNetwork({ agents: 2, chutes: [await chuteIn(place)] });
    return await run(network, wish);
  } finally {
    await network?.close();
    await rm(place, { recursive: true, force: true });
  }
}

async function run(network: TestNetwork, wish: OutageWish): Promise<OutageFigures> {
  const holders = await openAccounts(network, wish);
  // A first call takes the lease.
  await Promise.all(holders.map((holder, k) => call(network, holder, -k - 1, Math.random)));
  await network.postgres.kill();
  const sent: Sent[] = [];
  const restart = { from: Infinity, to: Infinity };
  const everyone = openLoop(network, wish, holders, sent);
  await sleep(wish.seconds * 500);
  restart.from = performance.now();
  network.edge.crash();
  await until('a call is answered again', async () => (await call(network, holders[0] as Holder, -1_000, Math.random)) === 'whole', {
    deadlineMs: 60_000,
  });
  restart.to = performance.now();
  await everyone;
  const back = performance.now();
  await network.postgres.restart();
  const outside = sent.filter(({ at, over }) => over < restart.from || at > restart.to);
  const failures: Record<string, number> = {};
  for (const { outcome } of outside) if (outcome !== 'whole') failures[outcome] = (failures[outcome] ?? 0) + 1;
  return {
    calls: outside.length,
    failed: outside.filter(({ outcome }) => outcome !== 'whole').length,
    failures,
    inRestart: sent.length - outside.length,
    restartMs: Math.round(restart.to - restart.from),
    ...(await billed(network, holders, sent.filter(({ outcome }) => outcome === 'whole').length, back)),
  };
}

/** Calls at an even pace, each by the next account, whatever became of the ones before. */
async function openLoop(network: TestNetwork, wish: OutageWish, holders: Holder[], sent: Sent[]): Promise<void> {
  const startedAt = performance.now();
  const calls: Promise<void>[] = [];
  for (let number = 0; number < wish.seconds * wish.perSecond; number++) {
    const due = startedAt + (number * 1000) / wish.perSecond;
    if (due > performance.now()) await sleep(due - performance.now());
    const holder = holders[number % holders.length] as Holder;
    const at = performance.now();
    calls.push(
      call(network, holder, number, Math.random, 0).then((outcome) => {
        sent.push({ at, over: performance.now(), outcome });
      }),
    );
  }
  await Promise.all(calls);
}

async function billed(
  network: TestNetwork,
  holders: Holder[],
  whole: number,
  back: number,
): Promise<{ billedMs: number; broken: string[] }> {
  const postgres = new Postgres({ connectionString: network.databaseUrl });
  await postgres.connect();
  try {
    const accounts = holders.map(({ account }) => account);
    const text = `select count(*) as count from calls where account_id = any($1) and state = 'completed' and cost_nanousd > 0`;
    await until(
      'every call is in Postgres',
      async () => Number((await postgres.query<{ count: string }>(text, [accounts])).rows[0]?.count) >= whole + holders.length,
      { deadlineMs: 60_000, everyMs: 200 },
    );
    const billedMs = Math.round(performance.now() - back);
    await network.cron();
    const broken = await postgres.query<{ invariant: string; broken: string }>('select * from check_books() where broken > 0');
    return { billedMs, broken: broken.rows.map((row) => `${row.invariant}: ${row.broken}`) };
  } finally {
    await postgres.end();
  }
}
