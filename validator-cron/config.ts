/** The judge's config: read once, checked at the door. The seed and the keys stay out of what can be printed. */
import { AUDIT_LIMITS } from '#protocol/audit.ts';
import { suiteOf, type Suite } from '#protocol/challenge/index.ts';
import type { BeaconEnv } from '../functions/beacon/client.ts';
import type { ChainEnv } from '../functions/chain/chain.ts';
import { hotkeyFromSeed, type Hotkey } from './hotkey.ts';

/** What wrangler.toml (or the local workerd config) binds. */
export interface JudgeEnv extends BeaconEnv, ChainEnv {
  /** The edge's public origin, without a slash at the end; signatures are bound to it. */
  API_ORIGIN: string;
  /** Seed of the judge's hotkey, 64 hex digits. */
  JUDGE_SEED: string;
  /** An ordinary key with the scope `invoke`; canaries are paid from it. Absent: no canaries. */
  API_KEY?: string;
  /** Bearer of the internal routes. Absent: they do not exist. */
  INTERNAL_TOKEN?: string;
  /** Where this Worker hears itself, to share a long tick out. Absent: a tick does what it can alone. */
  SELF_ORIGIN?: string;
  /** Seconds of an epoch, a whole number of slots. Absent: one hour. */
  EPOCH_SECONDS?: string;
  /** `mainnet` or `development`. Absent: mainnet. */
  NETWORK?: string;
  /** The subnet. Absent, or without `CHAIN_URL`: no weights are posted. */
  NETUID?: string;
}

export interface JudgeConfig {
  origin: string;
  hotkey: Hotkey;
  apiKey: string | null;
  epochSeconds: number;
  suite: Suite;
  beacon: BeaconEnv;
  /** Null: no chain. */
  chain: { env: ChainEnv; netuid: number } | null;
  /** Null: everything is done in the tick itself. */
  self: { origin: string; token: string } | null;
}

/** Throws with the name of the first setting that is wrong, and nothing of its value. */
export function readConfig(env: JudgeEnv): JudgeConfig {
  const origin = originOf(env.API_ORIGIN);
  if (origin === null) throw new Error('API_ORIGIN must be an http(s) origin');
  if (!/^(0x)?[0-9a-f]{64}$/i.test(env.JUDGE_SEED ?? '')) throw new Error('JUDGE_SEED must be 64 hex digits');
  const self = originOf(env.SELF_ORIGIN);
  if (env.SELF_ORIGIN && self === null) throw new Error('SELF_ORIGIN must be an http(s) origin');
  const suite = suiteOf(env.NETWORK);
  const { slotSeconds } = suite.cadence;
  const epochSeconds = Number(env.EPOCH_SECONDS ?? 3600);
  if (
    !Number.isInteger(epochSeconds) ||
    epochSeconds < slotSeconds ||
    epochSeconds % slotSeconds !== 0 ||
    epochSeconds > AUDIT_LIMITS.epochSeconds
  )
    throw new Error(`EPOCH_SECONDS must be a whole number of slots (${slotSeconds} s), at most a day`);
  return {
    origin,
    hotkey: hotkeyFromSeed(env.JUDGE_SEED),
    apiKey: env.API_KEY || null,
    epochSeconds,
    suite,
    beacon: env,
    chain: env.CHAIN_URL ? { env, netuid: netuidOf(env.NETUID) } : null,
    self: self !== null && env.INTERNAL_TOKEN ? { origin: self, token: env.INTERNAL_TOKEN } : null,
  };
}

function netuidOf(text: string | undefined): number {
  if (!/^\d{1,5}$/.test(text ?? '') || Number(text) > 65_535) throw new Error('NETUID must be 0 to 65535 where CHAIN_URL is set');
  return Number(text);
}

function originOf(text: string | undefined): string | null {
  const url = URL.parse(text ?? '');
  return url !== null && /^https?:$/.test(url.protocol) ? url.origin : null;
}
