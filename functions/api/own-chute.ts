/** Chutes and accounts that a body names. */
import * as db from '#db';
import { CHUTE_NAME, HANDLE } from '#protocol';
import type { Env } from '../env.ts';
import { RipcordError } from '../errors.ts';
import type { Caller } from '../gate/authenticate.ts';
import { checkId, chuteIdOf, slugOf } from '../gate/ids.ts';
import { chuteStub } from '../stubs.ts';
import { recorded } from './chute-access.ts';

type Owner = Caller & { handle: string };

/**
 * A chute of the caller: an id, `name` or `owner/name`. By name it need not be deployed yet, for the name is the caller's
 * anyway. Throws `chute_not_found`, whatever the reason.
 */
export async function ownChute(env: Env, caller: Owner, text: string): Promise<{ chute: string; name: string }> {
  if (text.startsWith('cht_')) {
    const view = (await checkId('cht', text, env)) ? await chuteStub(env, text).describe() : null;
    if (view?.owner !== caller.account) throw new RipcordError('chute_not_found');
    return { chute: view.chute, name: view.name };
  }
  const [handle, name] = text.includes('/') ? text.split('/', 2) : [caller.handle, text];
  if (handle !== caller.handle || name === undefined || !CHUTE_NAME.test(name) || text.split('/').length > 2)
    throw new RipcordError('chute_not_found');
  return { chute: await chuteIdOf(slugOf(handle, name), env), name: `${handle}/${name}` };
}

/** The same, and it is deployed. */
export async function ownDeployed(env: Env, caller: Owner, text: string): Promise<{ chute: string; name: string }> {
  const known = await ownChute(env, caller, text);
  if ((await chuteStub(env, known.chute).describe()) === null) throw new RipcordError('chute_not_found');
  return known;
}

/** An account by handle or id. Throws `not_found`. */
export async function accountNamed(env: Env, text: string): Promise<db.AccountRecord> {
  const known = await recorded(async (base) => {
    if (HANDLE.test(text)) return db.findAccountByHandle(base, text);
    return (await checkId('acc', text, env)) ? db.findAccount(base, text) : null;
  }, env);
  if (known !== null) return known;
  throw new RipcordError('not_found', {
    message: 'There is no such account.',
    hint: 'Give its handle, or its id as GET /accounts/me shows it.',
    param: 'user_id_or_name',
  });
}
