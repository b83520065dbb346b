/**
 * What must be true of money, at every step and in the end. What a call may cost is worked out here once more: from what
 * engines were told to say, from what clients got of it, and from the price table; nothing is taken from our own metering.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CallRecord } from '../../db/calls.ts';
import type { UsageRecord } from '../../db/usage.ts';
import type { CallRow, KeyRow, LeaseRow, Row } from '../../functions/account/rows.ts';
import type { ExtendAnswer, OpenAnswer, OpenAsk, RentAsk } from '../../functions/calls/ports.ts';
import type { QuoteFacts, Terms } from '../../functions/prices/terms.ts';
import { sumOf, type Lease } from './bank.ts';
import type { AccountNode } from './nodes/account.ts';
import type { Sim } from './sim.ts';
import { minersPart, mostOf, rented } from './tariff.ts';

/** Output tokens that a call is held for where it names none. */
const DEFAULT_TOKENS = 4_096;
/** Output tokens that are held at a time. */
const BLOCK_TOKENS = 1_024;
/** Milliseconds for which it is known what an account could have paid; longer than any ask is parked. */
const REMEMBERED_MS = 60_000;
/** Milliseconds for which an Account may believe what Postgres said last. */
const BELIEVED_MS = 1_000;

/** A call as the rows of its Account tell it; remembered when they are deleted. */
interface Held {
  kind: CallRow['kind'];
  key: string;
  terms: Terms;
  facts: QuoteFacts;
  hold: bigint;
  allowance: number | null;
  /** All it ever had. */
  allowances: Set<number>;
  epoch: number | null;
  closedAt: number | null;
  /** Of its first attempt; empty: none was taken over. */
  instance: string;
  cash: bigint;
  promo: bigint;
  /** Attempts taken over, with what each is charged. */
  costs: Map<number, bigint>;
  refused: Set<number>;
}

interface Ledger {
  leases: Map<number, LeaseRow>;
  keys: Map<string, KeyRow>;
  calls: Map<string, Held>;
  /** What the account had outside of its leases, at each change of it. */
  left: { at: number; amount: bigint }[];
}

/** Milliseconds within which a closed call is on record, with an answer that got lost; and after a statement went wrong. */
const RECORDED_MS = 45_000;
const RETRIED_MS = 150_000;
const SQL_FAULTS = ['sql_lost', 'sql_unknown', 'sql_late', 'sql_reply_late', 'sql_twice', 'postgres_down', 'lease_fenced'] as const;

/** An ask for more of a call: up to so many tokens, when it held so much, since then (unix ms). */
interface Extension {
  id: string;
  tokens: number;
  before: bigint;
  since: number;
}

export class Books {
  private readonly ledgers = new Map<string, Ledger>();
  /** Leases that the operator took back, with the calls of them that were billed by then. */
  private readonly fenced = new Map<string, Set<string>>();
  /** Paid times of each instance (unix ms). */
  private readonly periods = new Map<string, { from: number; to: number }[]>();
  /** Those that their Account was told it has no more. */
  private readonly gone = new Set<string>();
  private readonly sim: Sim;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  private ledger(account: string): Ledger {
    let ledger = this.ledgers.get(account);
    if (ledger === undefined) this.ledgers.set(account, (ledger = { leases: new Map(), keys: new Map(), calls: new Map(), left: [] }));
    return ledger;
  }

  // ── what happens ──

  written(account: string, row: Row): void {
    const ledger = this.ledger(account);
    if (row.kind === 'lease') ledger.leases.set(row.value.epoch, { ...row.value });
    else if (row.kind === 'key') ledger.keys.set(row.id, row.value);
    else if (row.kind === 'call') this.wroteCall(account, row.id, heldBy(row.value));
  }

