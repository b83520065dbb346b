/** What `books` shows. Objects are as `--json` prints them; amounts are nano-USD. */
import { sql, type SQL } from 'drizzle-orm';
import type { Database } from '../client.ts';
import { checkBooks, type BookCheck } from '../ledger.ts';
import { rowsOf } from '../rows.ts';
import { refused } from './failure.ts';

export interface Balance {
  kind: string;
  purses: number;
  posted_nanousd: bigint;
  /** Credits the projector has not folded yet. */
  unfolded_nanousd: bigint;
  held_nanousd: bigint;
}

export interface LeaseView {
  account: string;
  handle: string | null;
  epoch: number;
  state: string;
  cash_unspent_nanousd: bigint;
  promo_unspent_nanousd: bigint;
  touched_at: string;
}

export interface BooksView {
  ok: boolean;
  trial_balance: Balance[];
  /** Zero, or money came from nowhere. */
  sum_nanousd: bigint;
  invariants: BookCheck[];
  leases: { open: number; closing: number; unspent_nanousd: bigint; most: LeaseView[] };
  unfolded: { entries: number; oldest_seconds: number };
}

/** Leases shown, those with the most credit first. */
const LEASES = 20;

export async function readBooks(db: Database): Promise<BooksView> {
  const invariants = await checkBooks(db);
  const balances = await ask(
    db,
    sql`
    select p.kind, count(*) as purses, sum(p.posted) as posted, sum(p.held) as held, coalesce(sum(u.amount), 0) as unfolded
    from purses p left join (select purse_id, sum(e.amount) as amount from unfolded join entries e using (transfer_id, purse_id) group by 1) u
      on u.purse_id = p.id
    group by p.kind order by p.kind`,
  );
  const [queue] = await ask(
    db,
    sql`
    select count(*) as entries, coalesce(extract(epoch from now() - min(t.created_at)), 0)::bigint as oldest
    from unfolded u join transfers t on t.id = u.transfer_id`,
  );
  const [leases] = await ask(
    db,
    sql`
    select count(*) filter (where state = 'open') as open, count(*) filter (where state = 'closing') as closing,
      coalesce(sum(cash_amount - cash_spent + promo_amount - promo_spent), 0) as unspent from leases where state <> 'closed'`,
  );
  const trial: Balance[] = balances.map((row) => ({
    kind: String(row['kind']),
    purses: Number(row['purses']),
    posted_nanousd: big(row['posted']),
    unfolded_nanousd: big(row['unfolded']),
    held_nanousd: big(row['held']),
  }));
  const sum = trial.reduce((total, b) => total + b.posted_nanousd + b.unfolded_nanousd, 0n);
  return {
    ok: sum === 0n && invariants.every(({ broken }) => broken === 0),
    trial_balance: trial,
    sum_nanousd: sum,
    invariants,
    leases: {
      open: Number(leases?.['open']),
      closing: Number(leases?.['closing']),
      unspent_nanousd: big(leases?.['unspent']),
      most: await readLeases(db, sql`true`, LEASES),
    },
    unfolded: { entries: Number(queue?.['entries']), oldest_seconds: Number(queue?.['oldest']) },
  };
}

async function readLeases(db: Database, which: SQL, limit: number): Promise<LeaseView[]> {
  const rows = await ask(
    db,
    sql`
    select l.*, a.handle, l.cash_amount - l.cash_spent as cash, l.promo_amount - l.promo_spent as promo, ${iso(sql`l.touched_at`)} as touched
    from leases l left join accounts a on a.id = l.account_id
    where l.state <> 'closed' and ${which} order by l.cash_amount - l.cash_spent + l.promo_amount - l.promo_spent desc, l.account_id limit ${limit}`,
  );
  return rows.map((row) => ({
    account: String(row['account_id']),
    handle: textOf(row['handle']),
    epoch: Number(row['epoch']),
    state: String(row['state']),
    cash_unspent_nanousd: big(row['cash']),
    promo_unspent_nanousd: big(row['promo']),
    touched_at: String(row['touched']),
  }));
}

// ── one account, one miner ──

export interface Entry {
  purse: string;
  amount_nanousd: bigint;
}

export interface TransferView {
  id: string;
  n: number;
  at: string;
  kind: string;
  ref: string;
  call: string | null;
  reason: string;
  entries: Entry[];
}

export interface PurseView {
  id: string;
  posted_nanousd: bigint;
  unfolded_nanousd: bigint;
  held_nanousd: bigint;
}

