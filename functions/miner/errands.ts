/** What a Miner object asks of other objects and of Postgres. One that fails is made again by the core's alarm. */
import * as db from '#db';
import { BeaconError, openBeacon } from '../beacon/client.ts';
import type { AgentFacts, ClaimAnswer, ExtendAnswer } from '../calls/ports.ts';
import type { Env } from '../env.ts';
import { event, whyOf } from '../events.ts';
import { checkId } from '../gate/ids.ts';
import { accountStub, chuteStub } from '../stubs.ts';
import type { Draft } from './challenge-row.ts';
import type { MinerCore } from './core.ts';
import type { Effect } from './effects.ts';

export type Errand = Extract<
  Effect,
  { do: 'settle' | 'extend' | 'report' | 'load' | 'freed' | 'claim' | 'gone' | 'log' | 'record' | 'pulse' | 'transcripts' }
>;

/** Runs one errand, tells the core the answer, and returns what follows of it. */
export async function runErrand(errand: Errand, core: MinerCore, env: Env): Promise<Effect[]> {
  if (errand.do === 'settle') return core.onSettled(await accountStub(env, errand.account).settle(errand.settlements), Date.now());
  if (errand.do === 'extend') return core.onExtended(errand.attempt, await extension(errand, env), Date.now());
  if (errand.do === 'pulse') return core.onPulse(errand.round, await randomness(errand.round, env), Date.now());
  if (errand.do === 'transcripts') return core.onTranscripts(await writeDown(errand.drafts, env), Date.now());
  const facts = core.facts();
  if (facts === null) return [];
  switch (errand.do) {
    case 'report': {
      // The agent names the chute; an object is asked only by a name that the edge made.
      const real = await checkId('cht', errand.chute, env);
      const answer = real ? await chuteStub(env, errand.chute).report(facts, errand.report, errand.busy) : { known: false as const };
      return core.onReportAnswer(errand.report, answer, Date.now());
    }
    case 'load':
      await chuteStub(env, errand.chute).load(facts.agent, errand.loads);
      return [];
    case 'freed': {
      const call = await chuteStub(env, errand.chute).freed(facts.agent, errand.instance);
      return core.onFreedAnswer(errand.instance, errand.offer, call, Date.now());
    }
    case 'claim': {
      const answer = await claim(facts, errand.chute, errand.version, env);
      return core.onClaimAnswer(errand.ref, answer, Date.now());
    }
    case 'gone':
      await chuteStub(env, errand.chute).gone(facts.agent);
      core.onGoneTold(errand.chute);
      return [];
    case 'log':
      await chuteStub(env, errand.chute).log(facts.agent, errand.instance, errand.seq, errand.lines);
      return [];
    case 'record': {
      const base = db.connect(env);
      // First: who is kept away must not come in by facts that cannot be written.
      const jail = await db.jailOf(base, facts.hotkey);
      const taken = await written(db.upsertAgent(base, facts), facts.agent);
      return core.onRecorded({ taken, shutUntil: jail?.until.getTime() ?? null }, Date.now());
    }
  }
}

async function written(work: Promise<void>, agent: string): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    event('ask_failed', { what: 'record', agent, why: whyOf(error, 200) });
    return false;
  }
}

/** Null: the beacon has it not, or does not answer, or lies. */
async function randomness(round: number, env: Env): Promise<string | null> {
  try {
    return (await openBeacon(env).pulse(round)).randomness;
  } catch (error) {
    if (!(error instanceof BeaconError) || error.code !== 'not_yet') event('ask_failed', { what: 'pulse', round, why: whyOf(error, 200) });
    return null;
  }
}

/** What the record took. One that it can never take is left out of it: it must not keep the others waiting. */
async function writeDown(drafts: readonly Draft[], env: Env): Promise<{ id: string; ended: boolean }[]> {
  const told = drafts.map(({ id, end }) => ({ id, ended: end !== null }));
  try {
    await db.putTranscripts(db.connect(env), drafts);
  } catch (error) {
    if (!db.isRowFault(error)) throw error;
    if (drafts.length > 1) return (await Promise.all(drafts.map((draft) => writeDown([draft], env)))).flat();
    event('internal_error', { where: 'transcript', id: drafts[0]?.id ?? '', why: whyOf(error, 200) });
  }
  return told;
}

/** Null: the Account gives no answer now. */
async function extension({ account, call, tokens }: Extract<Effect, { do: 'extend' }>, env: Env): Promise<ExtendAnswer | null> {
  try {
    return await accountStub(env, account).extend(call, tokens);
  } catch (error) {
    event('ask_failed', { what: 'extend', call, why: String(error) });
    return null;
  }
}

/** Always an answer: a claim that stays open would count for ever. */
async function claim(facts: AgentFacts, chute: string, version: string, env: Env): Promise<ClaimAnswer> {
  if (!(await checkId('cht', chute, env))) return { kind: 'refusal', code: 'unknown_chute', retryAfterMs: 60_000 };
  try {
    return await chuteStub(env, chute).claim(facts, version);
  } catch {
    return { kind: 'refusal', code: 'no_need', retryAfterMs: 2_000 };
  }
}
