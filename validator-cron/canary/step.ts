/** The part of a tick that is the judge's own calls: plan, call, judge, tell; and trials (`../interfere`). */
import { drawingRound, type Suite } from '#protocol/challenge/index.ts';
import type { Bench } from '../bench.ts';
import type { Moment } from '../clock.ts';
import { fanOut } from '../fan-out.ts';
import { interfere, NO_TRIALS, trialsOf } from '../interfere/step.ts';
import { judge } from './judge.ts';
import { plan, PLAN_LIMITS } from './plan.ts';
import { probe } from './probe.ts';

/** A canary is a comparison once in so many: about six a day, or one a minute. */
const COMPARE_EVERY: Record<Suite['name'], number> = { mainnet: 240, development: 6 };

export interface Called {
  agents: number;
  observations: number;
  ok: number;
  swapped: number;
  /** Steps of trials whether answers and proofs slow each other down; null: that failed. */
  trials: number | null;
}

export async function callMiners(bench: Bench, moment: Moment): Promise<Called> {
  const { edge, beacon, config, entities } = bench;
  const [agents, { randomness }, entityOf] = await Promise.all([
    edge.agents(),
    beacon.pulse(drawingRound(beacon.chain, moment.round)),
    entities(),
  ]);
  const trials = await trialsOf(bench, moment, agents, randomness).catch(() => null);
  // A load is measured by the connections of this Worker, so nobody else is called meanwhile.
  const silent = config.apiKey === null || (trials?.due ?? null) !== null;
  const tasks = plan(
    agents,
    {
      judge: config.hotkey.ss58,
      round: moment.round,
      beacon: randomness,
      secret: config.hotkey.secretFor('canaries'),
      compareEvery: entityOf === null ? 0 : COMPARE_EVERY[config.suite.name],
      entityOf: entityOf ?? ((hotkey) => hotkey),
    },
    silent ? { ...PLAN_LIMITS, canaries: 0, comparisons: 0 } : PLAN_LIMITS,
  );
  const tried = interfere(bench, moment, trials ?? NO_TRIALS).catch(() => null);
  const observations = await fanOut(tasks, async (task) => judge(task, await probe(edge, task), moment));
  await edge.postObservations(observations);
  return {
    agents: agents.length,
    observations: observations.length,
    ok: observations.filter((o) => o.ok).length,
    swapped: observations.filter((o) => o.reason === 'swapped').length,
    trials: trials === null ? null : ((await tried)?.length ?? null),
  };
}
