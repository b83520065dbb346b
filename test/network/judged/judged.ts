/**
 * A whole network under judgement: honest miners of different speed and miners that cheat, a judge, a chain, callers. Each epoch
 * that comes to the chain is made again by `ripcord-verify` from what is published.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ROOT } from '../../../dev/network.ts';
import type { Character } from '../../cheats/provers.ts';
import { deployEcho } from '../../harness/echo.ts';
import { startNetwork, type TestNetwork } from '../../harness/network.ts';
import { until } from '../../harness/until.ts';

export interface JudgedWish {
  /** One miner each. */
  characters: readonly (Character | 'honest')[];
  /** That must have come to the chain before it ends. */
  epochs: number;
  epochSeconds: number;
}

export interface JudgedMiner {
  character: Character | 'honest';
  hotkey: string;
  /** In the newest epoch that came to the chain; 0: none. */
  weight: number;
  /** Of 65,535, as the chain shares it out. */
  incentive: number;
  gated: boolean;
  /** Calls it served until the first epoch was on the chain, and from then on. */
  before: number;
  after: number;
}

export interface Judged {
  epochs: { epoch: number; verify: number | null; said: string }[];
  miners: JudgedMiner[];
}

interface EpochItem {
  epoch: number;
  state: 'open' | 'published' | 'posted';
}

/** Milliseconds between two calls. */
const PACE_MS = 40;

export async function judged(wish: JudgedWish): Promise<Judged> {
  const { characters, epochSeconds } = wish;
  const network = await startNetwork({ agents: characters.length, characters, epochSeconds, chutes: [], judge: true, chain: true });
  const ending = new AbortController();
  try {
    const count = characters.length;
    const echo = await deployEcho(network, { min: count, max: count, concurrency: 4, public: true });
    network.tick();
    const calling = call(network, echo.at('/whole'), ending.signal);
    const deadlineMs = (wish.epochs + 3) * epochSeconds * 1000 + 60_000;
    await until('the first epoch is on the chain', async () => (await posted(network)).length > 0, { deadlineMs });
    const before = await served(network);
    const honest = characters.flatMap((character, k) => (character === 'honest' || character === 'slow' ? [network.agent(k).hotkey] : []));
    const paying = await until(
      `${wish.epochs} epochs that pay the honest are on the chain`,
      () => payingEpochs(network, wish.epochs, honest),
      {
        deadlineMs,
      },
    );
    await until('the chain has shared out by them', async () => hotkeysPaid(await incentives(network), honest), { deadlineMs: 60_000 });
    const after = await served(network);
    ending.abort();
    await calling;
    const epochs = [];
    for (const { epoch } of (await posted(network)).toReversed()) epochs.push({ epoch, ...(await verify(network, epoch)) });
    return { epochs, miners: await minersOf(network, characters, Math.max(...paying), before, after) };
  } finally {
    ending.abort();
    await network.close();
  }
}

/** What is unjust, or cannot be made again; empty: nothing. A fast honest miner must get more than a slow one, a cheat nothing at all. */
export function injustice({ epochs, miners }: Judged): string[] {
  const other = epochs.filter((e) => e.verify !== 0).map((e) => `epoch ${e.epoch} is not made again: ${e.said}`);
  const [fast, slow] = ['honest', 'slow'].map((character) => miners.filter((m) => m.character === character));
  const cheats = miners.filter((m) => m.character === 'lazy' || m.character === 'replayer');
  const free = cheats.filter((m) => m.weight !== 0 || m.incentive !== 0 || !m.gated).map((m) => `${m.character} is not shut out`);
  const poor = [...(fast ?? []), ...(slow ?? [])].filter((m) => m.weight === 0 || m.gated).map((m) => `${m.character} gets nothing`);
  const least = Math.min(...(fast ?? []).map((m) => m.weight));
  const same = (slow ?? []).filter((m) => m.weight >= least).map((m) => `slow gets ${m.weight}, honest ${least}`);
  return [...other, ...free, ...poor, ...same];
}

/** The newest first. */
async function posted(network: TestNetwork): Promise<EpochItem[]> {
  const { items } = await read<{ items: EpochItem[] }>(network, '/epochs');
  return items.filter((item) => item.state === 'posted');
}

