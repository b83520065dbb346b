/** What of a Miner object survives it: rows of one table, each with a key, a kind and JSON. */
import type { Inventory, Login, Manifest } from '#protocol';
import type { CallId, RelayAsk, Settlement } from '../calls/ports.ts';
import type { ChallengeRow } from './challenge-row.ts';
import type { GateRow } from './gate.ts';
import type { PastRow } from './past.ts';
import type { RepeatsRow } from './repeats.ts';
import type { RttRow } from './rtt.ts';

export interface AgentRow {
  kind: 'agent';
  key: 'agent';
  agent: string;
  hotkey: string;
  name: string;
  inventory: Inventory | null;
  /** X25519, hex, of the newest login. Absent in rows of an older deploy. */
  sealKey?: string;
  /** The newest, whose session key signs. Absent in rows of an older deploy. */
  login?: Login;
  /** Sessions so far; a session acts only while its epoch is the newest. */
  epoch: number;
}

/** Written before OPEN leaves; gone once its settlement is acknowledged. */
export interface AttemptRow {
  kind: 'attempt';
  key: string;
  ask: Omit<RelayAsk, 'headers' | 'path' | 'method'>;
  agent: string;
  hotkey: string;
  /** Of the agent; absent in rows of an older deploy. */
  region?: string;
  stream: number;
  startedAt: number;
  /** Of a body that came whole; 0: it is streamed. */
  requestBytes: number;
  /** Its Account has the settlement; the row waits for the client to take the end of its reply. */
  settled?: true;
}

export interface SettlementRow {
  kind: 'settlement';
  key: string;
  settlement: Settlement;
  /** The reply ended, but its client may come back for the rest of it. */
  attempt?: AttemptRow;
}

/** The Account was told `never`: a late dispatch of this call is refused until then (unix ms). */
export interface TombstoneRow {
  kind: 'tombstone';
  key: string;
  call: CallId;
  until: number;
}

export interface InstanceRow {
  kind: 'instance';
  key: string;
  instance: string;
  chute: string;
  version: string;
  slots: number;
  state: 'starting' | 'live' | 'draining';
  /** The code folder its grant names, and whose it is; the only blob the agent may fetch for it. */
  code: { sha256: string; account: string } | null;
  /** What it must have: its code folder, and the folder of its model. Absent: nothing that a challenge can ask for. */
  manifest?: Manifest;
  weights?: Manifest;
}

export type Row =
  | AgentRow
  | AttemptRow
  | SettlementRow
  | TombstoneRow
  | InstanceRow
  | PastRow
  | ChallengeRow
  | GateRow
  | RepeatsRow
  | RttRow;

export const attemptKey = (call: CallId, attempt: number): string => `${call}/${attempt}`;
export const instanceRowKey = (instance: string): string => `i:${instance}`;
export const tombstoneKey = (call: CallId): string => `t:${call}`;
