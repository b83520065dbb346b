/**
 * Money out to miners. Every step that moves money changes the payout's state in the same statement, from the state it was
 * decided on; whoever comes second changes nothing.
 */
import { and, desc, eq, inArray, sql } from 'drizzle-orm';
import type { Database } from './client.ts';
import { rowsOf } from './rows.ts';
import { payouts } from './schema.ts';

export type PayoutAddressKind = 'tao' | 'operator';

export interface PayoutAddress {
  kind: PayoutAddressKind;
  address: string;
  activeAt: Date;
}

type Stored = typeof payouts.$inferSelect;

export type PayoutRow = Omit<Stored, 'adapter' | 'state'> & {
  adapter: PayoutAddressKind;
  state: 'requested' | 'begun' | 'submitted' | 'paid' | 'failed';
};

/** Milliseconds before a change of address is in force. */
export const ADDRESS_WAIT_MS = 72 * 3_600_000;
/** Wishes of one hotkey within that time. */
const ADDRESS_CHANGES = 10;

/**
 * A miner's wish for an address: the first of a hotkey is in force at once, every other one after 72 hours. What is wished
 * already stays as it is. False: too many wishes lately; the way back to the address in force is always open, or whoever
 * stole the hotkey could block it.
 */
export async function askPayoutAddress(
  db: Database,
  of: { id: string; hotkey: string; kind: PayoutAddressKind; address: string },
): Promise<boolean> {
  const { active, waiting } = await findPayoutAddresses(db, of.hotkey);
  if (isSame(waiting ?? active, of)) return true;
  const most = isSame(active, of) ? 10 * ADDRESS_CHANGES : ADDRESS_CHANGES;
  const wait = sql`${ADDRESS_WAIT_MS} * interval '1 millisecond'`;
  const result = await db.execute(sql`
    insert into payout_addresses (id, hotkey, kind, address, active_at)
    select ${of.id}::uuid, ${of.hotkey}, ${of.kind}, ${of.address}, now() + case when count(*) = 0 then interval '0' else ${wait} end
    from payout_addresses where hotkey = ${of.hotkey}
    having count(*) filter (where requested_at > now() - ${wait}) < ${most}
    returning 1`);
  return rowsOf(result).length === 1;
}

function isSame(one: PayoutAddress | null, other: { kind: PayoutAddressKind; address: string }): boolean {
  return one?.kind === other.kind && one.address === other.address;
}

/**
 * The address in force, and the one that will be. A later wish takes the place of one that is still waiting: so a miner
 * that sees a stranger's wish stops it by asking for its own address again.
 */
export async function findPayoutAddresses(
  db: Database,
  hotkey: string,
): Promise<{ active: PayoutAddress | null; waiting: PayoutAddress | null }> {
  const result = await db.execute(sql`
    select kind, address, extract(epoch from active_at) * 1000 as active_ms, active_at <= now() as active from payout_addresses a
    where hotkey = ${hotkey} and not exists (select 1 from payout_addresses b where b.hotkey = a.hotkey
      and (b.requested_at, b.id) > (a.requested_at, a.id) and b.requested_at < a.active_at)
    order by requested_at desc, id desc limit 2`);
  const rows = rowsOf(result).map((row) => ({
    active: row['active'] === true || row['active'] === 't',
    of: { kind: row['kind'] as PayoutAddressKind, address: String(row['address']), activeAt: new Date(Number(row['active_ms'])) },
  }));
  const active = rows.find((row) => row.active)?.of ?? null;
  const waiting = rows.find((row) => !row.active)?.of ?? null;
  // Back to the address in force: nothing changes.
  return { active, waiting: waiting !== null && isSame(active, waiting) ? null : waiting };
}

/** What a miner has, nano-USD. */
export interface Earnings {
  /** Of the last 72 hours or so; not payable yet. */
  pending: bigint;
  payable: bigint;
  inFlight: bigint;
  paid: bigint;
  /** When the oldest of what is pending becomes payable. */
  nextMaturesAt: Date | null;
}

