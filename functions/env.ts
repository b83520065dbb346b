/** The edge's bindings and its config: read once, checked at the door, secrets kept out of what can be printed. */
import { beaconChain } from './beacon/client.ts';
import { RipcordError } from './errors.ts';
import type { AccountObject } from './account/object.ts';
import type { ChuteObject } from './chute/object.ts';
import type { MarketObject } from './market/object.ts';
import type { MinerObject } from './miner/object.ts';
import { feeBpsOf } from './prices/fee.ts';
import { parseKeys } from './secrets/ring.ts';

/** What wrangler.toml (or the local workerd config) binds. */
export interface Env {
  ACCOUNT: DurableObjectNamespace<AccountObject>;
  CHUTE: DurableObjectNamespace<ChuteObject>;
  MINER: DurableObjectNamespace<MinerObject>;
  MARKET: DurableObjectNamespace<MarketObject>;
  /** Where code folders and large bodies lie: an R2 bucket, or locally a disk service of workerd. */
  BLOBS?: R2Bucket;
  BLOBS_DISK?: Fetcher;
  HYPERDRIVE?: Hyperdrive;
  /** Secret of 32 bytes or more, hex; every key of the edge is derived from it. */
  EDGE_SECRET: string;
  /** Keys that secrets of chutes are kept under, newest first, `id:64 hex digits,…` (docs/secrets.md). Absent: one of EDGE_SECRET. */
  SECRETS_KEYS?: string;
  /** The origin clients dial, without a slash at the end; hotkey signatures are bound to it. */
  PUBLIC_ORIGIN: string;
  /** Chutes answer at `{slug}.{HOST_SUFFIX}`. */
  HOST_SUFFIX: string;
  DATABASE_URL: string;
  /** Local Postgres behind the bridge: `http://127.0.0.1:PORT/sql`. Absent: Neon's own endpoint. */
  DATABASE_FETCH_ENDPOINT?: string;
  /** Bearer of the internal routes (cron ticker under plain workerd). Absent: these routes do not exist. */
  INTERNAL_TOKEN?: string;
  /** ss58 addresses of judges whose observations are taken, comma separated. */
  JUDGES?: string;
  /** Cards by Stripe Checkout; without all three, cards are not taken. */
  STRIPE_SECRET_KEY?: string;
  STRIPE_WEBHOOK_SECRET?: string;
  /** Where people land after Stripe's page. */
  STRIPE_RETURN_URL?: string;
  /** Absent: https://api.stripe.com. */
  STRIPE_API?: string;
  /** Subtensor nodes that answer JSON-RPC by HTTP, comma separated; without one, nothing comes in from the chain. */
  CHAIN_URL?: string;
  /** A node that keeps the state of all blocks. */
  CHAIN_ARCHIVE_URL?: string;
  /** Hash of block 0, `0x…`. Absent: Bittensor's main network. */
  CHAIN_GENESIS?: string;
  /** The subnet this network is, a number. With it and CHAIN_URL, only its registered hotkeys may mine. */
  NETUID?: string;
  /** `1`: hotkeys that are not registered may mine too, as on a private network. */
  OPEN_MINING?: string;
  /** Public sr25519 key, 64 hex digits, that deposit addresses are derived from; its secret stays offline. */
  DEPOSIT_MASTER?: string;
  /** Where the price of TAO is read, `name=https://host/path#keys.to.the.price`, comma separated (docs/deposits.md). Absent: nowhere. */
  TAO_USD_FEEDS?: string;
  /** The program that signs payouts (docs/payouts.md), and its bearer. Absent: payouts in TAO wait. */
  PAYOUT_SIGNER_URL?: string;
  PAYOUT_SIGNER_TOKEN?: string;
  /** Ten-thousandths of every cost that the platform keeps, by prices made from now on. Absent: 1500. */
  FEE_BPS?: string;
  /** Where a caller who is out of credit gets more. Absent: the balance of the account at this origin. */
  TOP_UP_URL?: string;
  /** Most agents that may be connected at once (one machine: as its file descriptors allow). Absent: no limit. */
  MAX_AGENTS?: string;
  /** Hotkeys (ss58) whose agents are not let in, comma separated; one that is connected stays until its next login. */
  REFUSED_HOTKEYS?: string;
  /** `mainnet` or `development`: which suite of challenges and which scoring table this network goes by. Absent: mainnet. */
  NETWORK?: string;
  /** Seconds of an epoch, a whole number of slots of the suite. Absent: 3600. */
  EPOCH_SECONDS?: string;
  /** HTTP endpoints of the beacon, comma separated. Absent: the public ones of quicknet. */
  BEACON_URLS?: string;
  /** The chain of the beacon, JSON as `BeaconChain`. Absent: drand's quicknet. */
  BEACON_CHAIN?: string;
  /** `1` lets alerts go to any address. Never set in production. */
  ALLOW_LOCAL_WEBHOOKS?: string;
  /** `1` lets a feed of TAO_USD_FEEDS be on this machine, by plain HTTP. Never set in production. */
  ALLOW_LOCAL_FEEDS?: string;
  /** `1` lets an internal route reset objects, for fault tests. Never set in production. */
  FAULTS?: string;
}

const REQUIRED = ['EDGE_SECRET', 'PUBLIC_ORIGIN', 'HOST_SUFFIX', 'DATABASE_URL'] as const;

/** What prices made now will keep for the platform; `checkEnv` has seen that it is one. */
export function feeBps(env: Env): number {
  return feeBpsOf(env.FEE_BPS) ?? 0;
}

export function topUpUrl(env: Env): string {
  return env.TOP_UP_URL ?? `${env.PUBLIC_ORIGIN}/accounts/me/balance`;
}

/** Whether the operator of this edge keeps the hotkey's agents out. */
export function isRefused(env: Env, hotkey: string): boolean {
  return env.REFUSED_HOTKEYS !== undefined && env.REFUSED_HOTKEYS.split(',').some((refused) => refused.trim() === hotkey);
}

/** Fails early, with the names of what is missing and nothing of what is there. */
export function checkEnv(env: Env): void {
  const missing = REQUIRED.filter((name) => !env[name]);
  if (missing.length > 0) throw new RipcordError('unavailable', { message: `The edge is not configured: ${missing.join(', ')} missing.` });
  if (!/^[0-9a-f]{64,}$/.test(env.EDGE_SECRET))
    throw new RipcordError('unavailable', { message: 'The edge is not configured: EDGE_SECRET must be at least 64 hex digits.' });
  if (parseKeys(env.SECRETS_KEYS) === null)
    throw new RipcordError('unavailable', {
      message: 'The edge is not configured: SECRETS_KEYS must be id:64 hex digits, comma separated.',
    });
  if (env.NETUID !== undefined && !(/^[0-9]{1,5}$/.test(env.NETUID) && Number(env.NETUID) < 65_536))
    throw new RipcordError('unavailable', { message: 'The edge is not configured: NETUID must be the number of a subnet.' });
  if (!hasBeacon(env))
    throw new RipcordError('unavailable', { message: 'The edge is not configured: BEACON_CHAIN must be the JSON of a chain.' });
  if (feeBpsOf(env.FEE_BPS) === null)
    throw new RipcordError('unavailable', { message: 'The edge is not configured: FEE_BPS must be a whole number from 0 to 10000.' });
}

function hasBeacon(env: Env): boolean {
  try {
    return beaconChain(env).period > 0;
  } catch {
    return false;
  }
}
