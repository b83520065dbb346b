/** The objects by the id of their noun. The caller has checked the id's MAC, or took it from a snapshot or a key. */
import type { Env } from './env.ts';

export function accountStub(env: Env, id: string) {
  return env.ACCOUNT.get(env.ACCOUNT.idFromName(`account/${id}/0`));
}

export function chuteStub(env: Env, id: string) {
  return env.CHUTE.get(env.CHUTE.idFromName(`chute/${id}/0`));
}

/** `id` is an agent's: one Miner object per agent. */
export function minerStub(env: Env, id: string) {
  return env.MINER.get(env.MINER.idFromName(`miner/${id}/0`));
}

export function marketStub(env: Env) {
  return env.MARKET.get(env.MARKET.idFromName('market/0'));
}