export async function readEarnings(db: Database, hotkey: string): Promise<Earnings> {
  const pending = `pending/${hotkey}`;
  const result = await db.execute(sql`
    select
      coalesce((select posted from purses where id = ${pending}), 0)
        + coalesce((select sum(e.amount) from unfolded u join entries e using (transfer_id, purse_id) where u.purse_id = ${pending}), 0) as pending,
      coalesce((select posted from purses where id = ${`payable/${hotkey}`}), 0) as payable,
      coalesce((select posted from purses where id = ${`in_flight/${hotkey}`}), 0) as in_flight,
      coalesce((select sum(nanousd) from payouts where hotkey = ${hotkey} and state = 'paid'), 0) as paid,
      (select extract(epoch from min(hour)) * 1000 from maturing where purse_id = ${pending}) as hour_ms`);
  const row = rowsOf(result)[0] ?? {};
  const money = (name: string) => BigInt(textOf(row[name]) ?? 0);
  const hour = row['hour_ms'];
  return {
    pending: money('pending'),
    payable: money('payable'),
    inFlight: money('in_flight'),
    paid: money('paid'),
    nextMaturesAt: hour === null || hour === undefined ? null : new Date(Number(hour) + MATURE_MS),
  };
}

/** An hour's earnings become payable 72 hours after its end. */
const MATURE_MS = 73 * 3_600_000;

export interface ChuteEarnings {
  chuteId: string;
  /** `owner/name`; null: unknown by now. */
  name: string | null;
  attempts: number;
  share: bigint;
}

/** By chute, of the last so many days, the best first. */
export async function listChuteEarnings(db: Database, hotkey: string, days: number): Promise<ChuteEarnings[]> {
  const result = await db.execute(sql`
    select u.chute_id, c.name, u.attempts, u.share from (
      select chute_id, count(*) as attempts, sum(share_nanousd) as share from usage
      where hotkey = ${hotkey} and started_at > now() - ${days} * interval '1 day' group by chute_id order by share desc, chute_id limit 200
    ) u left join chutes c on c.id = u.chute_id order by u.share desc, u.chute_id`);
  return rowsOf(result).map((row) => ({
    chuteId: String(row['chute_id']),
    name: textOf(row['name']),
    attempts: Number(row['attempts']),
    share: BigInt(String(row['share'])),
  }));
}

/** One attempt and what it earned. */
export interface EarningsEntry {
  callId: string;
  attempt: number;
  chuteId: string;
  agentId: string;
  outcome: string;
  cost: bigint;
  share: bigint;
  /** Null: the call was recorded before calls had prices. */
  priceVersion: string | null;
  feeBps: number | null;
  tokensIn: number | null;
  tokensOut: number | null;
  startedAt: Date;
  recordedAt: Date;
}

/** Where a page ends; the next one starts behind it. */
export interface EntryPlace {
  startedMs: number;
  callId: string;
  attempt: number;
}

