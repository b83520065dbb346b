/** How often canaries are right: the real questions, comparison and test, over many sessions of honest miners and of cheats. */
import { comparedAsks } from '../../validator-cron/canary/ask.ts';
import { session, MOST_ASKS, type Asker, type Session } from '../../validator-cron/canary/session.ts';
import { follow } from '../../validator-cron/canary/sprt.ts';
import { rankOf } from '../../validator-cron/rank.ts';
import { Random } from '../sim/random.ts';
import { runs, type ModelFacts } from './models.ts';

/** As the hardware of another honest miner computes. */
const HONEST: ModelFacts = { name: 'deployed', noise: 0.01 };

/** Suspects by what they run. */
export const SUSPECTS = {
  /** The control. */
  honest: HONEST,
  /** D9: calls are passed on to another model. */
  other_model: { name: 'cheaper', noise: 0 },
  /** D10: the same model in coarser weights. */
  coarse_weights: { name: 'deployed', noise: 0.1 },
  coarser_weights: { name: 'deployed', noise: 0.3 },
} as const satisfies Record<string, ModelFacts>;

export interface CanaryFigures {
  sessions: number;
  swapped: number;
  same: number;
  open: number;
  /** Mean tokens of the suspect that were compared until the first test was decided. */
  tokens: number;
}

/** Sessions of one kind of suspect; every referee is an honest miner. */
export async function sessionsOf(suspect: ModelFacts, count: number, seed: number): Promise<CanaryFigures> {
  const figures: CanaryFigures = { sessions: count, swapped: 0, same: 0, open: 0, tokens: 0 };
  for (let at = 0; at < count; at++) {
    const { end, duels } = await one(suspect, new Random(seed + at));
    if (end === 'swapped') figures.swapped += 1;
    else if (end === 'same') figures.same += 1;
    else figures.open += 1;
    figures.tokens += duels[0]?.compared ?? 0;
  }
  return { ...figures, tokens: Math.round(figures.tokens / count) };
}

function one(suspect: ModelFacts, random: Random): Promise<Session> {
  const beacon = random.hex(64);
  const answers = runs(suspect, new Random(random.u32()));
  const honest = runs(HONEST, new Random(random.u32()));
  const asker: Asker = async (who, ask) => (who === 'suspect' ? answers(ask) : honest(ask));
  const asks = REFEREES.map((_, duel) => comparedAsks(MOST_ASKS, (at) => rankOf(beacon, `ask ${duel}`, String(at))));
  return session(asker, REFEREES, asks);
}

const instance = { chute: 'cht_1', name: 'a/b', version: 'v', template: 'openai', health: '/health', cords: [] } as const;
const REFEREES = ['one', 'two', 'three'].map((entity) => ({ entity, instance: { ...instance, instance: `ins_${entity}`, cords: [] } }));

/** Wald's test alone, over places that differ by chance: how often it says `other`, `same`, and after how many places. */
export function decisions(rate: number, count: number, seed: number): { other: number; same: number; undecided: number; places: number } {
  const random = new Random(seed);
  const figures = { other: 0, same: 0, undecided: 0, places: 0 };
  for (let at = 0; at < count; at++) {
    let { counts, sprt } = follow({ compared: 0, differ: 0 }, []);
    while (sprt === 'open') ({ counts, sprt } = follow(counts, [random.chance(rate)]));
    if (sprt !== 'undecided') figures[sprt] += 1;
    else figures.undecided += 1;
    figures.places += counts.compared;
  }
  return { ...figures, places: Math.round(figures.places / count) };
}

/** Everything at once, for `npm run test:long -- --only canaries`. */
export async function canaryFigures(counts: { decisions: number; sessions: number }, seed: number) {
  return {
    decisions: { same: decisions(0.002, counts.decisions, seed), other: decisions(0.02, counts.decisions, seed + 1) },
    sessions: {
      honest: await sessionsOf(SUSPECTS.honest, counts.sessions, seed),
      other_model: await sessionsOf(SUSPECTS.other_model, counts.sessions, seed),
      coarse_weights: await sessionsOf(SUSPECTS.coarse_weights, counts.sessions, seed),
      coarser_weights: await sessionsOf(SUSPECTS.coarser_weights, counts.sessions, seed),
    },
  };
}
