/**
 * Shares long work out: the Worker calls itself once per part, so each has an invocation of its own with its own CPU and connections.
 * A part that fails is left to the next tick.
 */
import * as z from 'zod/mini';
import { VERDICT_REASONS, type Transcript } from '#protocol/challenge/index.ts';
import type { Bench } from '../bench.ts';
import { readText } from '../bounded.ts';
import { fanOut } from '../fan-out.ts';
import { batches, MOST_PARTS } from './batches.ts';
import { countOutcomes, judgeAll } from './judge.ts';

/** Body and answer of `POST /internal/judge`. */
export const partSchema = z.object({
  ids: z.array(z.string().check(z.minLength(1), z.maxLength(64))).check(z.minLength(1), z.maxLength(64)),
});
const answerSchema = z.object({ reasons: z.array(z.enum(VERDICT_REASONS)).check(z.maxLength(64)) });
const ANSWER_BYTES = 64 * 1024;

export interface Judged {
  judged: number;
  outcomes: Record<string, number>;
  /** Parts that failed, and transcripts that the next tick will judge. */
  failed: number;
  left: number;
}

/** `transcripts`: ended ones. */
export async function judgeOpen(bench: Bench, transcripts: readonly Transcript[], judged: ReadonlySet<string>): Promise<Judged> {
  const parts = batches(transcripts, judged, bench.config.self === null ? MOST_PARTS.alone : MOST_PARTS.shared);
  const done = await fanOut(parts, (ids) => judgePart(bench, ids).catch(() => null));
  const reasons = done.flatMap((part) => part ?? []);
  const open = new Set(transcripts.map((t) => t.id).filter((id) => !judged.has(id))).size;
  return {
    judged: reasons.length,
    outcomes: countOutcomes(reasons),
    failed: done.filter((part) => part === null).length,
    left: open - reasons.length,
  };
}

async function judgePart(bench: Bench, ids: readonly string[]): Promise<{ reason: (typeof VERDICT_REASONS)[number] }[]> {
  const { self } = bench.config;
  if (self === null) return judgeAll(bench, ids);
  const reply = await fetch(`${self.origin}/internal/judge`, {
    method: 'POST',
    headers: { authorization: `Bearer ${self.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ids }),
    redirect: 'manual',
    signal: bench.signal,
  });
  const { text } = await readText(reply.body, ANSWER_BYTES);
  if (!reply.ok) throw new Error(`a part of the judge answered ${reply.status}`);
  return z.parse(answerSchema, JSON.parse(text)).reasons.map((reason) => ({ reason }));
}
