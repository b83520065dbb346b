/** How often each cheat is caught, and how often an honest agent is: counted, not computed. */
import { VERDICTS, type Outcome, type VerdictReason } from '#protocol/challenge/verdict.ts';
import { CHEATS, type Cheat } from './cheats.ts';
import { ask, honest, makeAgent, makeJudge, play } from './stage.ts';

export interface Count {
  name: string;
  challenges: number;
  outcomes: Partial<Record<Outcome, number>>;
  reasons: Partial<Record<VerdictReason, number>>;
  /** Those that passed, and the most that may by chance once in a million counts. */
  passed: number;
  most: number;
}

/** Plays one cheat until so many challenges are judged. */
export function count(cheat: Cheat, challenges: number): Count {
  const [agent, other, judge] = [makeAgent(1), makeAgent(2), makeJudge()];
  const reasons: Partial<Record<VerdictReason, number>> = {};
  let judged = 0;
  for (let nth = 0; judged < challenges; nth++) {
    for (const { reason } of cheat.play({ agent, other, nth, judge })) {
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      judged += 1;
    }
  }
  const expected = cheat.escapes * judged;
  const most = cheat.escapes === 0 ? 0 : Math.ceil(expected + 5 * Math.sqrt(expected) + 5);
  return { name: cheat.name, challenges: judged, outcomes: outcomesOf(reasons), reasons, passed: reasons.proven ?? 0, most };
}

/** Honest proofs of the smallest size, at any time within the window. */
export function countHonest(challenges: number): Count {
  const [agent, judge] = [makeAgent(3), makeJudge()];
  const reasons: Partial<Record<VerdictReason, number>> = {};
  for (let nth = 0; nth < challenges; nth++) {
    // One in two hundred shows its memory instead.
    const asked = ask(agent, 'small', nth, nth % 200 === 199 ? 'pow.mem' : 'pow.mm');
    const { transcript, bytes } = play(agent, asked, honest(asked.work), { afterMs: 2_000 + ((nth * 997) % 3_000) });
    const { reason } = judge(transcript, bytes);
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  return { name: 'honest', challenges, outcomes: outcomesOf(reasons), reasons, passed: reasons.proven ?? 0, most: challenges };
}

export function countCheats(challenges: number): Count[] {
  return CHEATS.map((cheat) => count(cheat, challenges));
}

function outcomesOf(reasons: Partial<Record<VerdictReason, number>>): Partial<Record<Outcome, number>> {
  const outcomes: Partial<Record<Outcome, number>> = {};
  for (const [reason, times] of Object.entries(reasons)) {
    const { outcome } = VERDICTS[reason as VerdictReason];
    outcomes[outcome] = (outcomes[outcome] ?? 0) + times;
  }
  return outcomes;
}
