/** The pulses that an epoch needs: from the cache, else from a host of the beacon; each verified before it is used. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { PUBLIC_HOSTS } from '../../functions/beacon/client.ts';
import { pulseOf } from '../../functions/beacon/verify.ts';
import { pulseSchema, QUICKNET, type BeaconChain, type Pulse } from '#protocol/challenge/index.ts';
import { readText } from '../../functions/read-text.ts';
import { inParts } from './in-parts.ts';
import { Missing } from './outcome.ts';

const replySchema = z.pick(pulseSchema, { round: true, signature: true });

const AT_ONCE = 8;
const HOST_MS = 10_000;
const REPLY_BYTES = 4_096;
const TRIES = 3;

export interface PulseSource {
  chain: BeaconChain;
  /** Hosts; empty: the public ones. */
  urls: readonly string[];
  /** Null: signatures are hashed and not verified. */
  verify: ((pulse: Pulse) => Promise<boolean>) | null;
  folder: string;
  signal: AbortSignal;
}

/** Throws `Missing` for a round that no host has as the chain signed it: a host that lies says nothing of the epoch. */
export async function readPulses(source: PulseSource, rounds: readonly number[]): Promise<Map<number, Pulse>> {
  const once = [...new Set(rounds)].toSorted((a, b) => a - b);
  return new Map(await inParts(once, AT_ONCE, async (round): Promise<[number, Pulse]> => [round, await readPulse(source, round)]));
}

async function readPulse(source: PulseSource, round: number): Promise<Pulse> {
  // By the key too: what one chain signed is nothing to another that calls itself the same.
  const folder = join(source.folder, `${source.chain.hash}-${source.chain.publicKey.slice(0, 16)}`);
  const path = join(folder, `${round}${source.verify === null ? '.unverified' : ''}`);
  const kept = await readFile(path, 'utf8').catch(() => null);
  if (kept !== null && /^[0-9a-f]{96}$/.test(kept)) return pulseOf(round, kept);
  const pulse = await fetchPulse(source, round);
  await mkdir(folder, { recursive: true });
  await writeFile(path, pulse.signature);
  return pulse;
}

async function fetchPulse({ chain, urls, verify, signal }: PulseSource, round: number): Promise<Pulse> {
  const hosts = urls.length > 0 ? urls : chain.hash === QUICKNET.hash ? PUBLIC_HOSTS : [];
  let forged = false;
  for (let k = 0; k < TRIES * hosts.length; k++) {
    const pulse = await askHost(`${hosts[k % hosts.length]}/${chain.hash}/public/${round}`, round, signal);
    if (pulse === null) continue;
    if (verify === null || (await verify(pulse))) return pulse;
    forged = true;
  }
  throw new Missing(
    `No host of the beacon gave round ${round}${forged ? ' as the chain signed it' : ''}.`,
    'Name one by --beacon URL; any drand relay of the chain will do.',
  );
}

/** Null: it gave none. Throws the reason of the signal. */
async function askHost(url: string, round: number, signal: AbortSignal): Promise<Pulse | null> {
  try {
    const reply = await fetch(url, { redirect: 'error', signal: AbortSignal.any([signal, AbortSignal.timeout(HOST_MS)]) });
    const text = await readText(reply, REPLY_BYTES);
    const parsed = z.safeParse(replySchema, reply.ok ? JSON.parse(text ?? 'null') : null);
    return parsed.success && parsed.data.round === round ? pulseOf(round, parsed.data.signature) : null;
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
}