/** The newest first. */
export async function listEarningsEntries(
  db: Database,
  ask: { hotkey: string; chute: string | null; after: EntryPlace | null; limit: number },
): Promise<EarningsEntry[]> {
  const { after } = ask;
  const place =
    after === null
      ? sql`true`
      : sql`(u.started_at, u.call_id, u.attempt) < (to_timestamp(${after.startedMs} / 1000.0), ${after.callId}::uuid, ${after.attempt}::smallint)`;
  const result = await db.execute(sql`
    select u.call_id, u.attempt, u.chute_id, u.agent_id, u.outcome, u.cost_nanousd, u.share_nanousd, c.price_version, c.fee_bps,
      u.tokens_in, u.tokens_out, extract(epoch from u.started_at) * 1000 as started_ms, extract(epoch from u.recorded_at) * 1000 as recorded_ms
    from usage u left join calls c on c.call_id = u.call_id
    where u.hotkey = ${ask.hotkey} and (${ask.chute}::text is null or u.chute_id = ${ask.chute}) and ${place}
    order by u.started_at desc, u.call_id desc, u.attempt desc limit ${ask.limit}`);
  const number = (value: unknown) => (value === null || value === undefined ? null : Number(value));
  return rowsOf(result).map((row) => ({
    callId: String(row['call_id']),
    attempt: Number(row['attempt']),
    chuteId: String(row['chute_id']),
    agentId: String(row['agent_id']),
    outcome: String(row['outcome']),
    cost: BigInt(String(row['cost_nanousd'])),
    share: BigInt(String(row['share_nanousd'])),
    priceVersion: textOf(row['price_version']),
    feeBps: number(row['fee_bps']),
    tokensIn: number(row['tokens_in']),
    tokensOut: number(row['tokens_out']),
    startedAt: new Date(Number(row['started_ms'])),
    recordedAt: new Date(Number(row['recorded_ms'])),
  }));
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The newest of a miner. */
export async function listPayouts(db: Database, hotkey: string, limit: number): Promise<PayoutRow[]> {
  const rows = db.select().from(payouts).where(eq(payouts.hotkey, hotkey)).orderBy(desc(payouts.requestedAt), desc(payouts.id));
  return rowsAs(await rows.limit(limit));
}

/** Asks for a payout. False: one of this miner is open. */
export async function insertPayout(
  db: Database,
  of: { id: string; hotkey: string; adapter: PayoutAddressKind; address: string; nanousd: bigint },
): Promise<boolean> {
  const made = await db
    .insert(payouts)
    .values({ ...of, state: 'requested' })
    .onConflictDoNothing()
    .returning({ id: payouts.id });
  return made.length === 1;
}

export async function findPayout(db: Database, id: string): Promise<PayoutRow | null> {
  const [row] = await db.select().from(payouts).where(eq(payouts.id, id));
  return row === undefined ? null : (rowsAs([row])[0] ?? null);
}

/** The table's checks say what its texts may be. */
function rowsAs(rows: Stored[]): PayoutRow[] {
  return rows as PayoutRow[];
}

/** Payouts that are not over and wait for nobody's hand, the longest untouched first. */
export async function listOpenPayouts(db: Database, limit: number): Promise<PayoutRow[]> {
  const byHand = and(eq(payouts.adapter, 'operator'), eq(payouts.state, 'submitted'));
  return rowsAs(
    await db
      .select()
      .from(payouts)
      .where(and(inArray(payouts.state, ['requested', 'begun', 'submitted']), sql`not (${byHand})`))
      .orderBy(payouts.updatedAt, payouts.id)
      .limit(limit),
  );
}

/** Payouts that wait for the operator to pay them by hand, the oldest first. */
export async function listPayoutsByHand(db: Database, limit: number): Promise<PayoutRow[]> {
  return rowsAs(
    await db
      .select()
      .from(payouts)
      .where(and(eq(payouts.state, 'submitted'), eq(payouts.adapter, 'operator')))
      .orderBy(payouts.requestedAt, payouts.id)
      .limit(limit),
  );
}

/**
 * Payable money goes in flight; the amount to send is fixed by the newest rate (`tao`). False: it was not `requested` any
 * more, or there is no fresh rate. Fails with `isUncovered` when less is payable by now.
 */
export async function beginPayout(db: Database, of: { id: string; transferId: string; rateMaxAgeMs: number }): Promise<boolean> {
  const result = await db.execute(sql`
    with due as (
      select p.*, r.id as rate, floor(p.nanousd * 1000000000::numeric / r.nanousd)::bigint as worth
      from payouts p left join lateral (
        select id, nanousd from rates where asset = 'TAO' and at <= now() and at > now() - ${of.rateMaxAgeMs} * interval '1 millisecond'
        order by at desc, id desc limit 1
      ) r on p.adapter = 'tao'
      where p.id = ${of.id}::uuid and p.state = 'requested' for update of p
    ), posted as (
      select due.*, post_transfer(${of.transferId}::uuid, 'payout_begin', 'payout/' || id || '/begin', hotkey,
        jsonb_build_object('payable/' || hotkey, -nanousd, 'in_flight/' || hotkey, nanousd), '') as transfer
      from due where adapter = 'operator' or worth > 0
    )
    update payouts p set state = 'begun', rate_id = d.rate, rao = d.worth, begin_transfer = d.transfer, updated_at = now()
    from posted d where p.id = d.id returning 1`);
  return rowsOf(result).length === 1;
}

/** Stores what is about to be sent. False: somebody else decided first, and nothing may be sent. */
export async function submitPayout(db: Database, id: string, attempt: object | null): Promise<boolean> {
  const made = await db
    .update(payouts)
    .set({ state: 'submitted', attempt, updatedAt: sql`now()` })
    .where(and(eq(payouts.id, id), eq(payouts.state, 'begun')))
    .returning({ id: payouts.id });
  return made.length === 1;
}

/** Finalized blocks up to `read` hold none of these. */
export async function notePayoutsRead(db: Database, ids: string[], read: number): Promise<void> {
  if (ids.length === 0) return;
  await db
    .update(payouts)
    .set({
      attempt: sql`jsonb_set(${payouts.attempt}, '{read}', to_jsonb(greatest((${payouts.attempt} ->> 'read')::bigint, ${read})))`,
      updatedAt: sql`now()`,
    })
    .where(and(inArray(payouts.id, ids), eq(payouts.state, 'submitted')));
}

/** How a payout ends. The one `ref` of both ends makes it end once. */
export type PayoutEnd = { state: 'paid' | 'failed'; reason: string };

/**
 * Ends a payout that is in `from`: its money leaves, or is payable again. False: it was not in `from` any more, or is not of
 * this adapter.
 */
export async function endPayout(
  db: Database,
  of: { id: string; from: 'begun' | 'submitted'; adapter: PayoutAddressKind; end: PayoutEnd; transferId: string },
): Promise<boolean> {
  const { state, reason } = of.end;
  const clearing = of.adapter === 'tao' ? 'tao_clearing' : 'operator_clearing';
  const to = state === 'paid' ? sql`${clearing}::text` : sql`'payable/' || hotkey`;
  const result = await db.execute(sql`
    with due as (
      select id, hotkey, nanousd from payouts where id = ${of.id}::uuid and state = ${of.from} and adapter = ${of.adapter} for update
    ), posted as (
      select id, post_transfer(${of.transferId}::uuid, ${`payout_${state}`}, 'payout/' || id || '/end', hotkey,
        jsonb_build_object('in_flight/' || hotkey, -nanousd, ${to}, nanousd), ${reason}) as transfer
      from due
    )
    update payouts p set state = ${state}, end_transfer = d.transfer, reason = ${reason}, updated_at = now()
    from posted d where p.id = d.id returning 1`);
  return rowsOf(result).length === 1;
}

/** Gives up a payout whose money never moved. */
export async function dropPayout(db: Database, id: string, reason: string): Promise<boolean> {
  const made = await db
    .update(payouts)
    .set({ state: 'failed', reason, updatedAt: sql`now()` })
    .where(and(eq(payouts.id, id), eq(payouts.state, 'requested')))
    .returning({ id: payouts.id });
  return made.length === 1;
}

/** What the operator paid by hand, with what proves it. False: no such payout waits for the operator. */
export async function confirmPayout(db: Database, id: string, reference: string): Promise<boolean> {
  return endPayout(db, {
    id,
    from: 'submitted',
    adapter: 'operator',
    end: { state: 'paid', reason: reference },
    transferId: crypto.randomUUID(),
  });
}

/**
 * What will not be paid is payable again: by hand, or not sent yet. False: no such payout, or only the chain knows what
 * became of it.
 */
export async function failPayout(db: Database, id: string, reason: string): Promise<boolean> {
  const end: PayoutEnd = { state: 'failed', reason };
  const fail = (from: 'begun' | 'submitted', adapter: PayoutAddressKind) =>
    endPayout(db, { id, from, adapter, end, transferId: crypto.randomUUID() });
  return (await fail('submitted', 'operator')) || (await fail('begun', 'operator')) || (await fail('begun', 'tao'));
}
