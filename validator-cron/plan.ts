/**
 * Who is tested in a round (pure): the same list and the same beacon give the same tasks for every judge. Miners take
 * turns, so one that runs a thousand instances leaves the others their tests.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { observationId, type AuditAgent, type AuditInstance } from '#protocol/audit.ts';
import { canaryAsk, probesOf, type CanaryAsk, type Probe } from './canary.ts';

/** What one tick may do: with at most two requests per canary it stays under the 50 subrequests of the smallest plan. */
export const PLAN_LIMITS = { pings: 16, canaries: 8 } as const;

interface Target {
  id: string;
  agent: string;
  hotkey: string;
}
export type PingTask = Target & { type: 'rtt' };
export type CanaryTask = Target & { type: 'canary'; instance: AuditInstance; probes: Probe[]; ask: CanaryAsk };
export type Task = PingTask | CanaryTask;

export interface PlanFacts {
  judge: string;
  round: number;
  /** 64 hex digits. */
  beacon: string;
}

/** Canaries first: they take longest, and pings fill the gaps beside them. */
export function plan(agents: readonly AuditAgent[], facts: PlanFacts, limits: { pings: number; canaries: number } = PLAN_LIMITS): Task[] {
  const known = uniqueBy(agents, (a) => a.agent);
  const pings = known.map((a): PingTask => {
    const id = observationId({ judge: facts.judge, type: 'rtt', round: facts.round, target: a.agent });
    return { type: 'rtt', id, agent: a.agent, hotkey: a.hotkey };
  });
  return [
    ...inTurns(canaries(known, facts), (t) => rank(facts.beacon, 'canary', t.instance.instance)).slice(0, limits.canaries),
    ...inTurns(pings, (t) => rank(facts.beacon, 'rtt', t.agent)).slice(0, limits.pings),
  ];
}

function canaries(agents: readonly AuditAgent[], facts: PlanFacts): CanaryTask[] {
  const running = agents.flatMap((a) => a.instances.map((instance) => ({ agent: a.agent, hotkey: a.hotkey, instance })));
  return uniqueBy(running, (r) => r.instance.instance).flatMap(({ agent, hotkey, instance }) => {
    const probes = probesOf(instance);
    if (probes.length === 0) return [];
    const id = observationId({ judge: facts.judge, type: 'canary', round: facts.round, target: instance.instance });
    return [
      {
        type: 'canary',
        id,
        agent,
        hotkey,
        instance,
        probes,
        ask: canaryAsk(rank(facts.beacon, 'ask', instance.instance)),
      },
    ];
  });
}

/** Every miner's first by rank, then every miner's second, and so on. */
function inTurns<T extends Target>(tasks: readonly T[], rankOf: (task: T) => string): T[] {
  const ranked = tasks.map((task) => ({ task, rank: rankOf(task) })).toSorted((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0));
  const turns = new Map<string, number>();
  const placed = ranked.map(({ task }, place) => {
    const turn = turns.get(task.hotkey) ?? 0;
    turns.set(task.hotkey, turn + 1);
    return { task, turn, place };
  });
  return placed.toSorted((a, b) => a.turn - b.turn || a.place - b.place).map((p) => p.task);
}

function rank(beacon: string, use: string, target: string): string {
  return bytesToHex(sha256(utf8ToBytes(`${beacon}\n${use}\n${target}`)));
}

function uniqueBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}