/** Those whose weights name all of these; null: there are not so many yet. Who has had no flash yet is in none. */
async function payingEpochs(network: TestNetwork, least: number, hotkeys: readonly string[]): Promise<number[] | null> {
  const paying = [];
  for (const { epoch } of await posted(network)) {
    const weights = await weightsOf(network, epoch);
    if (hotkeys.every((hotkey) => (weights.get(hotkey) ?? 0) > 0)) paying.push(epoch);
  }
  return paying.length >= least ? paying : null;
}

async function minersOf(
  network: TestNetwork,
  characters: JudgedWish['characters'],
  epoch: number,
  before: Counts,
  after: Counts,
): Promise<JudgedMiner[]> {
  const weights = await weightsOf(network, epoch);
  const { items } = await read<{ items: { hotkey: string; weight: number | null; gated: unknown }[] }>(network, '/miners');
  return characters.map((character, index) => {
    const { hotkey } = network.agent(index);
    const seen = items.find((item) => item.hotkey === hotkey);
    const early = before.get(hotkey) ?? 0;
    return {
      character,
      hotkey,
      weight: weights.get(hotkey) ?? 0,
      incentive: seen?.weight ?? 0,
      gated: seen?.gated !== null,
      before: early,
      after: (after.get(hotkey) ?? 0) - early,
    };
  });
}

async function weightsOf(network: TestNetwork, epoch: number): Promise<Map<string, number>> {
  const { judges } = await read<{ judges: { weights: { uids: number[]; values: number[] } }[] }>(network, `/epochs/${epoch}`);
  const { items } = await read<{ items: { hotkey: string; uid: number | null }[] }>(network, '/miners');
  const given = judges[0]?.weights ?? { uids: [], values: [] };
  const byUid = new Map(given.uids.map((uid, k) => [uid, given.values[k] ?? 0]));
  return new Map(items.map(({ hotkey, uid }) => [hotkey, byUid.get(uid ?? -1) ?? 0]));
}

function hotkeysPaid(given: ReadonlyMap<string, number>, hotkeys: readonly string[]): boolean {
  return hotkeys.every((hotkey) => given.has(hotkey));
}

async function incentives(network: TestNetwork): Promise<Map<string, number>> {
  const { items } = await read<{ items: { hotkey: string; weight: number | null }[] }>(network, '/miners');
  return new Map(items.flatMap(({ hotkey, weight }) => (weight === null || weight === 0 ? [] : [[hotkey, weight]])));
}

type Counts = Map<string, number>;

async function served(network: TestNetwork): Promise<Counts> {
  const client = new pg.Client({ connectionString: network.databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ hotkey: string; n: string }>(
      `select hotkey, count(*) as n from usage where outcome = 'completed' and account_id = $1 group by hotkey`,
      [network.account],
    );
    return new Map(rows.map((row) => [row.hotkey, Number(row.n)]));
  } finally {
    await client.end();
  }
}

/** Unlike calls, one after the other; one that fails is made up for by the next. */
async function call(network: TestNetwork, path: string, signal: AbortSignal): Promise<void> {
  for (let k = 0; !signal.aborted; k++) {
    const reply = await network.request(path, { method: 'POST', body: `call ${k}`, signal }).catch(() => null);
    await reply?.arrayBuffer().catch(() => null);
    await sleep(PACE_MS, undefined, { signal }).catch(() => null);
  }
}

/** As an outsider would: the exit code, and what it said. */
function verify(network: TestNetwork, epoch: number): Promise<{ verify: number | null; said: string }> {
  const args = [join(ROOT, 'validator-cron/verify/bin.ts'), 'epoch', String(epoch), '--api', network.api, '--json'];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: network.folder.path, timeout: 120_000 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ verify: code, said: (code === 0 ? out : `${out}\n${err}`).trim().slice(-2_000) });
    });
  });
}

async function read<T>(network: TestNetwork, path: string): Promise<T> {
  const reply = await network.request(path);
  if (!reply.ok) throw new Error(`${path} answered ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as T;
}