export interface AccountView {
  account: string;
  handle: string | null;
  purses: PurseView[];
  leases: LeaseView[];
  /** The newest first. */
  transfers: TransferView[];
}

export async function readAccount(db: Database, named: string, limit: number): Promise<AccountView> {
  const { id, handle } = await findAccount(db, named);
  return {
    account: id,
    handle,
    purses: await readPurses(db, id),
    leases: await readLeases(db, sql`l.account_id = ${id}`, LEASES),
    transfers: await readTransfers(db, id, limit),
  };
}

/** By handle or id. An account that only the ledger knows has no handle. */
export async function findAccount(db: Database, named: string): Promise<{ id: string; handle: string | null }> {
  const [row] = await ask(
    db,
    sql`
    select id, handle from accounts where id = ${named} or handle = ${named}
    union all select owner, null from chains where owner = ${named} and owner like 'acc\_%' limit 1`,
  );
  if (row === undefined) throw refused(`There is no account ${JSON.stringify(named)}.`);
  return { id: String(row['id']), handle: textOf(row['handle']) };
}

export interface MinerView {
  hotkey: string;
  purses: PurseView[];
  /** By hour of capture: payable 72 hours after its end. */
  maturing: { hour: string; amount_nanousd: bigint }[];
  payouts: { id: string; state: string; adapter: string; nanousd: bigint; requested_at: string; reason: string }[];
  transfers: TransferView[];
}

export async function readMiner(db: Database, hotkey: string, limit: number): Promise<MinerView> {
  const purses = await readPurses(db, hotkey);
  if (purses.length === 0) throw refused(`Nobody with the hotkey ${JSON.stringify(hotkey)} ever earned anything.`);
  const hours = await ask(
    db,
    sql`select ${iso(sql`hour`)} as hour, amount from maturing where purse_id = ${`pending/${hotkey}`} order by 1`,
  );
  const payouts = await ask(
    db,
    sql`
    select id, state, adapter, nanousd, ${iso(sql`requested_at`)} as requested, reason from payouts where hotkey = ${hotkey}
    order by requested_at desc, id limit ${limit}`,
  );
  return {
    hotkey,
    purses,
    maturing: hours.map((row) => ({ hour: String(row['hour']), amount_nanousd: big(row['amount']) })),
    payouts: payouts.map((row) => ({
      id: String(row['id']),
      state: String(row['state']),
      adapter: String(row['adapter']),
      nanousd: big(row['nanousd']),
      requested_at: String(row['requested']),
      reason: String(row['reason']),
    })),
    transfers: await readTransfers(db, hotkey, limit),
  };
}

async function readPurses(db: Database, owner: string): Promise<PurseView[]> {
  const rows = await ask(
    db,
    sql`
    select p.id, p.posted, p.held, coalesce((select sum(e.amount) from unfolded u join entries e using (transfer_id, purse_id)
      where u.purse_id = p.id), 0) as unfolded
    from purses p where p.owner = ${owner} order by p.id`,
  );
  return rows.map((row) => ({
    id: String(row['id']),
    posted_nanousd: big(row['posted']),
    unfolded_nanousd: big(row['unfolded']),
    held_nanousd: big(row['held']),
  }));
}

async function readTransfers(db: Database, owner: string, limit: number): Promise<TransferView[]> {
  const rows = await ask(
    db,
    sql`
    select t.id, t.n, ${iso(sql`t.created_at`)} as at, t.kind, t.ref, t.call_id, t.reason,
      (select json_agg(json_build_array(e.purse_id, e.amount::text) order by e.purse_id) from entries e where e.transfer_id = t.id) as entries
    from transfers t where t.owner = ${owner} order by t.n desc limit ${limit}`,
  );
  return rows.map((row) => ({
    id: String(row['id']),
    n: Number(row['n']),
    at: String(row['at']),
    kind: String(row['kind']),
    ref: String(row['ref']),
    call: textOf(row['call_id']),
    reason: String(row['reason']),
    entries: (row['entries'] as [string, string][]).map(([purse, amount]) => ({ purse, amount_nanousd: BigInt(amount) })),
  }));
}

async function ask(db: Database, query: SQL): Promise<Record<string, unknown>[]> {
  return rowsOf(await db.execute(query));
}

function iso(moment: SQL): SQL {
  return sql`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
}

/** Postgres gives numbers beyond 2^53 as text. */
function big(value: unknown): bigint {
  return typeof value === 'string' || typeof value === 'number' ? BigInt(value) : 0n;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
