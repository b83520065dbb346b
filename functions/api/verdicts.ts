/**
 * What judges make of challenges. Whoever may judge writes; the first word of a judge on a challenge stands. A `hard` one of a judge
 * of the gate's configured set shuts the gate of the hotkey (`functions/gate/jail.ts`), all others move their judge's weights only.
 */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { Buckets } from '../gate/bucket.ts';
import { jailFor } from '../gate/jail.ts';
import { decodeSs58 } from '../gate/ss58.ts';
import { VERDICTS, type StoredVerdict, type Verdict } from '../protocol/challenge/verdict.ts';
import { JUDGING_LIMITS, verdictsPostSchema } from '../protocol/judging.ts';
import { readJson, readQuery } from './body.ts';
import { gateJudges, signedJudge } from './judge-of.ts';
import { judgePlace, slotText } from './slot-range.ts';
import type { Vars } from './vars.ts';

export const verdictsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const BODY_BYTES = 512 * 1024;
/** Verdicts of one miner on a page. */
const MINER_PAGE = 100;
/** Of one judge and isolate. */
const rate = new Buckets(5, 200);

verdictsApi.post('/audit/verdicts', async (c) => {
  const judge = await signedJudge(c, { bytes: BODY_BYTES, rate });
  const { items } = await readJson(c, verdictsPostSchema);
  const base = db.connect(c.env);
  const ids = items.map((item) => item.id);
  const ended = await db.endedAmong(base, ids);
  const rows = items.map((verdict) => {
    const of = ended.get(verdict.id);
    if (of === undefined || !isOf(verdict, of))
      throw new RipcordError('invalid_request', {
        message: `No challenge ${verdict.id} of this kind, target and hotkey has ended.`,
        param: 'items',
      });
    return { verdict, outcome: VERDICTS[verdict.reason].outcome, slot: of.slot };
  });
  const made = await db.insertVerdicts(base, judge, rows);
  if (gateJudges(c.env).includes(judge)) {
    // By what is on record: a second word does not shut what the first left open. Posted again, it is carried out again.
    const hard = await db.hardAmong(base, judge, ids);
    for (const { verdict, slot } of rows) if (hard.has(verdict.id)) await jailFor(c.env, { judge, verdict, slot });
  }
  return c.json({ taken: made.length });
});

function isOf(verdict: Verdict, of: { kind: string; target: string; hotkey: string }): boolean {
  return verdict.kind === of.kind && verdict.target === of.target && verdict.hotkey === of.hotkey;
}

const name = z.optional(z.string().check(z.maxLength(64)));
const slotsQuery = z.object({
  slot_from: slotText,
  slot_to: slotText,
  judge: name,
  hotkey: name,
  after: z.optional(z.string().check(z.maxLength(200))),
});

verdictsApi.get('/audit/verdicts', async (c) => {
  const { slot_from: from, slot_to: to, judge, hotkey, after } = readQuery(c, slotsQuery);
  const limit = JUDGING_LIMITS.verdictsPage;
  const only = { ...(judge === undefined ? {} : { judge }), ...(hotkey === undefined ? {} : { hotkey }) };
  const items = await db.verdictsOfSlots(db.connect(c.env), { from, to, ...only, after: judgePlace(after), limit });
  return c.json({ items, next: nextOf(items, limit) });
});

/** The newest challenge first, each with what it means, what to do, and what it cost. `?before=`: the `next` of the page before. */
verdictsApi.get('/miners/:hotkey/verdicts', async (c) => {
  const hotkey = c.req.param('hotkey');
  if (decodeSs58(hotkey) === null) throw new RipcordError('not_found', { message: 'This is no hotkey (ss58, prefix 42).' });
  const base = db.connect(c.env);
  const items = await db.verdictsOfMiner(base, { hotkey, before: judgePlace(c.req.query('before')), limit: MINER_PAGE });
  const hard = items.filter((v) => VERDICTS[v.reason].outcome === 'hard').map((v) => v.id);
  const [jail, forfeited] = await Promise.all([db.jailOf(base, hotkey), db.forfeitedFor(base, hotkey, hard)]);
  return c.json({
    hotkey,
    gated: jail === null ? null : { until: jail.until.getTime(), reason: jail.reason, challenge: jail.challengeId },
    items: items.map((v) => ({ ...v, ...VERDICTS[v.reason], cost: costOf(v, jail, forfeited.get(v.id)) })),
    next: nextOf(items, MINER_PAGE),
  });
});

/** Null: it cost nothing at once; what it is in the score is in the epoch's summary. */
function costOf({ id, judge }: StoredVerdict, jail: db.Jail | null, forfeited: bigint | undefined) {
  const gated = jail?.challengeId === id && jail.judge === judge ? jail.until.getTime() : null;
  return gated === null && forfeited === undefined ? null : { gated_until: gated, forfeited_nanousd: String(forfeited ?? 0n) };
}

function nextOf(items: readonly StoredVerdict[], limit: number): string | null {
  const last = items.at(-1);
  return last === undefined || items.length < limit ? null : `${last.slot}.${last.id}.${last.judge}`;
}
