/**
 * What judges use, and what they made of it for everybody to read. The edge relays, stores and publishes; it never
 * decides. Only the configured judges write, each under its own hotkey.
 */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate } from '../gate/authenticate.ts';
import { checkId } from '../gate/ids.ts';
import { firstIssue, LIMITS, SIGNED_HEADERS } from '../protocol/index.ts';
import {
  AUDIT_LIMITS,
  challengeAskSchema,
  observationId,
  observationsPostSchema,
  REASONS,
  scoresPostSchema,
  type AuditAgent,
  type Observation,
} from '../protocol/audit.ts';
import { minerStub } from '../stubs.ts';
import { readJson } from './body.ts';
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
  const { after } = query(c, z.object({ after: z.optional(idText) }));
  const [agents, live] = await Promise.all([
    db.listAgents(db.connect(c.env), { seenMs: LIMITS.sessionMs, after: after ?? '', limit: AUDIT_LIMITS.agentsPage }),
    liveInstances(c.env, now),
  ]);
  const items = agents.map(({ id, hotkey }): AuditAgent => {
    const instances = (live.get(id) ?? []).map((l) => l.instance);
    return { agent: id, hotkey, instances };
  });
  return c.json({ items, next: nextOf(agents, AUDIT_LIMITS.agentsPage, (a) => a.id) });
});

/** Pings one agent through its own socket; the time is the edge's, so neither judge nor miner can shape it. */
auditApi.post('/audit/challenges', async (c) => {
  await judgeOf(c);
  const ask = await readJson(c, challengeAskSchema);
  if (!(await checkId('agt', ask.agent, c.env))) throw new RipcordError('not_found', { message: 'There is no such agent.' });
  const rtt = await minerStub(c.env, ask.agent).ping();
  return c.json({ id: ask.id, rtt_ms: rtt === null ? null : Math.round(rtt) });
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
  if (items.some((s) => s.round * 60_000 > now + AUDIT_LIMITS.aheadMs || s.epoch > s.round * 60)) {
    throw new RipcordError('invalid_request', {
      message: 'A score is not taken: round: ahead of the clock, or before its epoch.',
    });
  }
  await db.insertScores(db.connect(c.env), judge, items);
  return c.json({ taken: items.length });
});

auditApi.get('/audit/observations', async (c) => {
  const { epoch, miner, judge, after } = query(
    c,
    z.object({ epoch: epochText, miner: z.optional(idText), judge: z.optional(idText), after: z.optional(idText) }),
  );
  const items = await db.listObservations(db.connect(c.env), {
    epoch,
    ...(miner === undefined ? {} : { hotkey: miner }),
    ...(judge === undefined ? {} : { judge }),
    ...(after === undefined ? {} : { after }),
    limit: AUDIT_LIMITS.observations,
  });
  return c.json({ items, next: nextOf(items, AUDIT_LIMITS.observations, (o) => o.id) });
});

/** The newest epoch that has scores, where none is asked for. */
auditApi.get('/audit/scores', async (c) => {
  const asked = query(c, z.object({ epoch: z.optional(epochText) }));
  const handle = db.connect(c.env);
  const epoch = asked.epoch ?? (await db.newestEpoch(handle));
  return c.json({ items: epoch === null ? [] : await db.readScores(handle, { epoch }), epoch });
});

const idText = z.string().check(z.minLength(1), z.maxLength(64));
const epochText = z.pipe(z.string().check(z.regex(/^[0-9]{1,11}$/)), z.transform(Number));

/**
 * The hotkey of the judge that signed. Who is no judge learns so before anything costly is done. Throws
 * `insufficient_scope`, `invalid_signature`, `nonce_used`, `body_too_large`.
 */
async function judgeOf(c: Ctx): Promise<string> {
  const claimed = c.req.header(SIGNED_HEADERS.hotkey);
  if (claimed === undefined) throw new RipcordError('invalid_signature', { hint: 'Judges sign with their hotkey.' });
  const judges = (c.env.JUDGES ?? '').split(',').map((name) => name.trim());
  if (!judges.includes(claimed)) throw new RipcordError('insufficient_scope', { message: 'This hotkey is no judge of this edge.' });
  if (Number(c.req.header('content-length') ?? 0) > AUDIT_LIMITS.bodyBytes) throw new RipcordError('body_too_large');
  const { hotkey } = await authenticate(c, 'write');
  if (hotkey !== claimed) throw new RipcordError('invalid_signature');
  return hotkey;
}

/** What is wrong with an observation of this judge, or null. */
function faultOf(o: Observation, judge: string, nowMs: number): string | null {
  const target = o.type === 'canary' ? o.instance : o.agent;
  if (target === null || (o.type === 'rtt' && o.instance !== null)) return 'instance: a canary has one, a ping has none';
  if (o.id !== observationId({ judge, type: o.type, round: o.round, target })) return 'id: not the one of this judge, round and target';
  if (o.ok !== (REASONS[o.reason] === 'merit')) return 'ok: not what the reason says';
  if (o.at < nowMs - AUDIT_LIMITS.lateMs || o.at > nowMs + AUDIT_LIMITS.aheadMs) return 'at: too late or ahead of the clock';
  if (Math.abs(o.round * 60_000 - o.at) > AUDIT_LIMITS.lateMs) return 'round: not the minute of the test';
  if (o.epoch > o.round * 60 || o.epoch < o.round * 60 - AUDIT_LIMITS.epochSeconds) return 'epoch: does not hold the round';
  return null;
}

function query<T extends z.ZodMiniType>(c: Ctx, schema: T): z.output<T> {
  const parsed = z.safeParse(schema, c.req.query());
  if (!parsed.success) throw new RipcordError('invalid_request', { message: firstIssue(parsed.error) });
  return parsed.data;
}

/** Where the next page starts; null: there is none. */
function nextOf<T>(items: readonly T[], limit: number, keyOf: (item: T) => string): string | null {
  const last = items.at(-1);
  return last === undefined || items.length < limit ? null : keyOf(last);
}
