/** What `doctor` knows before it judges: gathered by `gather.ts`, never more than was seen, and no secret among it. */
import type { ChallengeReply, Device, WhyReason } from '#protocol';
import type { DeviceProof } from '../commands/edge.ts';
import type { Status } from '../control/status.ts';
import type { Judged } from '../strategy/offers.ts';

/** Something that was looked for: it, or in one line why not. */
export type Found<T> = { is: T } | { problem: string };

export interface EdgeWord {
  /** Why this agent has no work, as the edge sees it. */
  reasons: WhyReason[];
  /** Null: the edge knows no agent of this name. */
  connected: boolean | null;
}

export type Challenge =
  | { kind: 'asked'; reply: ChallengeReply; origin: string }
  /** `code` of the edge's refusal; empty: something that is no edge answered. */
  | { kind: 'refused'; code: string; detail: string }
  | { kind: 'silent'; problem: string };

/** Null where there was nothing to look for: no config, no proxy, no GPU. */
export interface Facts {
  /** Unix milliseconds here, and at the edge in the middle of its answer. */
  clock: { here: number; edge: number } | null;
  /** The config was read; `problem` says what it lacks. */
  config: Found<{ api: string; name: string }>;
  hotkey: Found<{ ss58: string; file: string; mode: number }> | null;
  data: Found<{ folder: string; pid: number | null }>;
  diskFreeMb: number | null;
  names: Found<string[]> | null;
  route: Found<string> | null;
  tls: Found<string> | null;
  proxy: ({ address: string } & ({ heldMs: number } | { problem: string; cut: boolean })) | null;
  challenge: Challenge | null;
  /** An upgrade without a login, which the edge refuses: the way of a WebSocket is open up to the edge. */
  socket: Found<string> | null;
  /** A session of its own, only where asked for and no agent runs: how long it held. */
  session: Found<{ heldMs: number }> | null;
  /** Of the agent that runs with this data folder. */
  status: Status | null;
  /** What the edge says of this agent; null: it was not asked, or does not answer. */
  edge: EdgeWord | null;
  /** What judges said of this machine's devices last; null: the edge was not asked, or does not answer. */
  proofs: DeviceProof[] | null;
  agentVersion: string;
  versions: readonly number[];
  gpus: { devices: Device[]; note: string | null };
  toolkit: string | null;
  engine: { socket: string; facts: string; rootFreeMb: number | null } | { socket: string; problem: string } | null;
  /** Engines of the operator's own, by chute. */
  engines: { chute: string; problem: string | null }[];
  /** Offers of the board as this machine would take them; null: the board was not read. */
  offers: Judged[] | null;
}
