/** GET /calls/{id}/why and GET /miners/{hotkey}/why: what keeps a call waiting, and what keeps a machine without work. */
import { Hono } from 'hono';
import * as db from '#db';
import { callStory, type CallStory } from '../account/story.ts';
import { WHY } from '#protocol';
import { isRefused, type Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { decodeSs58 } from '../gate/ss58.ts';
import { marketListings, marketOffers } from '../market/copy.ts';
import { accountStub, chuteStub, minerStub } from '../stubs.ts';
import { agentWhy, type AgentWhy, type AgentWorld, type Board } from '../why/agent-reasons.ts';
import { doneReasons, nextOf, openReasons, type CallReason, type OpenCall } from '../why/call-reasons.ts';
import { CALL_ID, recordStory, type RecordStory } from './call-record.ts';
import type { Vars } from './vars.ts';

export const whyApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** Another account's call is not found, as one that never was. */
whyApi.get('/calls/:id/why', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const id = c.req.param('id').toLowerCase();
  const known = await accountStub(c.env, account).getCall(id);
  const story = known === null ? await recorded(c.env, account, id) : callStory(known);
  if (story === null) throw new RipcordError('call_not_found');
  const told = story.state === 'running' ? await openCall(c.env, story, account) : doneCall(story);
  return c.json({ call: id, ...told, next: nextOf(told.reasons) });
});

/** Agents of one hotkey that are asked, and milliseconds each has to answer. */
const AGENTS = { most: 32, answerMs: 3_000 } as const;

whyApi.get('/miners/:hotkey/why', async (c) => {
  const hotkey = c.req.param('hotkey');
  const hint = 'Is it the hotkey that ripcord-miner up uses? ripcord-miner doctor says what keeps it from connecting.';
  if (decodeSs58(hotkey) === null) throw new RipcordError('not_found', { message: 'This is no hotkey (ss58, prefix 42).', hint });
  const known = (await db.listAgentsOf(db.connect(c.env), hotkey)).slice(0, AGENTS.most);
  const refused = isRefused(c.env, hotkey);
  if (known.length === 0 && refused)
    throw new RipcordError('not_found', { message: 'This network refuses the hotkey.', hint: WHY.refused.next });
  if (known.length === 0) throw new RipcordError('not_found', { message: 'No agent of this hotkey was ever connected.', hint });
  const [doc, listings, worlds] = await Promise.all([
    marketOffers(c.env),
    marketListings(c.env),
    Promise.all(known.map((it) => worldOf(c.env, it.id))),
  ]);
  const board: Board = { offers: doc.items, names: new Map(listings.map((it) => [it.chute, it.name])) };
  const now = Date.now();
  const agents = known.map(({ id: agent }, at) => {
    const world = worlds[at] ?? null;
    if (world === null) return { agent, connected: null, since: null, ...UNKNOWN };
    const since = world.connected ? world.since : (world.ends.at(-1)?.at ?? null);
    return { agent, connected: world.connected, since, ...agentWhy({ ...world, refused }, board, now) };
  });
  return c.json({ hotkey, at: now, agents });
});

/** Of an agent whose object does not answer. */
const UNKNOWN: Pick<AgentWhy, 'reasons' | 'next'> & { state: 'unknown' } = { state: 'unknown', reasons: [], next: null };

function worldOf(env: Env, agent: string): Promise<AgentWorld | null> {
  const late = scheduler.wait(AGENTS.answerMs).then(() => null);
  const asked: Promise<AgentWorld | null> = minerStub(env, agent).why();
  return Promise.race([asked, late]).catch(() => null);
}

async function recorded(env: Env, account: string, id: string): Promise<RecordStory | null> {
  const found = CALL_ID.test(id) ? await db.findRecordedCall(db.connect(env), account, id) : null;
  return found === null ? null : recordStory(found);
}

interface Told {
  state: 'waiting' | 'running' | 'done' | 'unknown';
  since: string;
  waited_ms: number | null;
  position: number | null;
  eta_ms: number | null;
  reasons: CallReason[];
}

async function openCall(env: Env, story: CallStory | RecordStory, account: string): Promise<Told> {
  const now = Date.now();
  const failed = story.attempts.filter((it) => it.outcome === 'failed').length;
  const asked: OpenCall['chute'] = await chuteStub(env, story.chute_id)
    .whyWaits(story.call_id)
    .catch(() => null);
  const place = asked?.place ?? null;
  return {
    state: asked === null ? 'unknown' : place === null ? 'running' : 'waiting',
    since: story.opened_at,
    waited_ms: place === null ? null : now - Date.parse(story.opened_at),
    position: place?.position ?? null,
    eta_ms: place?.etaMs ?? null,
    reasons: openReasons({ failed, chute: asked }, asked?.view.owner === account ? 'owner' : 'caller', now),
  };
}

function doneCall({ state, code, opened_at: since, attempts }: CallStory | RecordStory): Told {
  const ended = state === 'completed' || state === 'cancelled' ? state : 'failed';
  const tries = attempts.filter((it) => !it.refused).map((it) => ({ waitedMs: it.waited_ms, cold: it.cold }));
  return {
    state: 'done',
    since,
    waited_ms: tries.at(-1)?.waitedMs ?? null,
    position: null,
    eta_ms: null,
    reasons: doneReasons({ state: ended, code, attempts: tries }),
  };
}