  private wroteCall(account: string, id: string, now: Held): void {
    const { sim } = this;
    const ledger = this.ledger(account);
    const before = ledger.calls.get(id);
    for (const allowance of before?.allowances ?? []) now.allowances.add(allowance);
    ledger.calls.set(id, now);
    const tokens = now.allowance ?? now.facts.maxTokens ?? DEFAULT_TOKENS;
    const most = now.kind === 'rent' ? rented(now.terms, now.facts.timeoutMs) : mostOf(now.terms, { ...now.facts, maxTokens: tokens });
    if (!isMost(now.hold, most))
      sim.fail('a hold is the most that what it allows can cost', `${id} holds ${now.hold}, not ${most}, for ${tokens} tokens`);
    if (now.hold > (before?.hold ?? 0n) && this.gone.has(`${account}/${now.epoch}`))
      sim.fail('nothing is held from a lease that is lost', `${id} of epoch ${now.epoch}`);
    if (before === undefined) return;
    if (before.terms.version !== now.terms.version)
      sim.fail('a call keeps its terms', `${id}: ${before.terms.version}, then ${now.terms.version}`);
    if (now.kind === 'bounty' && costOf(before) === 0n && costOf(now) > 0n) sim.bounties.charged(id, now.instance, costOf(now));
    if (before.closedAt !== null && (costOf(before) !== costOf(now) || before.costs.size !== now.costs.size))
      sim.fail('a closed call costs no more', `${id}: ${costOf(before)}, then ${costOf(now)}`);
  }

  deleted(account: string, kind: Row['kind'], id: string): void {
    const ledger = this.ledger(account);
    if (kind === 'lease') ledger.leases.delete(Number(id));
    if (kind === 'key') ledger.keys.delete(id);
  }

  /** A turn of an Account is over. */
  stepped(account: AccountNode): void {
    const ledger = this.ledger(account.account);
    for (const row of ledger.leases.values()) this.checkLease(account.account, ledger, row);
    this.remember(account.account, ledger);
  }

  /** The bank did something, or somebody did something to it. */
  moved(): void {
    for (const [account, ledger] of this.ledgers) this.remember(account, ledger);
  }

  fence(account: string, epoch: number): void {
    this.fenced.set(`${account}/${epoch}`, new Set(this.sim.postgres.bank.calls.keys()));
  }

  /** The Account is told that a lease is not its own any more: by an answer to this move, not to an older one that comes late. */
  lost(account: string, epoch: number, n: number): void {
    if (this.ledger(account).leases.get(epoch)?.moving?.n === n) this.gone.add(`${account}/${epoch}`);
  }

  /** Nano-USD that a call holds or held; 0 if it was never opened. */
  holdOf(account: string, id: string): bigint {
    return this.ledger(account).calls.get(id)?.hold ?? 0n;
  }

  /** A call as it is open, or was. */
  opened(id: string): Held {
    for (const { calls } of this.ledgers.values()) {
      const call = calls.get(id);
      if (call !== undefined) return call;
    }
    throw new Error(`${id} was never opened`);
  }

  // ── at every step ──

  /** What is closed is soon on record, unless something of Postgres was in the way. */
  sample(): void {
    const { sim } = this;
    const { faults, postgres } = sim;
    const troubled = SQL_FAULTS.some((kind) => faults.fired.has(kind)) ? Math.max(faults.lastAt, postgres.downUntil) + RETRIED_MS : 0;
    for (const [account, { calls }] of this.ledgers)
      for (const [id, call] of calls) {
        if (call.closedAt === null || postgres.bank.calls.has(id) || this.isFenced(account, call)) continue;
        const due = Math.max(call.closedAt + SKEW_MS + RECORDED_MS, troubled);
        if (sim.now > due) sim.fail('what is closed is soon on record', `${id} since ${sim.now - call.closedAt} ms`);
      }
  }

