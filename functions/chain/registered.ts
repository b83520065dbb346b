/**
 * Who may mine: registered hotkeys of the subnet, as the last finalized block that was read shows them. Each isolate keeps a
 * copy, so that a login does not cost a statement.
 */
import * as db from '#db';
import { RipcordError } from '../errors.ts';
import type { ChainEnv } from './chain.ts';

/** The part of the edge's bindings that this needs. */
export interface MiningEnv extends db.DatabaseEnv, ChainEnv {
  NETUID?: string;
  OPEN_MINING?: string;
}

/** A copy is good for `keptMs`; for a hotkey that is not in it, after `againMs` another look is taken. */
export const COPY = { keptMs: 30_000, againMs: 2_000 } as const;

let copy: { netuid: number; hotkeys: ReadonlySet<string>; at: number } | null = null;

/** What this isolate has just read from the chain. */
export function rememberRegistered(netuid: number, hotkeys: ReadonlySet<string>, now: number): void {
  copy = { netuid, hotkeys, at: now };
}

/** The subnet whose registration counts; null: anybody may mine. */
export function closedSubnet({ CHAIN_URL, NETUID, OPEN_MINING }: MiningEnv): number | null {
  return CHAIN_URL && NETUID !== undefined && OPEN_MINING !== '1' ? Number(NETUID) : null;
}

/** Throws `hotkey_not_registered`, or `unavailable` while no block was read. */
export async function checkRegistered(env: MiningEnv, hotkey: string, now: number): Promise<void> {
  const netuid = closedSubnet(env);
  if (netuid === null || (await isRegistered(env, netuid, hotkey, now))) return;
  throw new RipcordError('hotkey_not_registered', {
    message: `This hotkey is not registered on subnet ${netuid}.`,
    hint: `Register it (btcli subnet register --netuid ${netuid}), wait two minutes and start the agent again.`,
  });
}

async function isRegistered(env: MiningEnv, netuid: number, hotkey: string, now: number): Promise<boolean> {
  const age = copy?.netuid === netuid ? now - copy.at : Infinity;
  const known = copy?.hotkeys.has(hotkey) === true;
  if (age < (known ? COPY.keptMs : COPY.againMs)) return known;
  const read = await readAgain(env, netuid, now);
  if (read === null)
    throw new RipcordError('unavailable', { message: 'The subnet was not read from the chain so far.', retryAfterMs: 30_000 });
  return read.has(hotkey);
}

/** Null: no block was read so far. While Postgres is away the copy stays good. */
async function readAgain(env: MiningEnv, netuid: number, now: number): Promise<ReadonlySet<string> | null> {
  const before = copy?.netuid === netuid ? copy.hotkeys : null;
  try {
    const hotkeys = await db.readRegistered(db.connect(env), netuid);
    if (hotkeys !== null) rememberRegistered(netuid, hotkeys, now);
    return hotkeys;
  } catch (error) {
    if (before === null) throw error;
    return before;
  }
}
