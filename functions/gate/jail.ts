/** A hotkey that was proved false: its gate is shut, what it has earned and not been paid is forfeited, its agents' objects are told. */
import * as db from '#db';
import type { Env } from '../env.ts';
import { event, whyOf } from '../events.ts';
import type { Verdict } from '../protocol/challenge/verdict.ts';
import { minerStub } from '../stubs.ts';

/** Objects told at once, agents of one page, and of one hotkey at most: names that were never here since are not among them. */
const AT_ONCE = 32;
const PAGE = 1_000;
const AGENTS = 20_000;
/** Milliseconds for which housekeeping tells it again: whoever was not reached, or logged in meanwhile. */
const AGAIN_MS = 600_000;
/** Hotkeys told again by one cron. */
const AGAIN = 200;

/** Does it once per proof; done again it changes nothing. */
export async function jailFor(env: Env, of: { judge: string; verdict: Verdict; slot: number }): Promise<void> {
  const { id: challengeId, hotkey, reason } = of.verdict;
  const base = db.connect(env);
  const made = await db.jail(base, { hotkey, judge: of.judge, challengeId, reason, slot: of.slot });
  if (made !== null) event('hotkey_jailed', { hotkey, challenge: challengeId, reason, times: made.times });
  const jail = made ?? (await db.jailOf(base, hotkey));
  if (jail?.challengeId === challengeId) await carryOut(env, base, jail);
}

/** New jails once more. How many. */
export async function tellJails(env: Env): Promise<number> {
  const base = db.connect(env);
  const jails = await db.newJails(base, { withinMs: AGAIN_MS, limit: AGAIN });
  for (const jail of jails) await carryOut(env, base, jail);
  return jails.length;
}

async function carryOut(env: Env, base: db.Database, jail: db.Jail): Promise<void> {
  const { hotkey, challengeId, reason } = jail;
  await db.forfeit(base, { hotkey, reason: `challenge ${challengeId}: ${reason}`, ref: challengeId });
  for (let after = '', told = 0; told < AGENTS; told += PAGE) {
    const agents = await db.agentsHere(base, { hotkey, after, limit: PAGE });
    for (let at = 0; at < agents.length; at += AT_ONCE) {
      await Promise.all(agents.slice(at, at + AT_ONCE).map((id) => tell(env, id, jail.until.getTime())));
    }
    if (agents.length < PAGE) return;
    after = agents.at(-1) ?? '';
  }
}

/** Best effort: it is told again by housekeeping, and when its agent says hello. */
async function tell(env: Env, agent: string, until: number): Promise<void> {
  try {
    await minerStub(env, agent).shutGate(until);
  } catch (error) {
    event('ask_failed', { what: 'shut gate', agent, why: whyOf(error, 200) });
  }
}