  private checkLease(account: string, ledger: Ledger, row: LeaseRow): void {
    const { sim } = this;
    const used = usedOf(ledger, row.epoch);
    const granted = row.cash + row.promo;
    const name = `${account} epoch ${row.epoch}`;
    if (used.cash + used.promo + used.held > granted)
      sim.fail('an Account holds no more than its lease', `${name}: ${used.cash + used.promo} + ${used.held} of ${granted}`);
    if (used.cash > row.cash || used.promo > row.promo)
      sim.fail('a lease pays from the purse it has', `${name}: ${used.cash} of ${row.cash}, ${used.promo} of ${row.promo}`);
    const lease = sim.postgres.bank.lease(account, row.epoch);
    if (lease === null || lease.state === 'closed') return;
    if (used.cash + used.promo + used.held > sumOf(lease.amount))
      sim.fail(
        'an Account holds no more than Postgres gave',
        `${name}: ${used.cash + used.promo} + ${used.held} of ${sumOf(lease.amount)}`,
      );
  }

  private remember(account: string, ledger: Ledger): void {
    const { now, postgres } = this.sim;
    const { left } = ledger;
    const amount = sumOf(postgres.bank.available(account));
    if (left.at(-1)?.amount === amount) return;
    left.push({ at: now, amount });
    while (left.length > 1 && (left[1]?.at ?? now) < now - REMEMBERED_MS) left.shift();
  }

  /** What calls can be held from, by what the bank gave. */
  private free(account: string, ledger: Ledger): bigint {
    const lease = this.sim.postgres.bank.newest(account);
    if (lease === null || lease.state !== 'open') return 0n;
    const { cash, promo, held } = usedOf(ledger, lease.epoch);
    return sumOf(lease.amount) - cash - promo - held;
  }

  /** A conductor asks for a call, for the first time. */
  asked({ call, chute, terms }: OpenAsk): void {
    const { sim } = this;
    if (chute !== null && !sim.tariff.isAsked(terms.version, sim.now))
      sim.fail('a call is asked for by a price in force', `${call} by ${terms.version}`);
  }

  /** What an Account answered to an ask that came at `since` (unix ms of the run's own clock). */
  answered(account: AccountNode, ask: OpenAsk, answer: OpenAnswer, since: number): void {
    const { sim } = this;
    const terms = sim.tariff.termsFor(account.account, ask.terms);
    if (answer.ok) {
      const call = this.ledger(account.account).calls.get(ask.call);
      if (call === undefined) return sim.fail('an open call is written', ask.call);
      if (!sameTerms(call.terms, terms)) sim.fail('a call has the terms it was asked with', ask.call);
      if (call.hold > 0n) this.checkCap(account, call.key);
      return;
    }
    const { code, required } = answer;
    if (code === 'unavailable') this.checkAway(account.account, ask.call, since);
    if (code !== 'insufficient_credit' && code !== 'key_cap_reached') return;
    sim.trace.add(sim.now, `open.${code}`, ask.call);
    const wanted = this.holds(terms, ask.facts);
    if (required === undefined || !wanted.some((hold) => isMost(required, hold)))
      return sim.fail('a refusal says what is needed', `${ask.call}: ${required}, not ${wanted.join(' or ')}`);
    if (code === 'key_cap_reached') this.checkCapRefusal(account, ask.claim.key, ask.call, required);
    else this.checkPoor(account.account, ask.call, required, since);
  }

  /** What an Account answered to the ask for a period of an instance; null: that it could not say. */
  rented(account: AccountNode, ask: RentAsk, held: boolean | null, since: number): void {
    const { sim } = this;
    const bounty = ask.bounty === true;
    const terms = bounty ? ask.terms : sim.tariff.termsFor(account.account, ask.terms);
    sim.trace.add(
      sim.now,
      `${bounty ? 'bounty' : 'rent'}.${held === null ? 'unknown' : held ? 'held' : 'refused'}`,
      `${ask.instance} ${ask.ms}`,
    );
    if (held === null) return this.checkAway(account.account, ask.call, since);
    const due = bounty ? BigInt(terms.price.per_request) : rented(terms, ask.ms);
    if (!held) return this.checkPoor(account.account, ask.call, due, since);
    const call = this.ledger(account.account).calls.get(ask.call);
    if (call === undefined || !sameTerms(call.terms, terms)) sim.fail('a rent that is held is written', ask.call);
  }

