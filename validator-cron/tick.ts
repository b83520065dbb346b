/**
 * One tick of a judge: plan → challenge → judge → score, once a minute.
 *
 * The judge keeps no state. Ids come out of round and target, so a tick that runs twice (a retry, two crons at once)
 * writes the same rows; a score carries the newest round it saw, so an older tick that ends late cannot replace a newer
 * one; and a tick has less time than a minute, so the next one normally finds it gone.
 */
import { beacon } from './beacon.ts';
import { challenge } from './challenge.ts';
import { epochsToScore, momentAt } from './clock.ts';
import type { JudgeConfig } from './config.ts';
import { makeEdge } from './edge.ts';
import { fanOut } from './fan-out.ts';
import { judge } from './judge.ts';
import { plan } from './plan.ts';
import { score } from './score.ts';

/** Milliseconds a tick may take; the longest plan needs about 40 s. */
const TICK_MS = 55_000;

/** What a tick did, in numbers: enough for a log line. */
export interface TickReport {
  round: number;
  epoch: number;
  agents: number;
  observations: number;
  ok: number;
  scores: number;
}

/** `atMs`: the time the tick was due, Unix milliseconds. Throws `EdgeError` where the edge does not take part. */
export async function tick(config: JudgeConfig, atMs: number): Promise<TickReport> {
  const edge = makeEdge(config, AbortSignal.timeout(TICK_MS));
  const moment = momentAt(atMs, config.epochSeconds);

  const agents = await edge.agents();
  const tasks = plan(agents, {
    judge: config.hotkey.ss58,
    round: moment.round,
    beacon: await beacon(moment.round, moment.epoch),
  });
  const observations = await fanOut(tasks, async (task) => judge(task, await challenge(edge, task), moment));
  await edge.postObservations(observations);

  let scores = 0;
  for (const start of epochsToScore(moment, config.epochSeconds)) {
    const scored = score(await edge.observations(start), { start, seconds: config.epochSeconds, round: moment.round });
    await edge.postScores(scored);
    scores += scored.length;
  }
  return {
    ...moment,
    agents: agents.length,
    observations: observations.length,
    ok: observations.filter((o) => o.ok).length,
    scores,
  };
}
