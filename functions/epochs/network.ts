/** What this network goes by, out of the config (pure): its suite, the length of its epochs, its beacon. */
import * as z from 'zod/mini';
import { beaconChainSchema, QUICKNET, suiteOf, type BeaconChain, type Suite } from '../protocol/challenge/index.ts';

export interface NetworkEnv {
  NETWORK?: string;
  EPOCH_SECONDS?: string;
  BEACON_CHAIN?: string;
  BEACON_URLS?: string;
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
  return { suite, epochSeconds, chain: chainOf(env.BEACON_CHAIN), beaconUrls: listOf(env.BEACON_URLS) };
}

/** Unix seconds of the start of the epoch that holds a time (unix ms). */
export function epochAt(atMs: number, epochSeconds: number): number {
  const second = Math.floor(atMs / 1000);
  return second - (second % epochSeconds);
}

function chainOf(text: string | undefined): BeaconChain {
  if (text === undefined || text === '') return QUICKNET;
  try {
    return z.parse(beaconChainSchema, JSON.parse(text));
  } catch {
    throw new Error('BEACON_CHAIN must be the JSON of a beacon chain');
  }
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
