/**
 * What an Account keeps: rows of one table `(kind, id, value)`, `value` being JSON with amounts as decimal texts. A core
 * is rebuilt from them at any point. Additive changes only: the next deploy reads the rows of this one.
 */
import type { Scope, Settlement } from '../calls/ports.ts';
import type { Price, QuoteFacts, Terms } from '../prices/terms.ts';

export interface ProfileRow {
  account: string;
  hotkey: string;
  handle: string;
  createdAt: number;
}

export interface KeyRow {
  key: string;
  name: string;
  proof: string;
  scopes: Scope[];
  createdAt: number;
  /** Unix milliseconds; null: never. */
  expiresAt: number | null;
  /** A revoked key stays until Postgres knows it. */
  revokedAt: number | null;
  mirrored: boolean;
  /** The most its calls may come to; absent or null: no end but the account's own. */
  cap?: KeyCap | null;
}

export type CapPeriod = 'total' | 'day' | 'week' | 'month';

/** Periods are of UTC; a week starts on Monday. */
export interface KeyCap {
  /** Nano-USD. */
  limit: bigint;
  period: CapPeriod;
}

/** One attempt as it was taken over. */
export interface AttemptRow {
  settlement: Settlement;
  /** Nano-USD charged for it. */
  cost: bigint;
  takenAt: number;
  /** It came after the call was over, or from a fenced agent: not charged, and not told to Postgres. */
  refused: boolean;
}

/** What an agent came to in the inquiry after the deadline. Only `silent` and `running` are asked again. */
export interface InquiryState {
  state: 'silent' | 'running' | 'settled' | 'never' | 'fenced';
  /** Unix milliseconds since it is so. */
  since: number;
}

/** A call: the hold while it is open, the story of it afterwards. */
export interface CallRow {
  call: string;
  /** `rent`: a period of an instance of a private chute. `bounty`: for the miner that started a cold one. */
  kind: 'call' | 'rent' | 'bounty';
  /** Empty for a rent and a bounty. */
  key: string;
  chute: string;
  version: string;
  /** What it is charged by, whatever prices do meanwhile. */
  terms: Terms;
  facts: QuoteFacts;
  /** Nano-USD held while open: the most the attempts together may cost. */
  hold: bigint;
  /** Of the lease that the hold is part of; null: nothing is held. */
  epoch: number | null;
  /** Output tokens the hold pays for; null: all that may come. */
  allowance: number | null;
  agents: string[];
  openedAt: number;
  deadlineAt: number;
  attempts: AttemptRow[];
  inquiry: Record<string, InquiryState>;
  closedAt: number | null;
  /** Why it came to nothing; empty if it did not. */
  code: string;
  /** Place in the outbox, given when it closes; null: it is open. */
  seq: number | null;
  /** Nano-USD it cost, in parts; 0 while it is open. */
  cash: bigint;
  promo: bigint;
}

export interface NonceRow {
  nonce: string;
  expiresAt: number;
}

/** A closed call that Postgres will not take. */
export interface PoisonRow {
  call: CallRow;
  at: number;
}

/** Calls of the outbox up to here are in Postgres (or poison). */
export interface MetaRow {
  flushed: number;
}

/** Credit taken from Postgres, in nano-USD. What is spent counts calls that are flushed; the others say it themselves. */
export interface LeaseRow {
  epoch: number;
  /** The last move that was answered, and what had been granted by then, in all. */
  n: number;
  cash: bigint;
  promo: bigint;
  cashSpent: bigint;
  promoSpent: bigint;
  /** Written before it is sent, and sent until it is answered. */
  moving: LeaseMove | null;
  /** Unix milliseconds of the last answer, and what the account had outside of its leases then. */
  movedAt: number;
  cashLeft: bigint;
  promoLeft: bigint;
}

export interface LeaseMove {
  n: number;
  /** Above 0: so much is wanted. Below: `cash` and `promo` go back. */
  want: bigint;
  cash: bigint;
  promo: bigint;
}

/** What a key has spent, in nano-USD. Like a lease it counts calls that are flushed. */
export interface TallyRow {
  key: string;
  total: bigint;
  day: PeriodTally;
  week: PeriodTally;
  month: PeriodTally;
}

export interface PeriodTally {
  /** Unix milliseconds. */
  start: number;
  spent: bigint;
}

/** The account's own price of a chute, or of all (`*`). What it leaves out stays as the chute asks. */
export interface Override {
  chute: string;
  price?: Price;
  discountBps?: number;
  version: string;
  startsAt: number;
  endsAt: number | null;
}