  /** The whole of it, or its first block. */
  private holds(terms: Terms, facts: QuoteFacts): bigint[] {
    return [facts.maxTokens ?? DEFAULT_TOKENS, BLOCK_TOKENS].map((maxTokens) => mostOf(terms, { ...facts, maxTokens }));
  }

  /** A refusal of credit: by what Postgres said last, or by what was so since, there was not as much. */
  private checkPoor(account: string, what: string, required: bigint, since: number): void {
    const ledger = this.ledger(account);
    const from = this.sim.postgres.saidSince(account, since - BELIEVED_MS);
    const before = ledger.left.findLastIndex(({ at }) => at <= from);
    const left = ledger.left.slice(Math.max(before, 0)).map(({ amount }) => amount);
    const free = this.free(account, ledger);
    if (left.every((amount) => amount + free >= required)) this.sim.fail('who can pay is not refused', `${what} needs ${required}`);
  }

  /** Only what Postgres would have to decide is put off, and only while it does not answer. */
  private checkAway(account: string, what: string, since: number): void {
    if (!this.sim.postgres.wasAway(account, since)) this.sim.fail('nothing waits for a Postgres that answers', what);
  }

  /** More of a running call was asked for. */
  extended(account: AccountNode, { id, tokens, before, since }: Extension, answer: ExtendAnswer): void {
    const call = this.ledger(account.account).calls.get(id);
    if (call === undefined || call.closedAt !== null) {
      if (answer.ok) this.sim.fail('only an open call is extended', id);
      return;
    }
    if (answer.ok) {
      if (call.allowance !== answer.allowance || (call.allowance ?? Infinity) < Math.min(tokens, call.facts.maxTokens ?? Infinity))
        this.sim.fail('an extension pays for what it says', `${id}: ${call.allowance} of ${tokens}`);
      if (call.hold > before) this.checkCap(account, call.key);
      return;
    }
    const blocks = Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
    const more = mostOf(call.terms, { ...call.facts, maxTokens: Math.min(blocks, call.facts.maxTokens ?? blocks) }) - call.hold;
    const cap = this.ledger(account.account).keys.get(call.key)?.cap ?? null;
    const capped = cap !== null && this.usedOfKey(account, call.key, -SKEW_MS) + more > cap.limit;
    const lost = this.fenced.has(`${account.account}/${call.epoch}`);
    if (capped || lost || this.sim.postgres.wasAway(account.account, since)) return;
    this.checkPoor(account.account, id, more, since);
  }

  // ── caps ──

  private checkCap(account: AccountNode, key: string): void {
    const cap = this.ledger(account.account).keys.get(key)?.cap ?? null;
    if (cap === null) return;
    const used = this.usedOfKey(account, key, SKEW_MS);
    if (used > cap.limit) this.sim.fail('a key stays below its cap', `${key}: ${used} of ${cap.limit}`);
  }

  private checkCapRefusal(account: AccountNode, key: string, what: string, required: bigint): void {
    const cap = this.ledger(account.account).keys.get(key)?.cap ?? null;
    const used = this.usedOfKey(account, key, -SKEW_MS);
    if (cap === null || used + required <= cap.limit)
      this.sim.fail('a key below its cap is not refused', `${what} of ${key}: ${used} + ${required} of ${cap?.limit}`);
  }

  /**
   * Spent in the cap's period, and held. A cost belongs to the period in which its call closes; a clock that goes back makes
   * the turn of the period uncertain by `afterMs`.
   */
  private usedOfKey(account: AccountNode, key: string, afterMs: number): bigint {
    const ledger = this.ledger(account.account);
    const period = ledger.keys.get(key)?.cap?.period ?? 'total';
    const turned = period !== 'total' && account.latest + afterMs >= NEW_MONTH;
    let used = 0n;
    for (const call of ledger.calls.values()) {
      if (call.key !== key) continue;
      if (call.closedAt === null) used += call.hold;
      else if (!turned || call.closedAt - afterMs >= NEW_MONTH) used += costOf(call);
    }
    return used;
  }

  // ── in the end ──

