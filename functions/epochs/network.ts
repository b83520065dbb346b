/** What this network goes by, out of the config (pure): its suite, the length of its epochs, its beacon. */
import { beaconChain, type BeaconEnv } from '../beacon/client.ts';
import { suiteOf, type BeaconChain, type Suite } from '../protocol/challenge/index.ts';

interface NetworkEnv extends BeaconEnv {
  NETWORK?: string;
  EPOCH_SECONDS?: string;
}

export interface Network {
  suite: Suite;
  epochSeconds: number;
  chain: BeaconChain;
  /** Where its beacon is read; empty: the public endpoints of quicknet. */
  beaconUrls: string[];
}

const HOUR = 3600;
const DAY = 86_400;

/** Throws for a setting that is none, with its name. */
export function networkOf(env: NetworkEnv): Network {
  const suite = suiteOf(env.NETWORK);
  const epochSeconds = Number(env.EPOCH_SECONDS ?? HOUR);
  const { slotSeconds } = suite.cadence;
  if (!Number.isInteger(epochSeconds) || epochSeconds < slotSeconds || epochSeconds > DAY || epochSeconds % slotSeconds !== 0)
    throw new Error(`EPOCH_SECONDS must be a multiple of ${slotSeconds}, at most ${DAY}`);
  return { suite, epochSeconds, chain: beaconChain(env), beaconUrls: listOf(env.BEACON_URLS) };
}

/** Unix seconds of the start of the epoch that holds a time (unix ms). */
export function epochAt(atMs: number, epochSeconds: number): number {
  const second = Math.floor(atMs / 1000);
  return second - (second % epochSeconds);
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