export interface Webhook {
  url: string;
  /** `whsec_…` */
  secret: string;
}

export interface AlertSettings {
  /** Nano-USD; null: no alert. */
  below: bigint | null;
  /** In rising order. */
  capPercent: number[];
  webhook: Webhook | null;
}

export interface AlertRow {
  id: string;
  at: number;
  kind: 'balance_below' | 'cap_percent';
  key: string | null;
  percent: number | null;
  /** Nano-USD: the amount that was crossed (of a key: its cap), and what it came to. */
  limit: bigint;
  value: bigint;
  /** Deliveries begun, and unix milliseconds of the next; null: none is to come. */
  tries: number;
  sendAt: number | null;
  deliveredAt: number | null;
}

export interface AlertsRow {
  settings: AlertSettings;
  /** Number of the next alert. */
  next: number;
  isBelow: boolean;
  /** By key: the highest percentage told in this period of this cap. */
  fired: Record<string, { resetsAt: number | null; limit: bigint; percent: number }>;
  /** Newest first. */
  list: AlertRow[];
}

export interface OverridesRow {
  list: Override[];
}

export interface RowKinds {
  profile: ProfileRow;
  key: KeyRow;
  call: CallRow;
  nonce: NonceRow;
  poison: PoisonRow;
  meta: MetaRow;
  lease: LeaseRow;
  tally: TallyRow;
  overrides: OverridesRow;
  alerts: AlertsRow;
}

export type RowKind = keyof RowKinds;
export type Row = { [K in RowKind]: { kind: K; id: string; value: RowKinds[K] } }[RowKind];

/** Spelled out rather than by a visitor of every field: an object reads thousands of rows when it wakes. */
export function encodeRow(row: Row): string {
  switch (row.kind) {
    case 'call':
      return JSON.stringify(callOut(row.value));
    case 'poison':
      return JSON.stringify({ ...row.value, call: callOut(row.value.call) });
    case 'key':
      return JSON.stringify({ ...row.value, cap: row.value.cap ? { ...row.value.cap, limit: row.value.cap.limit.toString() } : null });
    case 'lease':
    case 'tally':
    case 'alerts':
      return JSON.stringify(row.value, (_, v: unknown) => (typeof v === 'bigint' ? v.toString() : v));
    case 'profile':
    case 'nonce':
    case 'meta':
    case 'overrides':
      return JSON.stringify(row.value);
  }
}

/** The inverse of `encodeRow`; the text is our own, so its form is trusted. */
export function decodeRow(kind: string, id: string, text: string): Row {
  const row = { kind, id, value: JSON.parse(text) as unknown } as Row;
  if (row.kind === 'call') callIn(row.value);
  else if (row.kind === 'poison') callIn(row.value.call);
  else if (row.kind === 'key' && row.value.cap) row.value.cap.limit = BigInt(row.value.cap.limit);
  else if (row.kind === 'lease') leaseIn(row.value);
  else if (row.kind === 'tally') tallyIn(row.value);
  else if (row.kind === 'alerts') alertsIn(row.value);
  return row;
}

function callOut(row: CallRow) {
  return {
    ...row,
    hold: row.hold.toString(),
    cash: row.cash.toString(),
    promo: row.promo.toString(),
    attempts: row.attempts.map((attempt) => ({ ...attempt, cost: attempt.cost.toString() })),
  };
}

function callIn(row: CallRow): void {
  row.hold = BigInt(row.hold);
  row.cash = BigInt(row.cash);
  row.promo = BigInt(row.promo);
  for (const attempt of row.attempts) attempt.cost = BigInt(attempt.cost);
}

function leaseIn(row: LeaseRow): void {
  for (const field of ['cash', 'promo', 'cashSpent', 'promoSpent', 'cashLeft', 'promoLeft'] as const) row[field] = BigInt(row[field]);
  if (row.moving !== null) row.moving = { n: row.moving.n, ...bigints(row.moving) };
}

function bigints({ want, cash, promo }: LeaseMove) {
  return { want: BigInt(want), cash: BigInt(cash), promo: BigInt(promo) };
}

function tallyIn(row: TallyRow): void {
  row.total = BigInt(row.total);
  for (const period of [row.day, row.week, row.month]) period.spent = BigInt(period.spent);
}

function alertsIn(row: AlertsRow): void {
  const { settings } = row;
  if (settings.below !== null) settings.below = BigInt(settings.below);
  for (const fired of Object.values(row.fired)) fired.limit = BigInt(fired.limit);
  for (const alert of row.list) {
    alert.limit = BigInt(alert.limit);
    alert.value = BigInt(alert.value);
  }
}
