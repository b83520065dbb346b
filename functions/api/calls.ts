/**
 * GET /calls, GET /calls/{id}: what became of calls. The Account knows those that run and those of late, the record all
 * that closed and were flushed; between the two, none is missing.
 */
import { Hono } from 'hono';
import * as db from '#db';
import { callStory, type CallStory } from '../account/story.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount } from '../gate/authenticate.ts';
import { accountStub } from '../stubs.ts';
import { CALL_ID, recordStory, type RecordStory } from './call-record.ts';
import { cursorText, readCursor, readLimit } from './page.ts';
import type { Vars } from './vars.ts';

const BOUNDS = { usual: 50, most: 200 } as const;

type Story = CallStory | RecordStory;

export const callsApi = new Hono<{ Bindings: Env; Variables: Vars }>();

/** Running calls first, then by when they closed, the newest first. Without the record: what the Account remembers. */
callsApi.get('/calls', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const limit = readLimit(c.req.query('limit'), BOUNDS.usual, BOUNDS.most);
  const before = readCursor(c.req.query('before'));
  const [recent, recorded] = await Promise.all([
    accountStub(c.env, account).recentCalls(BOUNDS.most),
    db.listRecordedCalls(db.connect(c.env), { accountId: account, before, limit }).catch(unlessAway),
  ]);
  const stories = new Map<string, Story>((recorded ?? []).map((call) => [call.callId, recordStory(call)]));
  for (const call of recent) stories.set(call.call, callStory(call));
  const below = [...stories.values()].filter((story) => before === null || placeOf(story) < placeText(before));
  const items = below.sort((a, b) => (placeOf(a) < placeOf(b) ? 1 : -1)).slice(0, limit);
  const last = items.length < limit ? undefined : items.at(-1);
  const next = last?.closed_at ? cursorText({ at: Date.parse(last.closed_at), id: last.call_id }) : null;
  return c.json({ items, next, ...(recorded === null ? { record: 'unanswered' } : {}) });
});

/** Another account's call is not found, as one that never was. */
callsApi.get('/calls/:id', async (c) => {
  const { account } = await authenticateAccount(c, 'read');
  const id = c.req.param('id').toLowerCase();
  const call = await accountStub(c.env, account).getCall(id);
  if (call !== null) return c.json(callStory(call));
  const recorded = CALL_ID.test(id) ? await db.findRecordedCall(db.connect(c.env), account, id) : null;
  if (recorded === null) throw new RipcordError('call_not_found');
  return c.json(recordStory(recorded));
});

/** Text that sorts as the list does: a running call has not closed yet, so it is after every other. */
function placeOf({ closed_at: closedAt, opened_at: openedAt, call_id: call }: Story): string {
  return closedAt === null ? `running ${openedAt} ${call}` : placeText({ at: Date.parse(closedAt), id: call });
}

function placeText({ at, id }: db.PageEnd): string {
  return `${String(at).padStart(15, '0')} ${id}`;
}

function unlessAway(error: unknown): null {
  if (db.isUnanswered(error)) return null;
  throw error;
}
