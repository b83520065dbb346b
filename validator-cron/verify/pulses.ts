/** The pulses that an epoch needs: from the cache, else from a host of the beacon; each verified before it is used. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { PUBLIC_HOSTS } from '../../functions/beacon/client.ts';
import { pulseOf } from '../../functions/beacon/verify.ts';
import { pulseSchema, QUICKNET, type BeaconChain, type Pulse } from '#protocol/challenge/index.ts';
import { inParts } from './in-parts.ts';
import { Different, Missing } from './outcome.ts';

const AT_ONCE = 8;
const HOST_MS = 10_000;
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

/** Throws `Missing` for a round that no host has, `Different` for one that the chain did not sign. */
export async function readPulses(source: PulseSource, rounds: readonly number[]): Promise<Map<number, Pulse>> {
  const once = [...new Set(rounds)].toSorted((a, b) => a - b);
  return new Map(await inParts(once, AT_ONCE, async (round): Promise<[number, Pulse]> => [round, await readPulse(source, round)]));
}

async function readPulse(source: PulseSource, round: number): Promise<Pulse> {
  const folder = join(source.folder, source.chain.hash);
  const path = join(folder, `${round}${source.verify === null ? '.unverified' : ''}`);
  const kept = await readFile(path, 'utf8').catch(() => null);
  if (kept !== null && /^[0-9a-f]{96}$/.test(kept)) return pulseOf(round, kept);
  const pulse = await fetchPulse(source, round);
  if (source.verify !== null && !(await source.verify(pulse)))
    throw new Different({ at: `beacon round ${round}`, due: 'a signature of the chain', given: pulse.signature });
  await mkdir(folder, { recursive: true });
  await writeFile(path, pulse.signature);
  return pulse;
}

async function fetchPulse({ chain, urls, signal }: PulseSource, round: number): Promise<Pulse> {
  const hosts = urls.length > 0 ? urls : chain.hash === QUICKNET.hash ? PUBLIC_HOSTS : [];
  const schema = z.pick(pulseSchema, { round: true, signature: true });
  for (let k = 0; k < TRIES * hosts.length; k++) {
    try {
      const reply = await fetch(`${hosts[k % hosts.length]}/${chain.hash}/public/${round}`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(HOST_MS)]),
      });
      const parsed = z.safeParse(schema, reply.ok ? await reply.json() : null);
      if (parsed.success && parsed.data.round === round) return pulseOf(round, parsed.data.signature);
    } catch (error) {
      if (signal.aborted) throw error;
    }
  }
  throw new Missing(`No host of the beacon gave round ${round}.`, 'Name one by --beacon URL; any drand relay of the chain will do.');
}
