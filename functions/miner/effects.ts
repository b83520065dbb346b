/** What the core of a Miner object asks its shell to do, in order, within one turn. */
import type { Down, Frame, InstanceReport, LogLine } from '#protocol';
import type { CallId, Load, RelayAnswer, RelayMeter, Settlement } from '../calls/ports.ts';
import type { Draft } from './challenge-row.ts';
import type { Row } from './rows.ts';

export type Effect =
  /** Durable before anything of this turn leaves the object. */
  | { do: 'put'; row: Row }
  | { do: 'delete'; keys: string[] }
  /** Wake me no later than this (unix ms). */
  | { do: 'alarm'; at: number }
  | { do: 'send'; frames: Frame[] }
  | { do: 'tell'; message: Down }
  | { do: 'close'; code: number; reason: string }
  /** Resolves `relay` or `attach` of an attempt. A reply without `body` is a stream fed by push, end and break. */
  | { do: 'answer'; attempt: string; answer: Answer }
  | { do: 'push'; attempt: string; bytes: Uint8Array }
  | { do: 'end'; attempt: string }
  /** The stream breaks once what was pushed is drained; `attach` then tells why. */
  | { do: 'break'; attempt: string }
  /** The request body may go on. */
  | { do: 'room'; attempt: string }
  | { do: 'settle'; account: string; settlements: Settlement[] }
  /** Ask the Account to pay for so many output tokens of this attempt; the answer comes back as `onExtended`. */
  | { do: 'extend'; attempt: string; call: CallId; account: string; tokens: number }
  | { do: 'report'; chute: string; report: InstanceReport; busy: number }
  | { do: 'load'; chute: string; loads: Load[] }
  | { do: 'freed'; chute: string; instance: string; offer: number }
  | { do: 'claim'; chute: string; version: string; ref: string }
  | { do: 'gone'; chute: string }
  | { do: 'log'; chute: string; instance: string; seq: number; lines: LogLine[] }
  | { do: 'blob'; stream: number; account: string; sha256: string; offset: number }
  | { do: 'blobCredit'; stream: number; offset: number }
  | { do: 'blobStop'; stream: number }
  | { do: 'pong'; id: string }
  /** Ask the beacon for this round; the answer comes back as `onPulse`. */
  | { do: 'pulse'; round: number }
  /** Write down how these challenges stand. */
  | { do: 'transcripts'; drafts: Draft[] }
  /** The agent's facts changed: keep the public record of it up to date. */
  | { do: 'record' };

export type Answer =
  | { kind: 'reply'; status: number; headers: [string, string][]; body: Uint8Array | null; meter?: RelayMeter }
  | Exclude<RelayAnswer, { kind: 'reply' }>;
