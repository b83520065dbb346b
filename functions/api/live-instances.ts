/**
 * Which instances of public chutes are live, as their Chutes tell it: what judges may test and the list of miners shows.
 * It wakes no Miner object. The answer is kept a few seconds per isolate, since it is the same for every reader.
 */
import { cordsOf, healthOf } from '#protocol';
import type { Snapshot } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import type { AuditInstance } from '../protocol/audit.ts';
import type { ChallengeKind } from '../protocol/challenge/suite.ts';
import { chuteStub, marketStub } from '../stubs.ts';

const BOUNDS = {
  /** Chutes asked in one reading. Where there are more, readings take turns over all of them. */
  chutes: 120,
  /** Chutes asked at once. */
  atOnce: 12,
  /** Milliseconds a reading is good for. */
  freshMs: 5_000,
  /** Milliseconds until the next part of the chutes has its turn; a round of the judges. */
  turnMs: 60_000,
} as const;

export interface LiveInstance {
  agent: string;
  hotkey: string;
  instance: AuditInstance;
  /** Files that challenges can ask it for. */
  kinds: ChallengeKind[];
}

let kept: { market: DurableObjectNamespace; at: number; live: LiveInstance[] } | null = null;

/** Live instances by agent, at most `BOUNDS.freshMs` old. Throws where the Market does not answer; a Chute may fail. */
export async function liveInstances(env: Env, nowMs: number): Promise<Map<string, LiveInstance[]>> {
  const fresh = kept !== null && kept.market === env.MARKET && Math.abs(nowMs - kept.at) < BOUNDS.freshMs;
  // Readers that come at once each do their own reading: a promise of one request must not be awaited by another.
  const live = fresh && kept !== null ? kept.live : await read(env, nowMs);
  kept = { market: env.MARKET, at: fresh && kept !== null ? kept.at : nowMs, live };
  return Map.groupBy(live, (l) => l.agent);
}

async function read(env: Env, nowMs: number): Promise<LiveInstance[]> {
  const chutes = (await marketStub(env).listings()).map((l) => l.chute).toSorted();
  const due = turn(chutes, Math.floor(nowMs / BOUNDS.turnMs), BOUNDS.chutes);
  const live: LiveInstance[] = [];
  for (let at = 0; at < due.length; at += BOUNDS.atOnce) {
    const asked = due.slice(at, at + BOUNDS.atOnce).map((id) => chuteStub(env, id).snapshot());
    for (const answer of await Promise.allSettled(asked)) {
      if (answer.status === 'fulfilled' && answer.value !== null) live.push(...liveOf(answer.value));
    }
  }
  return live;
}

/** The part of a list whose turn it is; the same for everybody in the same round. */
export function turn<T>(items: readonly T[], round: number, size: number): T[] {
  if (items.length <= size) return [...items];
  const from = (round * size) % items.length;
  return [...items.slice(from, from + size), ...items.slice(0, Math.max(0, from + size - items.length))];
}

function liveOf(chute: Snapshot): LiveInstance[] {
  if (!chute.public) return [];
  return chute.instances
    .filter((i) => i.state === 'live')
    .map((i) => ({
      agent: i.agent,
      hotkey: i.hotkey,
      instance: {
        instance: i.instance,
        chute: chute.chute,
        name: chute.name,
        version: i.version,
        template: chute.config.template,
        health: healthOf(chute.config),
        cords: cordsOf(chute.config),
      },
      kinds: i.version === chute.version ? filesOf(chute) : [],
    }));
}

function filesOf({ manifest, config }: Snapshot): ChallengeKind[] {
  return [...(manifest === undefined ? [] : ['fs' as const]), ...(config.weights === undefined ? [] : ['weights' as const])];
}
