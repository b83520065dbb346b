/** What a core asks of its shell after an event. */
import type { CallId } from '../calls/ports.ts';
import type { AlertRow, CallRow, KeyRow, LeaseMove, Row, RowKind, Webhook } from './rows.ts';

export type Effect =
  /** In the same turn, before anything leaves the object; the row is live, so it is written out at once. */
  | { kind: 'put'; row: Row }
  | { kind: 'delete'; row: RowKind; id: string }
  /** The one alarm; null takes it away. */
  | { kind: 'alarm'; at: number | null }
  /** Ask this agent's Miner object; the answer comes back as `inquired`. */
  | { kind: 'inquire'; call: CallId; agent: string }
  /** One statement to Postgres; the answer comes back as `flushed` or `flushFailed`. */
  | { kind: 'flush'; through: number; calls: CallRow[] }
  /** Keys to Postgres; the answer comes back as `mirrored` or `mirrorFailed`. */
  | { kind: 'mirror'; keys: KeyRow[] }
  /** An alert to where the account wants it; the answer comes back as `posted`. */
  | { kind: 'post'; alert: AlertRow; webhook: Webhook }
  /** Credit from or to Postgres, at once; the answer comes back as `moved` or `moveFailed`. */
  | ({ kind: 'draw'; epoch: number } & LeaseMove);

/** An answer, and what must be done before it is given. */
export interface Turn<A> {
  answer: A;
  effects: Effect[];
}
