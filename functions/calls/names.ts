/** Names of chutes: an id, `owner/name`, or the slug of a host name. Pure functions; nothing is looked up. */
import { CHUTE_NAME, HANDLE } from '#protocol';
import type { Env } from '../env.ts';
import { checkId, chuteIdOf, slugOf } from '../gate/ids.ts';

/** Ids of names asked for lately, per isolate. */
const known = new Map<string, string | null>();
const REMEMBERED = 5_000;

/** The id of a chute, or null if the name cannot be one. Whether there is such a chute is another question. */
export async function chuteNamed(name: string, env: Pick<Env, 'EDGE_SECRET'>): Promise<string | null> {
  const cached = known.get(name);
  if (cached !== undefined) return cached;
  const id = await resolve(name, env);
  if (known.size >= REMEMBERED) known.clear();
  if (name.length <= 100) known.set(name, id);
  return id;
}

/** The id of the chute that answers at `{slug}.{suffix}`. */
export async function chuteOfSlug(slug: string, env: Pick<Env, 'EDGE_SECRET'>): Promise<string | null> {
  const cut = slug.indexOf('-');
  return cut < 1 ? null : chuteNamed(`${slug.slice(0, cut)}/${slug.slice(cut + 1)}`, env);
}

async function resolve(name: string, env: Pick<Env, 'EDGE_SECRET'>): Promise<string | null> {
  if (name.startsWith('cht_')) return (await checkId('cht', name, env)) ? name : null;
  const [handle, chute, ...rest] = name.split('/');
  if (handle === undefined || chute === undefined || rest.length > 0) return null;
  if (!HANDLE.test(handle) || !CHUTE_NAME.test(chute)) return null;
  return chuteIdOf(slugOf(handle, chute), env);
}
