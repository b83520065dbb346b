/**
 * Pulses of the beacon over HTTP, as drand serves them: from the first of its hosts that gives a good one. A pulse is verified once per
 * round and isolate. Runs in Workers and in Node.
 */
import * as z from 'zod/mini';
import { QUICKNET, beaconChainSchema, publishedAt, pulseSchema, type BeaconChain, type Pulse } from '../protocol/challenge/beacon.ts';
import { readText } from '../read-text.ts';
import { pulseOf, verifyPulse } from './verify.ts';

/** The part of the bindings that this needs. */
export interface BeaconEnv {
  /** Hosts, comma separated, without a slash at the end. Absent: the two public ones of drand. */
  BEACON_URLS?: string;
  /** `BeaconChain` as JSON. Absent: drand's quicknet. */
  BEACON_CHAIN?: string;
}

export interface Beacon {
  chain: BeaconChain;
  /** The pulse of this round, verified. Throws `BeaconError`. */
  pulse(round: number): Promise<Pulse>;
}

/** `not_yet`: the round is not out. `unreachable`: no host answered in time. `invalid`: what they gave is not of the chain. `config`: the environment. */
export type BeaconErrorCode = 'not_yet' | 'unreachable' | 'invalid' | 'config';

export class BeaconError extends Error {
  override readonly name = 'BeaconError';
  readonly code: BeaconErrorCode;
  constructor(code: BeaconErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export const PUBLIC_HOSTS: readonly string[] = ['https://api.drand.sh', 'https://drand.cloudflare.com'];
/** Milliseconds one host has. */
const HOST_MS = 3_000;
/** Milliseconds until the next host is asked too: one that hangs must not make every pulse too old to be a seed. */
const HEAD_START_MS = 700;
const REPLY_BYTES = 4_096;
/** Pulses kept per isolate. */
const KEPT = 512;

const replySchema = z.pick(pulseSchema, { round: true, signature: true });

/** Verified pulses by chain and round. Values only: a promise of one request must not be awaited by another. */
const verified = new Map<string, Pulse>();

/** The newest text of a chain that was read: every request checks its environment. */
let read: { text: string; chain: BeaconChain } | null = null;

/** The chain of this environment. Throws `BeaconError` (`config`). */
export function beaconChain({ BEACON_CHAIN }: BeaconEnv): BeaconChain {
  if (BEACON_CHAIN === undefined || BEACON_CHAIN === '') return QUICKNET;
  if (read?.text === BEACON_CHAIN) return read.chain;
  const parsed = z.safeParse(beaconChainSchema, parseJson(BEACON_CHAIN));
  if (!parsed.success) throw new BeaconError('config', 'BEACON_CHAIN is not the JSON of a chain: hash, publicKey, genesis and period.');
  read = { text: BEACON_CHAIN, chain: parsed.data };
  return parsed.data;
}

/** Open one per request; asks for the same round at once share one answer. Throws `BeaconError` (`config`). */
export function openBeacon(env: BeaconEnv): Beacon {
  const chain = beaconChain(env);
  const hosts = (env.BEACON_URLS ?? '').split(',').flatMap((host) => host.trim() || []);
  const flights = new Map<number, Promise<Pulse>>();
  return {
    chain,
    pulse(round) {
      const known = verified.get(keyOf(chain, round));
      if (known !== undefined) return Promise.resolve(known);
      const flight =
        flights.get(round) ?? fetchPulse(chain, hosts.length > 0 ? hosts : PUBLIC_HOSTS, round).finally(() => flights.delete(round));
      flights.set(round, flight);
      return flight;
    },
  };
}

async function fetchPulse(chain: BeaconChain, hosts: readonly string[], round: number): Promise<Pulse> {
  if (round < 1 || Date.now() < publishedAt(chain, round)) throw new BeaconError('not_yet', `Round ${round} of the beacon is not out.`);
  const failures: BeaconError[] = [];
  const pulse = await firstOf(hosts, async (host) => {
    try {
      return accept(chain, round, await ask(`${host}/${chain.hash}/public/${round}`));
    } catch (error) {
      failures.push(
        error instanceof BeaconError ? error : new BeaconError('unreachable', `No host of the beacon answered for round ${round}.`),
      );
      return null;
    }
  });
  if (pulse !== null) return pulse;
  // A host that gives a wrong pulse is worse news than one that is late.
  throw failures.find((f) => f.code === 'invalid') ?? failures.at(-1) ?? new BeaconError('config', 'BEACON_URLS names no host.');
}

/** The first answer that is one. Each host has a head start before the one behind it, which comes at once where it failed. */
async function firstOf<T>([host, ...others]: readonly string[], askHost: (host: string) => Promise<T | null>): Promise<T | null> {
  if (host === undefined) return null;
  const own = askHost(host);
  if (others.length === 0) return own;
  const { promise: waited, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, HEAD_START_MS, null);
  const early = await Promise.race([own, waited]);
  clearTimeout(timer);
  if (early !== null) return early;
  const next = firstOf(others, askHost);
  return Promise.race([own.then((answer) => answer ?? next), next.then((answer) => answer ?? own)]);
}

/** Throws `not_yet` where the host does not have it, whatever else for all other failures. */
async function ask(url: string): Promise<unknown> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), HOST_MS);
  try {
    const reply = await fetch(url, { signal: controller.signal });
    const text = await readText(reply, REPLY_BYTES);
    if (reply.status === 404 || reply.status === 425)
      throw new BeaconError('not_yet', 'The host of the beacon does not have the round yet.');
    if (!reply.ok) throw new BeaconError('unreachable', `A host of the beacon answered ${reply.status}.`);
    return text === null ? null : parseJson(text);
  } finally {
    clearTimeout(timer);
  }
}

function accept(chain: BeaconChain, round: number, reply: unknown): Pulse {
  const parsed = z.safeParse(replySchema, reply);
  const pulse = parsed.success && parsed.data.round === round ? pulseOf(round, parsed.data.signature) : null;
  if (pulse === null) throw new BeaconError('invalid', `A host of the beacon gave no pulse of round ${round}.`);
  // Whoever asked beside us may have verified it meanwhile.
  const known = verified.get(keyOf(chain, round));
  if (known?.signature === pulse.signature) return known;
  if (!verifyPulse(chain, pulse)) throw new BeaconError('invalid', `A host of the beacon gave a wrong signature of round ${round}.`);
  verified.set(keyOf(chain, round), pulse);
  const [oldest] = verified.keys();
  if (verified.size > KEPT && oldest !== undefined) verified.delete(oldest);
  return pulse;
}

function keyOf(chain: BeaconChain, round: number): string {
  return `${chain.hash}/${chain.publicKey}/${round}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
