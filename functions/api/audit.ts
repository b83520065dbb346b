/**
 * What judges use, and what they made of it for everybody to read. The edge relays, stores and publishes; it never
 * decides. Only judges write, each under its own hotkey. Challenges are in `challenges.ts`, `transcripts.ts` and `verdicts.ts`.
 */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { Buckets } from '../gate/bucket.ts';
import {
  AUDIT_LIMITS,
  OBSERVATION_TYPES,
  observationId,
  observationsPostSchema,
  REASONS,
  scoresPostSchema,
  type AuditAgent,
  type Observation,
} from '../protocol/audit.ts';
import { readJson, readQuery } from './body.ts';
import { signedJudge } from './judge-of.ts';
import { liveInstances } from './live-instances.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

export const auditApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/**
 * Agents that logged in within the life of a session, with the live instances they run: any agent that can be connected
 * is among them, and one that has left stays long enough to be found absent.
 */
auditApi.get('/audit/agents', async (c) => {
  const now = Date.now();
  const { after } = readQuery(c, z.object({ after: z.optional(idText) }));
  const [agents, live] = await Promise.all([
    db.listAgents(db.connect(c.env), { after: after ?? '', limit: AUDIT_LIMITS.agentsPage }),
    liveInstances(c.env, now),
  ]);
  const items = agents.map(({ id, hotkey }): AuditAgent => {
    const instances = (live.get(id) ?? []).map((l) => l.instance);
    return { agent: id, hotkey, instances };
  });
  return c.json({ items, next: nextOf(agents, AUDIT_LIMITS.agentsPage, (a) => a.id) });
});

auditApi.post('/audit/observations', async (c) => {
  const judge = await judgeOf(c);
  const { items } = await readJson(c, observationsPostSchema);
  const now = Date.now();
  for (const item of items) {
    const wrong = faultOf(item, judge, now);
    if (wrong !== null) throw new RipcordError('invalid_request', { message: `An observation is not taken: ${wrong}.` });
  }
  const stored = items.map((item) => ({ ...item, judge }));
  await db.insertObservations(db.connect(c.env), stored);
  return c.json({ taken: items.length });
});

auditApi.post('/audit/scores', async (c) => {
  const judge = await judgeOf(c);
  const { items } = await readJson(c, scoresPostSchema);
  // A round of tomorrow would keep every later score of this judge out.
  const now = Date.now();
  if (items.some((s) => s.round * 1000 > now + AUDIT_LIMITS.aheadMs || s.epoch > s.round)) {
    throw new RipcordError('invalid_request', {
      message: 'A score is not taken: round: ahead of the clock, or before its epoch.',
    });
  }
  await db.insertScores(db.connect(c.env), judge, items);
  return c.json({ taken: items.length });
});

auditApi.get('/audit/observations', async (c) => {
  const { epoch, miner, judge, types, after } = readQuery(
    c,
    z.object({
      epoch: epochText,
      miner: z.optional(idText),
      judge: z.optional(idText),
      types: z.optional(typesText),
      after: z.optional(idText),
    }),
  );
  const items = await db.listObservations(db.connect(c.env), {
    epoch,
    ...(miner === undefined ? {} : { hotkey: miner }),
    ...(judge === undefined ? {} : { judge }),
    ...(types === undefined ? {} : { types }),
    ...(after === undefined ? {} : { after }),
    limit: AUDIT_LIMITS.observations,
  });
  return c.json({ items, next: nextOf(items, AUDIT_LIMITS.observations, (o) => o.id) });
});

/** The newest epoch that has scores, where none is asked for. */
auditApi.get('/audit/scores', async (c) => {
  const asked = readQuery(c, z.object({ epoch: z.optional(epochText) }));
  const handle = db.connect(c.env);
  const epoch = asked.epoch ?? (await db.newestEpoch(handle));
  return c.json({ items: epoch === null ? [] : await db.readScores(handle, { epoch }), epoch });
});

const idText = z.string().check(z.minLength(1), z.maxLength(64));
/** With commas between them. */
const typesText = z.pipe(
  z.string().check(z.maxLength(64)),
  z.pipe(
    z.transform((text: string) => text.split(',')),
    z.array(z.enum(OBSERVATION_TYPES)),
  ),
);
const epochText = z.pipe(z.string().check(z.regex(/^[0-9]{1,11}$/)), z.transform(Number));

const rate = new Buckets(2, 120);

/** Configured judges and those with a permit on the chain. */
function judgeOf(c: Ctx): Promise<string> {
  return signedJudge(c, { bytes: AUDIT_LIMITS.bodyBytes, rate });
}

/** What is wrong with an observation of this judge, or null. */
function faultOf(o: Observation, judge: string, nowMs: number): string | null {
  const target = o.type === 'rtt' ? o.agent : o.instance;
  if (target === null || (o.type === 'rtt' && o.instance !== null)) return 'instance: a canary has one, a ping has none';
  if (o.id !== observationId({ judge, type: o.type, round: o.round, target })) return 'id: not the one of this judge, round and target';
  if (o.ok !== (REASONS[o.reason] === 'merit')) return 'ok: not what the reason says';
  if (o.at < nowMs - AUDIT_LIMITS.lateMs || o.at > nowMs + AUDIT_LIMITS.aheadMs) return 'at: too late or ahead of the clock';
  if (Math.abs(o.round * 1000 - o.at) > AUDIT_LIMITS.lateMs) return 'round: not the time of the test';
  if (o.epoch > o.round || o.epoch < o.round - AUDIT_LIMITS.epochSeconds) return 'epoch: does not hold the round';
  return null;
}

/** Where the next page starts; null: there is none. */
function nextOf<T>(items: readonly T[], limit: number, keyOf: (item: T) => string): string | null {
  const last = items.at(-1);
  return last === undefined || items.length < limit ? null : keyOf(last);
}
