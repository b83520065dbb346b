/**
 * Miners as everybody may see them. The list comes from the record and the Chutes, so that reading it wakes no Miner
 * object; one miner's page asks the objects of its own agents.
 */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { decodeSs58 } from '../gate/ss58.ts';
import type { MinerObject } from '../miner/object.ts';
import { inventorySchema } from '../protocol/index.ts';
import { minerStub } from '../stubs.ts';
import { liveInstances, type LiveInstance } from './live-instances.ts';
import type { Vars } from './vars.ts';

const BOUNDS = {
  /** Miners on one page of the list. */
  page: 200,
  /** Agents of one miner that are asked. */
  agents: 32,
  /** Milliseconds a Miner object has to answer. */
  factsMs: 3_000,
  /** Milliseconds for which an answered ping says that an agent is connected. */
  answeredMs: 600_000,
} as const;

export const minersApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/**
 * `connected`: agents that serve an instance of a public chute, or answered a judge's ping lately. `last_score`: the
 * newest epoch's, the mean of the judges that scored the miner. `weight`: what the chain gave it in its last epoch, of 65,535.
 */
minersApi.get('/miners', async (c) => {
  const handle = db.connect(c.env);
  const after = (c.req.query('after') ?? '').slice(0, 64);
  const [miners, live, scores] = await Promise.all([
    db.listMiners(handle, { after, limit: BOUNDS.page }),
    liveInstances(c.env, Date.now()),
    newestScores(handle),
  ]);
  const hotkeys = miners.map((m) => m.hotkey);
  const [answering, standings] = await Promise.all([
    db.listAnswering(handle, { hotkeys, withinMs: BOUNDS.answeredMs }),
    db.readStandings(handle, hotkeys),
  ]);
  const serving = Map.groupBy([...live.values()].flat(), (l) => l.hotkey);
  const items = miners.map((m) => {
    const own = serving.get(m.hotkey) ?? [];
    const connected = new Set([...(answering.get(m.hotkey) ?? []), ...own.map((l) => l.agent)]).size;
    const score = meanOf((scores.get(m.hotkey) ?? []).map((s) => s.score));
    const { hotkey, agents, devices, attempts, completed } = m;
    const seen_at = m.lastSeenAt.getTime();
    return {
      hotkey,
      agents,
      connected,
      devices,
      instances: own.length,
      attempts,
      completed,
      seen_at,
      last_score: score,
      ...standingView(standings.get(hotkey)),
    };
  });
  return c.json({ items, next: miners.length < BOUNDS.page ? null : (miners.at(-1)?.hotkey ?? null) });
});

/** Instances of chutes that are not public are counted and not named. */
minersApi.get('/miners/:hotkey', async (c) => {
  const hotkey = c.req.param('hotkey');
  if (decodeSs58(hotkey) === null) throw new RipcordError('not_found', { message: 'This is no hotkey (ss58, prefix 42).' });
  const handle = db.connect(c.env);
  const agents = (await db.listAgentsOf(handle, hotkey)).slice(0, BOUNDS.agents);
  if (agents.length === 0) throw new RipcordError('not_found', { message: 'No agent of this hotkey was ever connected.' });
  const [live, scores, standings, emission, facts] = await Promise.all([
    liveInstances(c.env, Date.now()),
    newestScores(handle, hotkey),
    db.readStandings(handle, [hotkey]),
    db.readEmission(handle, hotkey),
    Promise.all(agents.map((a) => factsOf(c.env, a.id))),
  ]);
  const items = agents.map((recorded, at) => agentView(recorded, facts[at] ?? null, live.get(recorded.id) ?? []));
  const standing = { ...standingView(standings.get(hotkey)), emission: emissionView(emission) };
  return c.json({ hotkey, ...standing, agents: items, scores: scores.get(hotkey) ?? [] });
});

async function newestScores(handle: db.Database, hotkey?: string): Promise<Map<string, db.StoredScore[]>> {
  const epoch = await db.newestEpoch(handle);
  if (epoch === null) return new Map();
  return Map.groupBy(await db.readScores(handle, { epoch, ...(hotkey === undefined ? {} : { hotkey }) }), (s) => s.hotkey);
}

/** What chain and gate say of a miner. `weight` null: it is not registered. `gated`: paid calls are kept away until then, and why. */
function standingView(standing: db.Standing | undefined) {
  const jailed = standing?.jailed ?? null;
  return {
    uid: standing?.uid ?? null,
    coldkey: standing?.coldkey ?? null,
    weight: standing?.incentive ?? null,
    gated: jailed === null ? null : { until: jailed.until.getTime(), reason: jailed.reason, challenge: jailed.challenge },
  };
}

/** Rao of the subnet's own coin, as text. */
export function emissionView({ last, total, epochs }: db.Emission) {
  return { last_rao: String(last), total_rao: String(total), epochs };
}

function meanOf(scores: readonly number[]): number | null {
  return scores.length === 0 ? null : Math.floor(scores.reduce((sum, s) => sum + s, 0) / scores.length);
}

type Facts = Awaited<ReturnType<MinerObject['facts']>>;

/** Null where the object does not answer in time: its page is shown from the record. */
async function factsOf(env: Env, agent: string): Promise<Facts> {
  const late = scheduler.wait(BOUNDS.factsMs).then(() => null);
  return Promise.race([minerStub(env, agent).facts(), late]).catch(() => null);
}

/** What the object says now; what the record says where it does not answer (`connected`: null). */
function agentView(recorded: { id: string; inventory: unknown; lastSeenAt: Date }, facts: Facts, live: readonly LiveInstance[]) {
  const parsed = z.safeParse(inventorySchema, facts?.inventory ?? recorded.inventory);
  const inventory = parsed.success ? parsed.data : null;
  return {
    agent: recorded.id,
    connected: facts?.connected ?? null,
    seen_at: recorded.lastSeenAt.getTime(),
    region: inventory?.region ?? 'unknown',
    agent_version: inventory?.agentVersion ?? null,
    runtimes: inventory?.runtimes ?? [],
    devices: inventory?.devices ?? [],
    running: facts?.instances.length ?? live.length,
    instances: live.map(({ instance: { instance, chute, name, version } }) => {
      const told = facts?.instances.find((i) => i.instance === instance);
      return { instance, chute, name, version, slots: told?.slots ?? null, busy: told?.busy ?? null };
    }),
  };
}
