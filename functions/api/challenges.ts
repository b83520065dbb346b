/**
 * Judges ask what can be tested and have it tested; agents upload what they open. The schedule says what is due, so who asks first
 * starts it and all others find it started; what is asked out of turn is budgeted. See `functions/miner/challenges.ts` for its way.
 */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import { inventorySchema } from '#protocol';
import { BeaconError, openBeacon } from '../beacon/client.ts';
import { blobs, type Blobs } from '../blobs.ts';
import type { ChallengeOrder, ChallengeTold } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { Buckets } from '../gate/bucket.ts';
import { checkId } from '../gate/ids.ts';
import { openingTokens } from '../gate/opening-token.ts';
import { challengeAskSchema } from '../protocol/audit.ts';
import { sha256Of } from '../protocol/canonical.ts';
import { CHALLENGE_LIMITS, challengeId, drawingRound, isDue, slotOf, suiteOf, type ChallengeKind } from '../protocol/challenge/index.ts';
import { storable } from '../miner/challenge-row.ts';
import { challengesPostSchema, JUDGING_LIMITS, type ChallengesPost, type TargetItem } from '../protocol/judging.ts';
import { minerStub } from '../stubs.ts';
import { bodyAtMost, readJson, readQuery } from './body.ts';
import { signedJudge } from './judge-of.ts';
import { liveInstances, type LiveInstance } from './live-instances.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const challengesApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const BOUNDS = {
  /** Agents looked at for one page of targets. */
  agents: 100,
  askBytes: 32 * 1024,
  /** Milliseconds that a judge's clock may be ahead. */
  aheadMs: 2_000,
  /** Miner objects asked at once. */
  atOnce: 16,
} as const;

/** Of one judge and isolate: its requests, and what it asks out of turn. */
const rate = new Buckets(20, 200);
const repeats = new Buckets(CHALLENGE_LIMITS.repeatsPerJudgeHour / 3_600, CHALLENGE_LIMITS.repeatsPerJudgeHour);

/** What was opened, in a space of the edge's own: bytes of public challenges, under their hash. */
export function openings(env: Env): Blobs {
  return blobs(env, 'openings', CHALLENGE_LIMITS.openingBytes);
}

// ── what can be tested ──

challengesApi.get('/audit/targets', async (c) => {
  const { after = '' } = readQuery(c, z.object({ after: z.optional(z.string().check(z.maxLength(64))) }));
  const now = Date.now();
  const base = db.connect(c.env);
  const [agents, live] = await Promise.all([db.listAgents(base, { after, limit: BOUNDS.agents }), liveInstances(c.env, now)]);
  const found: { agent: string; items: Omit<TargetItem, 'since'>[] }[] = [];
  let count = 0;
  for (const { id: agent, hotkey, inventory } of agents) {
    const items = targetsOf(agent, hotkey, inventory, live.get(agent) ?? []);
    if (count + items.length > JUDGING_LIMITS.targetsPage) break;
    count += items.length;
    found.push({ agent, items });
  }
  const items = found.flatMap((of) => of.items);
  const slot = slotOf(suiteOf(c.env.NETWORK), now);
  const since = await db.firstSeen(
    base,
    items.map((item) => item.target),
    slot,
  );
  const more = found.length < agents.length || agents.length === BOUNDS.agents;
  return c.json({
    items: items.map((item): TargetItem => ({ ...item, since: since.get(item.target) ?? slot })),
    next: more ? (found.at(-1)?.agent ?? null) : null,
  });
});

function targetsOf(agent: string, hotkey: string, inventory: unknown, live: readonly LiveInstance[]): Omit<TargetItem, 'since'>[] {
  const told = z.safeParse(inventorySchema, inventory);
  const devices = told.success ? told.data.devices : [];
  const kinds: ChallengeKind[] = ['pow.mm', 'pow.mem'];
  return [
    ...devices.map(({ id }) => ({ target: `${agent}/${id}`, what: 'device' as const, hotkey, agent, device: id, instance: null, kinds })),
    ...live
      .filter((it) => it.kinds.length > 0)
      .map(({ instance: { instance: target }, kinds: files }) => ({
        target,
        what: 'instance' as const,
        hotkey,
        agent,
        device: null,
        instance: target,
        kinds: files,
      })),
  ];
}

// ── what a judge has tested ──

const askSchema = z.union([challengeAskSchema, challengesPostSchema]);

challengesApi.post('/audit/challenges', async (c) => {
  const judge = await signedJudge(c, { bytes: BOUNDS.askBytes, rate });
  const ask = await readJson(c, askSchema);
  return 'type' in ask ? c.json(await ping(c.env, ask)) : c.json({ items: await challenge(c.env, judge, ask, Date.now()) });
});

/** Pings one agent through its own socket; the time is the edge's, so neither judge nor miner can shape it. */
async function ping(env: Env, { id, agent }: z.infer<typeof challengeAskSchema>) {
  if (!(await checkId('agt', agent, env))) throw new RipcordError('not_found', { message: 'There is no such agent.' });
  const rtt = await minerStub(env, agent).ping();
  return { id, rtt_ms: rtt === null ? null : Math.round(rtt) };
}

interface Placed {
  /** Null: nobody has this target. */
  agent: string | null;
  order: ChallengeOrder;
}

