/**
 * Everything that passed in a challenge, as the edge saw it, for everybody to judge. The edge measures times and relays; it
 * decides nothing. What is big (the opening) lies beside it under its hash.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import * as z from 'zod/mini';
import { CHALLENGE_KINDS, type ChallengeKind } from './suite.ts';
import { loginSchema } from '../hello.ts';

const id = z.string().check(z.minLength(1), z.maxLength(64));
const count = z.number().check(z.int(), z.nonnegative());
const hex32 = z.string().check(z.regex(/^[0-9a-f]{64}$/));

/** `agent/device`, or an instance. */
const targetSchema = z.string().check(z.minLength(1), z.maxLength(130));

/** Ed25519 by the session key over `commitText`. */
export const commitmentSchema = z.object({
  /** `pow.*`: root of the work, hex. */
  root: hex32,
  /** The newest round of the beacon that the agent had seen. */
  seen: count,
  /** What did the work: `cpu`, `triton`, … */
  helper: z.string().check(z.maxLength(32)),
  signature: z.string().check(z.regex(/^[0-9a-f]{128}$/)),
});
export type Commitment = z.infer<typeof commitmentSchema>;

/** Why a challenge stands still for ever: `opened` with an opening; else what did not come. `no_pulse`: the edge got none from the beacon. */
export const ENDS = ['opened', 'declined', 'no_commit', 'no_opening', 'disconnected', 'no_pulse'] as const;

export const transcriptSchema = z.object({
  v: z.literal(1),
  /** `challengeId`. */
  id,
  kind: z.enum(CHALLENGE_KINDS),
  target: targetSchema,
  /** In Unix seconds, begin of the slot that it belongs to; and whether the schedule says so, or a judge asked for a repeat. */
  slot: count,
  scheduled: z.boolean(),
  hotkey: z.string().check(z.maxLength(60)),
  agent: id,
  /** Of the agent, for a device; what it says of itself. */
  device: z.nullable(z.object({ id, kind: z.enum(['cpu', 'gpu']), name: z.string().check(z.maxLength(128)), memoryMb: count })),
  /** For `fs` and `weights`: the instance, its version, and the manifest it must have. */
  instance: z.nullable(z.object({ instance: id, chute: id, version: z.string().check(z.maxLength(64)), manifest: hex32, leaves: count })),
  /** Name of the class that it was tested as; profile and steps (`workFor`) follow from the suite and are told here too. */
  class: z.string().check(z.maxLength(32)),
  profile: z.string().check(z.maxLength(32)),
  steps: count,
  /** Round that seeds it: `seedingRound` of the slot, or a later one that was not out when the device's turn came. */
  round: count,
  /** Unix milliseconds at which the agent was sent the seed, 0: it was gone before; and the least round trip to it within 24 h. */
  sent_at: count,
  rtt_ms: z.nullable(count),
  /** The login whose session key signs: anyone can check that it is the hotkey's. */
  login: loginSchema,
  commit: z.nullable(z.extend(commitmentSchema, { at: count })),
  /** Round that names the samples: the first that came out after the commit. */
  sample: z.nullable(z.object({ round: count, sent_at: count })),
  /** SHA-256 and bytes of what was opened, and when all of it had come. */
  opening: z.nullable(z.object({ sha256: hex32, bytes: count, at: count })),
  /** What the agent said instead of a commit. */
  declined: z.nullable(z.string().check(z.maxLength(128))),
  end: z.enum(ENDS),
  ended_at: count,
});
export type Transcript = z.infer<typeof transcriptSchema>;

/** Nobody's name is in it: whoever asks for a challenge of this target and slot asks for the same one. */
export function challengeId(kind: ChallengeKind, target: string, slot: number): string {
  return `chl_${sha256Hex(`ripcord/challenge/1\n${kind}\n${target}\n${slot}`).slice(0, 32)}`;
}

/** The text an agent signs with a commit. */
export function commitText(c: { id: string; root: string; seen: number; helper: string }): string {
  return ['ripcord-commit/1', c.id, c.root, String(c.seen), c.helper].join('\n');
}

/** The seed of one challenge: 32 bytes, hex, out of a pulse that nobody knew when it was scheduled. */
export function challengeSeed(c: { kind: ChallengeKind; randomness: string; hotkey: string; target: string; id: string }): string {
  return sha256Hex(['ripcord-seed/1', c.kind, c.randomness, c.hotkey, c.target, c.id].join('\n'));
}

function sha256Hex(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}
