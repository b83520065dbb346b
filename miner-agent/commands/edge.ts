/** What the edge says of this hotkey: its public page, its money, and why it has no work. */
import * as z from 'zod/mini';
import { challengeReplySchema } from '#protocol';
import { MoneyRefused, readEarnings, readPublic, type EarningsAnswer, type MoneyEdge } from '../money/edge.ts';
import { reasonSchema } from '../control/status.ts';

const minerSchema = z.object({
  hotkey: z.string(),
  agents: z.array(z.object({ agent: z.string(), connected: z.nullable(z.boolean()), seen_at: z.number(), running: z.number() })),
  scores: z.array(
    z.object({
      judge: z.string(),
      score: z.number(),
      parts: z.object({ clean: z.boolean(), tests: z.number(), calls: z.number() }),
    }),
  ),
});
export type MinerPage = z.infer<typeof minerSchema>;

const whySchema = z.object({ agents: z.array(z.object({ agent: z.string(), state: z.string(), reasons: z.array(reasonSchema) })) });
export type EdgeWhy = z.infer<typeof whySchema>['agents'][number];

const verdictSchema = z.object({
  id: z.string(),
  kind: z.string(),
  target: z.string(),
  judge: z.string(),
  at: z.number(),
  reason: z.string(),
  outcome: z.string(),
  text: z.string(),
  next: z.string(),
  elapsed_ms: z.nullable(z.number()),
  rate: z.nullable(z.number()),
  class: z.nullable(z.string()),
  wrong: z.nullable(z.object({ at: z.string(), due: z.string(), given: z.string() })),
  cost: z.nullable(z.object({ gated_until: z.nullable(z.number()), forfeited_nanousd: z.string().check(z.regex(/^\d{1,19}$/)) })),
});
export type MinerVerdict = z.infer<typeof verdictSchema>;

const verdictsSchema = z.object({
  hotkey: z.string(),
  gated: z.nullable(z.object({ until: z.number(), reason: z.string(), challenge: z.string() })),
  items: z.array(verdictSchema),
});
export type MinerVerdicts = z.infer<typeof verdictsSchema>;

/** What judges said of a device last: the newest `pow.mm` of each target. */
export type DeviceProof = Pick<MinerVerdict, 'target' | 'reason' | 'outcome' | 'rate' | 'class' | 'at'>;

export interface EdgeFacts {
  /** Null: no agent of the hotkey was ever connected, or the edge does not answer. */
  miner: MinerPage | null;
  earnings: EarningsAnswer | null;
  /** Null: not known. */
  proofs: DeviceProof[] | null;
  /** Nano-USD of the last 24 hours. */
  day: bigint | null;
  /** Why something is missing, in one line; null: nothing is. */
  problem: string | null;
}

/** Never throws for what the edge or the network does. */
export async function readEdgeFacts(edge: MoneyEdge): Promise<EdgeFacts> {
  const problems: string[] = [];
  const attempt = async <T>(work: Promise<T>): Promise<T | null> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof MoneyRefused)) throw error;
      if (error.code !== 'not_found') problems.push(error.message);
      return null;
    }
  };
  const [miner, earnings, verdicts] = await Promise.all([
    attempt(readPublic(edge, `/miners/${edge.hotkey.ss58}`, minerSchema)),
    attempt(readEarnings(edge, 1)),
    attempt(readVerdicts(edge)),
  ]);
  const day = earnings === null ? null : earnings.chutes.reduce((sum, chute) => sum + BigInt(chute.share_nanousd), 0n);
  return { miner, earnings, proofs: verdicts === null ? null : proofsOf(verdicts), day, problem: problems[0] ?? null };
}

/** The newest page of the hotkey's verdicts. Throws `MoneyRefused`. */
export function readVerdicts(edge: MoneyEdge): Promise<MinerVerdicts> {
  return readPublic(edge, `/miners/${edge.hotkey.ss58}/verdicts`, verdictsSchema);
}

export function proofsOf({ items }: MinerVerdicts): DeviceProof[] {
  const newest = new Map<string, DeviceProof>();
  for (const { kind, target, reason, outcome, rate, class: of, at } of items) {
    if (kind === 'pow.mm' && !newest.has(target)) newest.set(target, { target, reason, outcome, rate, class: of, at });
  }
  return [...newest.values()];
}

/** What the edge says of the agent of this name; null: it was never connected. Throws `MoneyRefused`. */
export async function readEdgeWhy(edge: MoneyEdge, name: string): Promise<EdgeWhy | null> {
  const { ss58 } = edge.hotkey;
  try {
    const [{ agent }, { agents }] = await Promise.all([
      readPublic(edge, '/agents/challenge', challengeReplySchema, { hotkey: ss58, name }),
      readPublic(edge, `/miners/${ss58}/why`, whySchema),
    ]);
    return agents.find((known) => known.agent === agent) ?? null;
  } catch (error) {
    if (error instanceof MoneyRefused && error.code === 'not_found') return null;
    throw error;
  }
}
