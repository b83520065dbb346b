/** Challenges as they passed, for everybody: what every judge and every outsider judges by. */
import { Hono } from 'hono';
import * as z from 'zod/mini';
import * as db from '#db';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { JUDGING_LIMITS } from '../protocol/judging.ts';
import { readQuery } from './body.ts';
import { openings } from './challenges.ts';
import { slotPlace, slotText } from './slot-range.ts';
import type { Vars } from './vars.ts';

export const transcriptsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

const numberText = z.pipe(z.string().check(z.regex(/^[0-9]{1,15}$/)), z.transform(Number));
const feedQuery = z.object({ after: z.optional(numberText) });
const slotsQuery = z.object({ slot_from: slotText, slot_to: slotText, after: z.optional(z.string().check(z.maxLength(200))) });

/** By slots where they are given; else the feed, in which each stands once from its commit and once more when it has ended. */
transcriptsApi.get('/audit/transcripts', async (c) => {
  const base = db.connect(c.env);
  const limit = JUDGING_LIMITS.transcriptsPage;
  if (c.req.query('slot_from') === undefined && c.req.query('slot_to') === undefined) {
    const { after = 0 } = readQuery(c, feedQuery);
    const rows = await db.feedOf(base, { after, limit });
    return c.json({ items: rows.map(itemOf), next: rows.length < limit ? null : String(rows.at(-1)?.seq) });
  }
  const { slot_from: from, slot_to: to, after } = readQuery(c, slotsQuery);
  const rows = await db.transcriptsOfSlots(base, { from, to, after: slotPlace(after), limit });
  const last = rows.at(-1)?.transcript;
  return c.json({ items: rows.map(itemOf), next: rows.length < limit || last === undefined ? null : `${last.slot}.${last.id}` });
});

function itemOf({ seq, ended, epoch, transcript }: db.StoredTranscript) {
  const { id, kind, target, hotkey, slot, commit } = transcript;
  return { seq, id, kind, target, hotkey, slot, epoch, commit, transcript: ended ? transcript : null };
}

transcriptsApi.get('/audit/transcripts/:id', async (c) => c.json((await found(c.env, c.req.param('id'))).transcript));

transcriptsApi.get('/audit/transcripts/:id/opening', async (c) => {
  const { opening } = (await found(c.env, c.req.param('id'))).transcript;
  const bytes = opening === null ? null : await openings(c.env).get(opening.sha256);
  if (opening === null || bytes === null) throw new RipcordError('not_found', { message: 'Nothing was opened in this challenge.' });
  return new Response(bytes, {
    headers: {
      'content-type': 'application/octet-stream',
      'content-length': String(opening.bytes),
      etag: `"${opening.sha256}"`,
      'cache-control': 'public, max-age=31536000, immutable',
    },
  });
});

async function found(env: Env, id: string): Promise<db.StoredTranscript> {
  const known = id.length > 64 ? null : await db.readTranscript(db.connect(env), id);
  if (known === null) throw new RipcordError('not_found', { message: 'There is no such challenge on record.' });
  return known;
}