  /** What is not at rest yet, or null. */
  unrest(rents = false): string | null {
    for (const [account, { calls }] of this.ledgers)
      for (const [id, call] of calls) {
        // Instances are paid as long as there are any.
        if (call.kind === 'rent' && !rents) continue;
        if (call.closedAt === null) return `${account} has ${id} open`;
        if (!this.isFenced(account, call) && !this.sim.postgres.bank.calls.has(id)) return `${id} is not in Postgres`;
      }
    return null;
  }

  /** Whether nothing of a call can be billed any more. */
  isFenced(account: string, { epoch }: Pick<Held, 'epoch'>): boolean {
    return this.fenced.has(`${account}/${epoch}`);
  }

  /** After everything was idle for long. */
  private checkIdle(): void {
    const { sim } = this;
    const open = this.unrest(true);
    if (open !== null) sim.fail('what is opened is closed', open);
    for (const { account, epoch, state, amount, spent } of sim.postgres.bank.leases)
      if (state !== 'closed' && sumOf(amount) !== sumOf(spent))
        sim.fail('idle credit goes back', `${account} epoch ${epoch} (${state}) has ${sumOf(amount) - sumOf(spent)} of ${sumOf(amount)}`);
    for (const [account, { leases }] of this.ledgers)
      if (leases.size > 1) sim.fail('leases that are over are forgotten', `${account} keeps ${[...leases.keys()].join(', ')}`);
  }

  finish(): void {
    this.checkIdle();
    this.checkSums();
    for (const record of this.sim.postgres.bank.calls.values()) this.checkRecord(record);
  }

  /** What was paid in is in the purses, with the miners, or the fee. */
  private checkSums(): void {
    const { sim } = this;
    const { bank } = sim.postgres;
    const all = (purses: Iterable<bigint>): bigint => [...purses].reduce((a, b) => a + b, 0n);
    const there = all([...bank.posted.values()].map(sumOf)) + all(bank.pending.values()) + bank.fee;
    const paidIn = all([...bank.paidIn.values()].map(sumOf));
    if (there !== paidIn) sim.fail('no money is made or lost', `${there} of ${paidIn}`);
    for (const [account, { cash, promo }] of bank.posted) {
      const { held } = bank.balance(account);
      if (cash < held.cash || promo < held.promo) sim.fail('nobody spends what they do not have', account);
    }
    const spent = new Map<Lease | null, bigint>();
    for (const { accountId, leaseEpoch, costNanousd } of bank.calls.values()) {
      const lease = leaseEpoch === null ? null : bank.lease(accountId, leaseEpoch);
      spent.set(lease, (spent.get(lease) ?? 0n) + costNanousd);
    }
    for (const lease of bank.leases)
      if (sumOf(lease.spent) !== (spent.get(lease) ?? 0n))
        sim.fail(
          'a lease is spent by its calls alone',
          `${lease.account} epoch ${lease.epoch}: ${sumOf(lease.spent)}, its calls ${spent.get(lease) ?? 0n}`,
        );
    const total = all([...bank.calls.values()].map((record) => record.costNanousd));
    if (all(bank.pending.values()) + bank.fee !== total)
      sim.fail('a call is captured once', `${all(bank.pending.values()) + bank.fee} for calls of ${total}`);
  }

