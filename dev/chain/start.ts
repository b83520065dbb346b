/** Starts the stand-in beside the edge, and knows its genesis. */
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { BeaconChain } from '#protocol/challenge/beacon.ts';
import { StartFailure } from '../failure.ts';
import { hotkeyOf } from '../hotkeys.ts';
import type { Leash } from '../leash.ts';
import { accepting, freePort, isFree, LOOPBACK } from '../ports.ts';
import { makePart, type Part, type Say } from '../supervise.ts';

export interface ChainStart {
  folder: string;
  logFile: string;
  /** Where it was the last time: there again, if that is free. */
  port?: number | undefined;
  /** 64 hex digits that the owner's hotkey is made of. */
  ownerSeed: string;
  /** The judge (ss58): it has a permit from the first block on. */
  judge: string;
  beacon: { url: string; chain: BeaconChain };
  commitReveal: boolean;
  /** Milliseconds between two blocks; a second if nothing is said. */
  blockMs?: number;
}

export interface ChainPart {
  part: Part;
  port: number;
  /** Of JSON-RPC and of the explorer. */
  url: string;
  /** `0x…` */
  genesis: string;
  netuid: number;
  /** Gives a hotkey a uid with the next block. */
  register(hotkey: string): Promise<void>;
}

export const NETUID = 64;
const BLOCK_MS = 1_000;
const TEMPO = 20;
/** Ten million of alpha, in rao: more than all miners can earn here. */
const JUDGE_STAKE = '10000000000000000';

export async function startChain(ask: ChainStart, leash: Leash, say: Say): Promise<ChainPart> {
  const port = ask.port !== undefined && (await isFree(ask.port)) ? ask.port : await freePort();
  const url = `http://${LOOPBACK}:${port}`;
  const owner = hotkeyOf(ask.ownerSeed).ss58;
  const config = {
    port,
    folder: ask.folder,
    netuid: NETUID,
    owner: { hotkey: owner, coldkey: owner },
    validators: [{ hotkey: ask.judge, stake: JUDGE_STAKE }],
    beacon: ask.beacon,
    blockMs: ask.blockMs ?? BLOCK_MS,
    tempo: TEMPO,
    commitReveal: ask.commitReveal,
  };
  const part = makePart(
    {
      name: 'chain',
      command: process.execPath,
      args: ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'program.ts')],
      env: { ...process.env, CHAIN_ASK: JSON.stringify(config) },
      cwd: ask.folder,
      logFile: ask.logFile,
      // It keeps what is final, block by block.
      stopSignal: 'SIGKILL',
      graceMs: 1_000,
      ready: (signal) => accepting(port, signal),
    },
    leash,
    say,
  );
  await part.start();
  const genesis = await genesisOf(url).catch(async (error: unknown) => {
    await part.stop();
    throw error;
  });
  return {
    part,
    port,
    url,
    genesis,
    netuid: NETUID,
    async register(hotkey) {
      const reply = await post(`${url}/register`, { hotkey });
      if (!reply.ok) throw new StartFailure(`The chain does not register ${hotkey} (HTTP ${reply.status}).`);
    },
  };
}

async function genesisOf(url: string): Promise<string> {
  const reply = await post(url, { jsonrpc: '2.0', id: 1, method: 'chain_getBlockHash', params: [0] });
  return z.parse(z.object({ result: z.string() }), await reply.json()).result;
}

function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}
