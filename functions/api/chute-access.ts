/** Who may see or change the chute that a path names. */
import type { Context } from 'hono';
import * as db from '#db';
import { CHUTE_NAME, HANDLE } from '#protocol';
import type { ChuteView } from '../chute/view.ts';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import { authenticate } from '../gate/authenticate.ts';
import type { Caller } from '../gate/authenticate.ts';
import { checkId, chuteIdOf, slugOf } from '../gate/ids.ts';
import { chuteStub } from '../stubs.ts';
import type { Vars } from './vars.ts';

type Ctx = Context<{ Bindings: Env; Variables: Vars }>;

/** A chute is `/chutes/{chute_id}` or `/chutes/{owner}/{name}`; an id has an underscore, a handle has none. */
export const CHUTE_PATHS = ['/chutes/:id{cht_[^/]+}', '/chutes/:owner{[a-z0-9]+}/:name'] as const;

/** The chute of the path, if the caller may see it; throws `chute_not_found` otherwise, whatever the reason. */
export async function visible(c: Ctx, caller: Caller): Promise<ChuteView> {
  const id = await idOf(c);
  const view = id === null ? null : await chuteStub(c.env, id).describe();
  if (view === null || !maySee(view, caller)) throw new RipcordError('chute_not_found');
  return view;
}

/** Whether the chute is there for this caller, as it stands now. */
export function maySee({ config, owner, shared }: ChuteView, { account }: Caller): boolean {
  return config.public || owner === account || shared.includes(account);
}

/** The chute of the path, if the caller owns it. A public chute of another owner is there, but not for this. */
export async function owned(c: Ctx, scope: 'read' | 'write'): Promise<ChuteView> {
  const caller = await authenticate(c, scope);
  const view = await visible(c, caller);
  if (view.owner !== caller.account) throw new RipcordError('insufficient_scope', { message: 'The chute belongs to another account.' });
  return view;
}

async function idOf(c: Ctx): Promise<string | null> {
  const { id, owner = '', name = '' } = c.req.param() as { id?: string; owner?: string; name?: string };
  if (id !== undefined) return (await checkId('cht', id, c.env)) ? id : null;
  return HANDLE.test(owner) && CHUTE_NAME.test(name) ? chuteIdOf(slugOf(owner, name), c.env) : null;
}

/** Postgres, or `unavailable`: what is not on record has not happened. */
export async function recorded<T>(work: (base: db.Database) => Promise<T>, env: Env): Promise<T> {
  try {
    return await work(db.connect(env));
  } catch (error) {
    if (db.isBadText(error)) throw error;
    throw new RipcordError('unavailable', { message: 'The record of chutes does not answer.', retryAfterMs: 5_000 });
  }
}