  private checkRecord(record: CallRecord): void {
    const { sim } = this;
    const { callId: id } = record;
    const call = this.ledger(record.accountId).calls.get(id);
    const ask = record.kind === 'rent' ? call : sim.oracle.calls.get(id)?.asked;
    if (call === undefined || ask == null || (record.kind === 'call') !== (call.kind === 'call'))
      return sim.fail('only calls that were opened are charged', id);
    if (this.fenced.get(`${record.accountId}/${record.leaseEpoch}`)?.has(id) === false)
      sim.fail('a lease that was taken back pays for nothing', id);
    const terms = call.kind !== 'call' ? call.terms : sim.tariff.termsFor(record.accountId, ask.terms);
    if (record.priceVersion !== call.terms.version || record.feeBps !== terms.feeBps)
      sim.fail('a call is charged by the terms it was opened with', `${id}: ${record.priceVersion}, not ${call.terms.version}`);
    const billed = record.attempts.map((row) => this.billOf(row, call, terms));
    const sum = billed.reduce((a, b) => a + b, 0n);
    const due = sum < call.hold ? sum : call.hold;
    if (record.costNanousd !== due)
      sim.fail(
        'a call costs what it came to, at most its hold',
        `${id}: ${record.costNanousd}, not ${due} (${billed.join(' + ')}, held ${call.hold})`,
      );
    record.attempts.forEach((row, i) => {
      if (row.costNanousd > (billed[i] ?? 0n))
        sim.fail('an attempt costs no more than it came to', `${id}/${row.attempt}: ${row.costNanousd}, not ${billed[i]}`);
      if (row.shareNanousd !== minersPart(row.costNanousd, terms)) sim.fail('a miner gets its part', `${id}/${row.attempt}`);
      if (call.refused.has(row.attempt)) sim.fail('what came too late is not charged', `${id}/${row.attempt}`);
    });
    if (record.attempts.length !== call.costs.size) sim.fail('a record has every attempt that was taken', id);
  }

  private billOf(row: UsageRecord, call: Held, terms: Terms): bigint {
    if (call.kind === 'bounty') return BigInt(terms.price.per_request);
    return call.kind === 'rent' ? this.rentOf(row, call) : this.sim.oracle.billOf(row, terms);
  }

  /** Of a period, the milliseconds that the instance served; no two of an instance overlap. */
  private rentOf(row: UsageRecord, call: Held): bigint {
    const ms = row.lastByteMs ?? 0;
    const periods = this.periods.get(row.instanceId) ?? [];
    this.periods.set(row.instanceId, [...periods, { from: row.startedAt, to: row.startedAt + ms }]);
    if (periods.some(({ from, to }) => row.startedAt < to && from < row.startedAt + ms) || ms > call.facts.timeoutMs)
      this.sim.fail('an instance is paid once for each moment', `${row.instanceId} from ${row.startedAt} for ${ms} ms`);
    return rented(call.terms, ms);
  }
}

/** When day, week and month begin at once (unix ms): Monday, 1 February 2027. */
export const NEW_MONTH = 1_801_440_000_000;
/** Milliseconds by which the clock of an Account may be behind. */
export const SKEW_MS = 4_000;

function heldBy(row: CallRow): Held {
  const { kind, key, terms, facts, hold, allowance, epoch, closedAt, cash, promo, attempts } = row;
  const taken = attempts.filter((a) => !a.refused);
  return {
    kind,
    key,
    terms,
    facts,
    hold,
    allowance,
    allowances: new Set(allowance === null ? [] : [allowance]),
    epoch,
    closedAt,
    instance: taken[0]?.settlement.instance ?? '',
    cash,
    promo,
    costs: new Map(taken.map((a) => [a.settlement.attempt, a.cost])),
    refused: new Set(attempts.filter((a) => a.refused).map((a) => a.settlement.attempt)),
  };
}

function sameTerms(a: Terms, b: Terms): boolean {
  const { version: _a, ...first } = a;
  const { version: _b, ...second } = b;
  return isDeepStrictEqual(first, second);
}

/** Up to a unit for every part that is rounded by itself. */
function isMost(hold: bigint, most: bigint): boolean {
  return hold >= most && hold <= most + 1n;
}

function costOf({ cash, promo }: Held): bigint {
  return cash + promo;
}

/** Of one lease: what its closed calls cost, and what its open calls hold. */
function usedOf({ calls }: Ledger, epoch: number): { cash: bigint; promo: bigint; held: bigint } {
  const used = { cash: 0n, promo: 0n, held: 0n };
  for (const call of calls.values()) {
    if (call.epoch !== epoch) continue;
    used.cash += call.cash;
    used.promo += call.promo;
    if (call.closedAt === null) used.held += call.hold;
  }
  return used;
}
