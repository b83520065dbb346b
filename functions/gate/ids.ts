/**
 * Ids nobody can guess into existence: 16 characters that are random or derived, then 8 characters (40 bits) of a MAC of
 * the edge. `acc_`, `key_`, `cht_`, `agt_`, `ins_`, `prc_`, `sec_`, then `[0-9a-z]{24}`.
 */
import { base32crockford } from '@scure/base';
import { sameText } from './constant-time.ts';
import { edgeMac, type EdgeSecret } from './secrets.ts';

export type IdKind = 'acc' | 'key' | 'cht' | 'agt' | 'ins' | 'prc' | 'sec';

const BODY_BYTES = 10;
const MAC_BYTES = 5;
const BODY_CHARS = 16;

/** What follows the kind of any id. */
export const ID_BODY = /^[0-9a-hjkmnp-tv-z]{24}$/;

/** A new random id. */
export function makeId(kind: IdKind, env: EdgeSecret): Promise<string> {
  return seal(kind, crypto.getRandomValues(new Uint8Array(BODY_BYTES)), env);
}

/** Whether the edge made this id, of this kind. No I/O. */
export async function checkId(kind: IdKind, id: string, env: EdgeSecret): Promise<boolean> {
  if (!id.startsWith(`${kind}_`) || !ID_BODY.test(id.slice(4))) return false;
  const unsealed = id.slice(0, 4 + BODY_CHARS);
  return sameText(id, unsealed + (await idMac(unsealed, env)));
}

/** The account of a hotkey (ss58). The same for ever: an object can be found before anything is known of it. */
export function accountIdOf(hotkey: string, env: EdgeSecret): Promise<string> {
  return derive('acc', hotkey, env);
}

/** The agent with this name of a hotkey. */
export function agentIdOf(hotkey: string, name: string, env: EdgeSecret): Promise<string> {
  return derive('agt', `${hotkey}\n${name}`, env);
}

/** The chute of a slug, see `slugOf`. */
export function chuteIdOf(slug: string, env: EdgeSecret): Promise<string> {
  return derive('cht', slug, env);
}

/** One label of a host name for `owner/name`; a handle has no hyphen, so a slug names exactly one chute. */
export function slugOf(handle: string, name: string): string {
  return `${handle}-${name}`;
}

async function derive(kind: IdKind, from: string, env: EdgeSecret): Promise<string> {
  const mac = await edgeMac(env, 'id/derive', `${kind}\n${from}`);
  return seal(kind, mac.subarray(0, BODY_BYTES), env);
}

async function seal(kind: IdKind, body: Uint8Array, env: EdgeSecret): Promise<string> {
  const unsealed = `${kind}_${base32(body)}`;
  return unsealed + (await idMac(unsealed, env));
}

async function idMac(unsealed: string, env: EdgeSecret): Promise<string> {
  const mac = await edgeMac(env, 'id/mac', unsealed);
  return base32(mac.subarray(0, MAC_BYTES));
}

function base32(bytes: Uint8Array): string {
  return base32crockford.encode(bytes).toLowerCase();
}
