/** The judge's config: read once, checked at the door. The seed and the key stay out of what can be printed. */
import { AUDIT_LIMITS } from '#protocol/audit.ts';
import { hotkeyFromSeed, type Hotkey } from './hotkey.ts';

/** What wrangler.toml (or the local workerd config) binds. */
export interface JudgeEnv {
  /** The edge's public origin, without a slash at the end; signatures are bound to it. */
  API_ORIGIN: string;
  /** Seed of the judge's hotkey, 64 hex digits. */
  JUDGE_SEED: string;
  /** An ordinary key with the scope `invoke`; canaries are paid from its account. */
  API_KEY: string;
  /** Bearer of `POST /internal/cron`. Absent: that route does not exist. */
  INTERNAL_TOKEN?: string;
  /** Seconds of a scoring epoch: a whole number of minutes. Absent: one hour. */
  EPOCH_SECONDS?: string;
}

export interface JudgeConfig {
  origin: string;
  hotkey: Hotkey;
  apiKey: string;
  epochSeconds: number;
}

/** Throws with the name of the first setting that is wrong, and nothing of its value. */
export function readConfig(env: JudgeEnv): JudgeConfig {
  const origin = URL.parse(env.API_ORIGIN ?? '');
  if (origin === null || !/^https?:$/.test(origin.protocol)) throw new Error('API_ORIGIN must be an http(s) origin');
  if (!/^(0x)?[0-9a-f]{64}$/i.test(env.JUDGE_SEED ?? '')) throw new Error('JUDGE_SEED must be 64 hex digits');
  if (!env.API_KEY) throw new Error('API_KEY is missing');
  const epochSeconds = Number(env.EPOCH_SECONDS ?? 3600);
  if (!Number.isInteger(epochSeconds) || epochSeconds < 60 || epochSeconds % 60 !== 0 || epochSeconds > AUDIT_LIMITS.epochSeconds) {
    throw new Error('EPOCH_SECONDS must be a whole number of minutes, at most a day');
  }
  return { origin: origin.origin, hotkey: hotkeyFromSeed(env.JUDGE_SEED), apiKey: env.API_KEY, epochSeconds };
}
