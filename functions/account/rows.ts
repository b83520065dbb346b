/**
 * What an Account keeps: rows of one table `(kind, id, value)`, `value` being JSON with amounts as decimal texts. A core
 * is rebuilt from them at any point. Additive changes only: the next deploy reads the rows of this one.
 */
import type { Scope, Settlement } from '../calls/ports.ts';
import type { QuoteFacts, Terms } from '../prices/terms.ts';

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
}

/** One attempt as it was taken over. */
export interface AttemptRow {
  settlement: Settlement;
  /** Nano-USD captured for it. */
  cost: bigint;
  takenAt: number;
  /** Place in the outbox; null: refused, so not charged and not told to Postgres. */
  seq: number | null;
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
  key: string;
  chute: string;
  version: string;
  /** What it is charged by, whatever prices do meanwhile. */
  terms: Terms;
  facts: QuoteFacts;
  /** Nano-USD held while open: the most the attempts together may capture. */
  hold: bigint;
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
}

export interface NonceRow {
  nonce: string;
  expiresAt: number;
}

/** A usage row that Postgres will not take. */
export interface PoisonRow {
  attempt: AttemptRow;
  at: number;
}

/** Rows of the outbox up to here are in Postgres (or poison). */
export interface MetaRow {
  flushed: number;
}

export interface RowKinds {
  profile: ProfileRow;
  key: KeyRow;
  call: CallRow;
  nonce: NonceRow;
  poison: PoisonRow;
  meta: MetaRow;
}

export type RowKind = keyof RowKinds;
export type Row = { [K in RowKind]: { kind: K; id: string; value: RowKinds[K] } }[RowKind];

/** Spelled out rather than by a visitor of every field: an object reads thousands of rows when it wakes. */
export function encodeRow(row: Row): string {
  if (row.kind === 'call')
    return JSON.stringify({ ...row.value, hold: row.value.hold.toString(), attempts: row.value.attempts.map(attemptOut) });
  if (row.kind === 'poison') return JSON.stringify({ ...row.value, attempt: attemptOut(row.value.attempt) });
  return JSON.stringify(row.value);
}

/** The inverse of `encodeRow`; the text is our own, so its form is trusted. */
export function decodeRow(kind: string, id: string, text: string): Row {
  const row = { kind, id, value: JSON.parse(text) as unknown } as Row;
  if (row.kind === 'call') {
    row.value.hold = BigInt(row.value.hold);
    row.value.attempts.forEach(attemptIn);
  }
  if (row.kind === 'poison') attemptIn(row.value.attempt);
  return row;
}

function attemptOut(attempt: AttemptRow) {
  return { ...attempt, cost: attempt.cost.toString() };
}

function attemptIn(attempt: AttemptRow): void {
  attempt.cost = BigInt(attempt.cost);
}
