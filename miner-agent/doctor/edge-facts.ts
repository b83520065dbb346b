/** What the edge says: a challenge, its clock, why this agent has no work. Asked as anybody may; nothing is changed there. */
import * as z from 'zod/mini';
import { reasonSchema } from '../control/status.ts';
import { askChallenge, LoginRefused } from '../identity/login.ts';
import { failureOf, type Outbound } from '../net/outbound.ts';
import type { Challenge, EdgeWord, Facts } from './facts.ts';

const whySchema = z.object({
  agents: z.array(z.object({ agent: z.string(), connected: z.nullable(z.boolean()), reasons: z.array(z.unknown()) })),
});

const ANSWER = { timeoutMs: 8_000, maxBytes: 1024 * 1024 } as const;

export async function askForChallenge(api: string, hotkey: string, name: string, outbound: Outbound): Promise<Challenge> {
  try {
    return { kind: 'asked', reply: await askChallenge({ api, hotkey, name, outbound }), origin: new URL(api).origin };
  } catch (error) {
    if (error instanceof LoginRefused) return { kind: 'refused', code: error.code, detail: error.message };
    return { kind: 'silent', problem: failureOf(error) };
  }
}

/** Half of the way there and back is taken for the way back. */
export async function readClock(api: string, outbound: Outbound): Promise<Facts['clock']> {
  const sent = Date.now();
  const answer = await outbound.ask(new URL(`${api}/health`), ANSWER).catch(() => null);
  const came = Date.now();
  const edge = Date.parse(answer?.headers.date ?? '');
  // The header has whole seconds.
  return Number.isNaN(edge) ? null : { here: (sent + came) / 2, edge: edge + 500 };
}

/** `agent`: its id, as the challenge told it. Null: the edge does not say. */
export async function readWhy(api: string, hotkey: string, agent: string, outbound: Outbound): Promise<EdgeWord | null> {
  const answer = await outbound.ask(new URL(`${api}/miners/${hotkey}/why`), ANSWER).catch(() => null);
  if (answer === null) return null;
  const parsed = answer.ok ? z.safeParse(whySchema, jsonOf(answer.text)) : null;
  if (parsed?.success !== true) return answer.status === 404 ? { reasons: [], connected: null } : null;
  const mine = parsed.data.agents.find((it) => it.agent === agent);
  if (mine === undefined) return { reasons: [], connected: null };
  // A word of a newer edge is left out.
  const reasons = mine.reasons.flatMap((reason) => {
    const known = z.safeParse(reasonSchema, reason);
    return known.success ? [known.data] : [];
  });
  return { reasons, connected: mine.connected };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
