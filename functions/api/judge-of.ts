/** Which judge signed a request. Judges are the configured ones, whose verdicts shut the gate, and every hotkey with a permit on the chain. */
import type { Context } from 'hono';
import * as db from '#db';
import { SIGNED_HEADERS } from '#protocol';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate } from '../gate/authenticate.ts';
import { Buckets } from '../gate/bucket.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

/** The judges whose word counts for the gate. */
export function gateJudges(env: Pick<Env, 'JUDGES'>): string[] {
  return (env.JUDGES ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/**
 * The hotkey of the judge that signed. Who is no judge learns so before anything costly is done. Throws `insufficient_scope`,
 * `invalid_signature`, `nonce_used`, `body_too_large`, `rate_limited`.
 */
export async function signedJudge(c: Ctx, of: { bytes: number; rate: Buckets }): Promise<string> {
  const claimed = c.req.header(SIGNED_HEADERS.hotkey);
  if (claimed === undefined) throw new RipcordError('invalid_signature', { hint: 'Judges sign with their hotkey.' });
  if (!gateJudges(c.env).includes(claimed) && !(await db.hasPermit(db.connect(c.env), claimed)))
    throw new RipcordError('insufficient_scope', { message: 'This hotkey is no judge of this edge and has no permit on the chain.' });
  if (!(Number(c.req.header('content-length') ?? 0) <= of.bytes)) throw new RipcordError('body_too_large');
  const { hotkey } = await authenticate(c, 'write');
  if (hotkey !== claimed) throw new RipcordError('invalid_signature');
  const retryAfterMs = of.rate.take(hotkey, Date.now());
  if (retryAfterMs > 0) throw new RipcordError('rate_limited', { retryAfterMs });
  return hotkey;
}
