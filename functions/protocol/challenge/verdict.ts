/** What a judge makes of a transcript, with its reason, for the miner and for everybody. */
import * as z from 'zod/mini';
import { CHALLENGE_KINDS } from './suite.ts';

/**
 * `pass`; `soft`: counts against the miner's reliability and rate; `hard`: proven false, the gate shuts; `void`: nobody's doing, never
 * counts. Each with what it means and what the miner can do.
 */
export const VERDICTS = {
  proven: { outcome: 'pass', text: 'Every sample is right and in time.', next: 'Nothing.' },
  too_slow: {
    outcome: 'soft',
    text: 'Right, but later than the class allows.',
    next: 'See what else runs on the device; it is paid by the rate it proves.',
  },
  too_fast: { outcome: 'soft', text: 'Right, but sooner than a device of the class can be.', next: 'Declare the device as what it is.' },
  slow_opening: { outcome: 'soft', text: 'The bytes came late.', next: 'Look at the disk and at the uplink.' },
  no_commit: { outcome: 'soft', text: 'No commit came in time.', next: 'See `ripcord-miner logs`; run `ripcord-miner prove`.' },
  no_opening: {
    outcome: 'soft',
    text: 'Work that was committed to, or files that were asked for, were never opened.',
    next: 'See `ripcord-miner logs`; look at the uplink.',
  },
  unproven: { outcome: 'soft', text: 'The agent has no prover for this device.', next: 'It earns no capacity until a helper proves it.' },
  disconnected: { outcome: 'void', text: 'The agent was gone before it was sent the seed.', next: 'Nothing.' },
  bad_record: { outcome: 'void', text: "What the edge recorded contradicts itself or the suite; not the miner's doing.", next: 'Nothing.' },
  no_pulse: { outcome: 'void', text: 'The edge had no pulse of the beacon.', next: 'Nothing.' },
  wrong_leaf: {
    outcome: 'hard',
    text: 'A sampled leaf is not what the work gives.',
    next: 'Run `ripcord-miner prove`, and `ripcord-verify transcript` on this one.',
  },
  wrong_root: {
    outcome: 'hard',
    text: 'What was opened is not what was committed to.',
    next: 'Run `ripcord-miner prove`, and `ripcord-verify transcript` on this one.',
  },
  wrong_bytes: {
    outcome: 'hard',
    text: 'A file is not the one that was deployed.',
    next: 'Clear the cache of the chute and start it again.',
  },
  wrong_signature: { outcome: 'hard', text: 'The commit is not signed by the session of the hotkey.', next: 'Update the agent.' },
  malformed: { outcome: 'hard', text: 'What was opened has not the form of an opening.', next: 'Update the agent.' },
  back_dated: {
    outcome: 'hard',
    text: 'The commit names a round that was not out, or one older than its seed.',
    next: 'Set the clock; update the agent.',
  },
} as const satisfies Record<string, { outcome: 'pass' | 'soft' | 'hard' | 'void'; text: string; next: string }>;
export type VerdictReason = keyof typeof VERDICTS;
export type Outcome = (typeof VERDICTS)[VerdictReason]['outcome'];
export const VERDICT_REASONS = Object.keys(VERDICTS) as [VerdictReason, ...VerdictReason[]];

const count = z.number().check(z.int(), z.nonnegative());

export const verdictSchema = z.strictObject({
  /** Of the challenge. */
  id: z.string().check(z.minLength(1), z.maxLength(64)),
  kind: z.enum(CHALLENGE_KINDS),
  target: z.string().check(z.minLength(1), z.maxLength(130)),
  hotkey: z.string().check(z.minLength(40), z.maxLength(60)),
  reason: z.enum(VERDICT_REASONS),
  /** Milliseconds from seed to commit, less the credited round trip; null where none came. */
  elapsed_ms: z.nullable(count),
  /** `pow.mm`: 10⁶ multiply-adds per second; `pow.mem`: reads per second; else null. */
  rate: z.nullable(count),
  /** Name of the class that it proves; null: none. */
  class: z.nullable(z.string().check(z.maxLength(32))),
  /** The first sample that is wrong: what was asked, what the work gives, what was given. */
  wrong: z.nullable(
    z.strictObject({
      at: z.string().check(z.maxLength(96)),
      due: z.string().check(z.maxLength(160)),
      given: z.string().check(z.maxLength(160)),
    }),
  ),
});
export type Verdict = z.infer<typeof verdictSchema>;

/** The first thing that is wrong in a proof: what was asked, what the work gives, what was given. */
export interface Wrong extends NonNullable<Verdict['wrong']> {
  reason: VerdictReason;
}

/** As the edge gives it back. `slot`: of the challenge; `at`: when it came, unix ms. */
export interface StoredVerdict extends Verdict {
  judge: string;
  slot: number;
  at: number;
}
