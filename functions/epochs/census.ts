/**
 * Who is there, counted once a slot. The Miner objects are asked, since they alone know whether their socket lives; a slot that was
 * counted is not counted again, so two crons at once do no harm.
 */
import * as z from 'zod/mini';
import * as db from '#db';
import { inventorySchema } from '#protocol';
import type { Env } from '../env.ts';
import { slotOf } from '../protocol/challenge/index.ts';
import { EPOCH_LIMITS } from '../protocol/epoch.ts';
import { chuteStub, minerStub } from '../stubs.ts';
import { shared, sightings, type Seen, type Wanted } from './count.ts';
import { epochAt, networkOf } from './network.ts';

const BOUNDS = {
  /** Agents and chutes that are asked in a slot; beyond them nobody is counted. */
  agents: 4_000,
  chutes: 2_000,
  atOnce: 32,
  page: 200,
  /** Milliseconds an object has to answer. */
  answerMs: 3_000,
} as const;

/** How many devices and instances were there; 0 too where the slot is counted already. */
export async function census(env: Env, now: number): Promise<number> {
  const { suite, epochSeconds } = networkOf(env);
  const base = db.connect(env);
  const slot = slotOf(suite, now);
  const epoch = epochAt(slot * 1000, epochSeconds);
  if (await db.isCounted(base, { epoch, slot })) return 0;
  const agents = await connected(env, base);
  const chutes = [...new Set(agents.flatMap((a) => a.instances.map((i) => i.chute)))].slice(0, BOUNDS.chutes);
  const wanted = await inParts(chutes, (chute) => wantedOf(env, chute));
  const seen = shared(sightings(agents, new Map(wanted)), EPOCH_LIMITS.presence);
  await db.countPresence(base, { epoch, slot, seen });
  return seen.length;
}

async function connected(env: Env, base: db.Database): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (let after = '', asked = 0; asked < BOUNDS.agents;) {
    const page = await db.listAgents(base, { after, limit: BOUNDS.page });
    seen.push(...(await inParts(page, ({ id }) => seenOf(env, id))));
    asked += page.length;
    after = page.at(-1)?.id ?? '';
    if (page.length < BOUNDS.page) break;
  }
  return seen;
}

/** Null for one that is not connected, or does not answer in time. */
async function seenOf(env: Env, agent: string): Promise<Seen | null> {
  const facts = await inTime(minerStub(env, agent).facts());
  if (facts === null || !facts.connected) return null;
  const inventory = z.safeParse(inventorySchema, facts.inventory);
  return inventory.success ? { agent, hotkey: facts.hotkey, inventory: inventory.data, instances: facts.instances } : null;
}

async function wantedOf(env: Env, chute: string): Promise<[string, Wanted] | null> {
  const view = await inTime(chuteStub(env, chute).describe());
  if (view === null) return null;
  return [chute, { wanted: view.wanted, live: view.instances.filter((i) => i.state === 'live').length }];
}

async function inTime<T>(answer: Promise<T | null>): Promise<T | null> {
  return Promise.race([answer, scheduler.wait(BOUNDS.answerMs).then(() => null)]).catch(() => null);
}

async function inParts<T, R>(items: readonly T[], ask: (item: T) => Promise<R | null>): Promise<R[]> {
  const answers: R[] = [];
  for (let at = 0; at < items.length; at += BOUNDS.atOnce) {
    for (const answer of await Promise.all(items.slice(at, at + BOUNDS.atOnce).map(ask))) if (answer !== null) answers.push(answer);
  }
  return answers;
}
