/**
 * Whom a judge calls and pings in a round, and what it asks (pure): drawn by the beacon and a secret of its own, so that no miner can
 * foretell a question; referees by the beacon alone. Miners take turns, so one with a thousand instances leaves the others their tests.
 */
import { observationId, type AuditAgent, type AuditInstance } from '#protocol/audit.ts';
import { rankOf } from '../rank.ts';
import { canaryAsk, comparedAsks, probesOf, type CanaryAsk, type Probe } from './ask.ts';
import { referees, REFEREES, type Referee } from './referees.ts';
import { MOST_ASKS } from './session.ts';

/** What one tick may do. A comparison is up to 144 calls, most often twelve. */
export const PLAN_LIMITS = { pings: 16, canaries: 8, comparisons: 2 } as const;
type Limits = Record<keyof typeof PLAN_LIMITS, number>;

interface Target {
  id: string;
  agent: string;
  hotkey: string;
}
export type PingTask = Target & { type: 'rtt' };
export type CanaryTask = Target & { type: 'canary'; instance: AuditInstance; probes: Probe[]; ask: CanaryAsk };
/** A canary whose answers are compared with those of others; `asks` by referee. */
export type ComparisonTask = Omit<CanaryTask, 'type'> & { type: 'comparison'; referees: Referee[]; asks: CanaryAsk[][] };
export type Task = PingTask | CanaryTask | ComparisonTask;

export interface PlanFacts {
  judge: string;
  round: number;
  /** Of the round, 64 hex digits. */
  beacon: string;
  /** Of the judge: what it asks cannot be foretold. */
  secret: string;
  /** A canary is a comparison once in so many; 0: never. */
  compareEvery: number;
  /** Who is behind a hotkey. */
  entityOf: (hotkey: string) => string;
}

/** Comparisons first: they take longest, and pings fill the gaps beside them. */
export function plan(agents: readonly AuditAgent[], facts: PlanFacts, limits: Limits = PLAN_LIMITS): Task[] {
  const known = uniqueBy(agents, (a) => a.agent);
  const pings = known.map((a): PingTask => {
    const id = observationId({ judge: facts.judge, type: 'rtt', round: facts.round, target: a.agent });
    return { type: 'rtt', id, agent: a.agent, hotkey: a.hotkey };
  });
  const all = inTurns(canaries(known, facts), (t) => own(facts, 'canary', t.instance.instance));
  const compared = all.flatMap((task) => comparison(known, task, facts) ?? []).slice(0, limits.comparisons);
  const busy = new Set(compared.map((task) => task.id));
  return [
    ...compared,
    ...all.filter((task) => !busy.has(task.id)).slice(0, limits.canaries),
    ...inTurns(pings, (t) => own(facts, 'rtt', t.agent)).slice(0, limits.pings),
  ];
}

/** Null: it is not its turn, the program has no tokens, or nobody else runs this version. */
function comparison(agents: readonly AuditAgent[], task: CanaryTask, facts: PlanFacts): ComparisonTask | null {
  const { instance, hotkey, probes } = task;
  const drawn = Number.parseInt(own(facts, 'compare', instance.instance).slice(0, 8), 16);
  const [probe] = probes;
  if (facts.compareEvery === 0 || drawn % facts.compareEvery !== 0 || probe?.kind !== 'chat') return null;
  const others = referees(agents, { instance, hotkey }, facts);
  if (others.length === 0) return null;
  const asks = Array.from({ length: REFEREES }, (_, duel) =>
    comparedAsks(MOST_ASKS, (at) => own(facts, `ask ${duel} ${at}`, instance.instance)),
  );
  return { ...task, type: 'comparison', probes: [probe], referees: others, asks };
}

function canaries(agents: readonly AuditAgent[], facts: PlanFacts): CanaryTask[] {
  const running = agents.flatMap((a) => a.instances.map((instance) => ({ agent: a.agent, hotkey: a.hotkey, instance })));
  return uniqueBy(running, (r) => r.instance.instance).flatMap(({ agent, hotkey, instance }) => {
    const probes = probesOf(instance);
    if (probes.length === 0) return [];
    const id = observationId({ judge: facts.judge, type: 'canary', round: facts.round, target: instance.instance });
    return [{ type: 'canary', id, agent, hotkey, instance, probes, ask: canaryAsk(own(facts, 'ask', instance.instance)) }];
  });
}

/** Every miner's first by rank, then every miner's second, and so on. */
function inTurns<T extends Target>(tasks: readonly T[], placeOf: (task: T) => string): T[] {
  const ranked = tasks.map((task) => ({ task, rank: placeOf(task) })).toSorted((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0));
  const turns = new Map<string, number>();
  const placed = ranked.map(({ task }, place) => {
    const turn = turns.get(task.hotkey) ?? 0;
    turns.set(task.hotkey, turn + 1);
    return { task, turn, place };
  });
  return placed.toSorted((a, b) => a.turn - b.turn || a.place - b.place).map((p) => p.task);
}

function own(facts: PlanFacts, use: string, target: string): string {
  return rankOf(facts.beacon, `${facts.secret} ${use}`, target);
}

function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