/** How each stands, in the order of the asks. */
async function challenge(env: Env, judge: string, { slot, asks }: ChallengesPost, now: number): Promise<ChallengeTold[]> {
  const suite = suiteOf(env.NETWORK);
  const { slotSeconds } = suite.cadence;
  if (slot % slotSeconds !== 0 || now < slot * 1000 - BOUNDS.aheadMs || now >= (slot + slotSeconds) * 1000)
    throw new RipcordError('invalid_request', { message: `slot: the one that holds the time is expected, a multiple of ${slotSeconds}.` });
  const randomness = await drawOf(env, slot);
  const placed = await place(env, judge, { slot, asks }, randomness, now);
  const byAgent = Map.groupBy(
    placed.filter((p) => p.agent !== null && mayAsk(p.order, now)),
    (p) => p.agent ?? '',
  );
  const told = new Map<string, ChallengeTold>();
  const agents = [...byAgent];
  for (let at = 0; at < agents.length; at += BOUNDS.atOnce) {
    const part = agents.slice(at, at + BOUNDS.atOnce).map(([agent, of]) => askAgent(env, agent, unique(of.map((p) => p.order))));
    for (const answer of (await Promise.all(part)).flat()) told.set(answer.id, answer);
  }
  return placed.map(({ agent, order: { id } }) => told.get(id) ?? { id, state: 'refused', why: agent === null ? 'no_target' : 'budget' });
}

/** Who has each target, and whether the schedule has the test. */
async function place(env: Env, judge: string, { slot, asks }: ChallengesPost, randomness: string, now: number): Promise<Placed[]> {
  const suite = suiteOf(env.NETWORK);
  const live = asks.some(({ kind }) => isOfInstance(kind)) ? [...(await liveInstances(env, now)).values()].flat() : [];
  const agents = await Promise.all(asks.map(({ kind, target }) => agentOf(env, kind, target, live)));
  const known = asks.filter((_, at) => agents[at] !== null).map((ask) => ask.target);
  // Read only: a judge may name what nobody has.
  const since = await db.seenSince(db.connect(env), known);
  return asks.map(({ kind, target }, at) => {
    const what = isOfInstance(kind) ? ('instance' as const) : ('device' as const);
    const scheduled = isDue(suite, slot, randomness, { target, what, since: since.get(target) ?? slot }, kind);
    return { agent: agents[at] ?? null, order: { id: challengeId(kind, target, slot), kind, target, slot, scheduled, judge } };
  });
}

function isOfInstance(kind: ChallengeKind): boolean {
  return kind === 'fs' || kind === 'weights';
}

/** An object is asked only by a name that the edge made. */
async function agentOf(env: Env, kind: ChallengeKind, target: string, live: readonly LiveInstance[]): Promise<string | null> {
  if (isOfInstance(kind)) return live.find((it) => it.instance.instance === target)?.agent ?? null;
  const [agent = ''] = target.split('/', 1);
  const named = target.length > agent.length + 1 && target === storable(target);
  return named && (await checkId('agt', agent, env)) ? agent : null;
}

function mayAsk({ scheduled, judge }: ChallengeOrder, now: number): boolean {
  return scheduled || repeats.take(judge, now) === 0;
}

function unique(orders: readonly ChallengeOrder[]): ChallengeOrder[] {
  return [...new Map(orders.map((order) => [order.id, order])).values()];
}

async function askAgent(env: Env, agent: string, orders: ChallengeOrder[]): Promise<ChallengeTold[]> {
  const failed = (): ChallengeTold[] => orders.map(({ id }) => ({ id, state: 'refused', why: 'unavailable' }));
  return Promise.resolve(minerStub(env, agent).challenge(orders)).catch(failed);
}

async function drawOf(env: Env, slot: number): Promise<string> {
  try {
    const beacon = openBeacon(env);
    return (await beacon.pulse(drawingRound(beacon.chain, slot))).randomness;
  } catch (error) {
    if (!(error instanceof BeaconError)) throw error;
    throw new RipcordError('unavailable', { message: error.message, hint: 'Ask again within the slot.', retryAfterMs: 1_000 });
  }
}

// ── what an agent opens ──

challengesApi.put('/challenges/:id', bodyAtMost(CHALLENGE_LIMITS.openingBytes), async (c) => {
  const id = c.req.param('id');
  const agent = uploader(c, id);
  const stub = minerStub(c.env, agent);
  const late = new RipcordError('not_found', { message: 'This challenge awaits no opening (any more).' });
  if (!(await stub.mayOpen(id))) throw late;
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  const sha256 = sha256Of(bytes);
  await openings(c.env).put(sha256, bytes);
  if (!(await stub.opened(id, sha256, bytes.byteLength))) throw late;
  return c.json({ id, sha256, bytes: bytes.byteLength });
});

/** The agent that may upload this one. Throws `invalid_signature`. */
function uploader(c: Ctx, id: string): string {
  const token = /^Bearer ([!-~]{1,256})$/.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
  const agent = openingTokens(c.env.EDGE_SECRET).agentOf(token, id, Date.now());
  if (agent === null) throw new RipcordError('invalid_signature', { message: 'The token is not of this challenge, or its time is over.' });
  return agent;
}
