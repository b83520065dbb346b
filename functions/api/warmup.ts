/** GET and POST …/warmup: where a chute stands on its way to an instance, and the wish for one. */
import { Hono, type Context } from 'hono';
import * as z from 'zod/mini';
import { scalingOf } from '#protocol';
import { warmView } from '../chute/warm-view.ts';
import type { ChuteView } from '../chute/view.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticateAccount, type Caller } from '../gate/authenticate.ts';
import { Buckets } from '../gate/bucket.ts';
import { chuteStub } from '../stubs.ts';
import { readJson, smallBody } from './body.ts';
import { CHUTE_PATHS, maySee, visible } from './chute-access.ts';
import { availableTo, mayAsk } from './may-ask.ts';
import type { Vars } from './vars.ts';
import { warmStream } from './warm-stream.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

/** Seconds one request may keep an instance. */
const SECONDS = { least: 30, most: 3_600 } as const;

const askSchema = z.strictObject({ seconds: z.optional(z.number().check(z.int(), z.gte(SECONDS.least), z.lte(SECONDS.most))) });

/** Warm-ups per account, isolate and second: each writes a row of its Chute. */
const wishes = new Buckets(0.2, 10);

export const warmupApi = new Hono<{ Bindings: Env; Variables: Vars }>();

for (const at of CHUTE_PATHS) {
  warmupApi.post(`${at}/warmup`, smallBody, async (c) => {
    const caller = await authenticateAccount(c, 'invoke');
    const view = await visible(c, caller);
    const { seconds } = await readAsk(c);
    await mayWarm(c.env, caller, view);
    const forMs = 1_000 * secondsOf(view, caller, seconds);
    const now = await chuteStub(c.env, view.chute).warm(forMs);
    if (now === null) throw new RipcordError('chute_not_found');
    return c.json({ ...itemOf(now, caller), warm_until: new Date(Date.now() + forMs).toISOString() });
  });

  warmupApi.get(`${at}/warmup`, async (c) => {
    const caller = await mayAsk(c);
    const view = await visible(c, caller);
    if (!wantsEvents(c)) return c.json(itemOf(view, caller));
    const look = async () => {
      const now: ChuteView | null = await chuteStub(c.env, view.chute).describe();
      // A share may be taken back meanwhile.
      return now === null || !maySee(now, caller) ? null : itemOf(now, caller);
    };
    const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' };
    return c.body(warmStream(caller.account, look, c.req.raw.signal), 200, headers);
  });
}

function itemOf(view: ChuteView, caller: Caller) {
  const eyes = view.owner === caller.account ? 'owner' : 'caller';
  return { chute_id: view.chute, name: view.name, ...warmView(view, eyes, Date.now(), (ms) => new Date(ms).toISOString()) };
}

/** No instance is started that nobody pays for, and nobody who has nothing has machines started. */
async function mayWarm(env: Env, caller: Caller, view: ChuteView): Promise<void> {
  const retryAfterMs = wishes.take(caller.account, Date.now());
  if (retryAfterMs > 0) throw new RipcordError('rate_limited', { message: 'Too many warm-ups of this account.', retryAfterMs });
  if (view.unpaidSince !== null)
    throw new RipcordError('insufficient_credit', { message: 'The owner of this chute cannot pay for an instance.' });
  if (view.owner === caller.account) return;
  const available = await availableTo(env, caller.account);
  if (available === null) throw new RipcordError('unavailable', { message: 'The record of credit does not answer.', retryAfterMs: 5_000 });
  if (available <= 0n)
    throw new RipcordError('insufficient_credit', { message: 'Only an account with credit may warm the chute of another.' });
}

/** Another's chute is kept for as long as a call of it would keep it; for less than half a minute no start is worth a try. */
function secondsOf(view: ChuteView, caller: Caller, wish: number | undefined): number {
  const idle = Math.min(SECONDS.most, Math.max(SECONDS.least, scalingOf(view.config).idle_after));
  return view.owner === caller.account ? (wish ?? idle) : Math.min(wish ?? idle, idle);
}

async function readAsk(c: Ctx): Promise<z.output<typeof askSchema>> {
  return (await c.req.text()).trim() === '' ? {} : readJson(c, askSchema);
}

function wantsEvents(c: Ctx): boolean {
  return c.req.query('stream') === '1' || /^text\/event-stream\b/i.test((c.req.header('accept') ?? '').trim());
}
