/** `ripcord-validator status`: what the chain, the edge and the clock say of this judge. */
import { EXIT, Failure } from '../../cli/failure.ts';
import { BeaconError } from '../../functions/beacon/client.ts';
import { openChain } from '../../functions/chain/chain.ts';
import { ChainError } from '../../functions/chain/rpc.ts';
import { readSubnet, type Subnet } from '../../functions/chain/subnet.ts';
import { slotOf } from '#protocol/challenge/index.ts';
import type { Bench } from '../bench.ts';
import { dueIn } from '../challenges/ask.ts';
import { momentAt } from '../clock.ts';
import { EdgeError } from '../edge/request.ts';
import { coverageOf, type Coverage } from './coverage.ts';
import type { Paint } from './program.ts';

/** Slots whose coverage is told, and the newest ones that are left out: what is due in them may not have ended. */
const SLOTS = 20;
const RUNNING_MS = 60_000;

export interface Status {
  judge: string;
  chain: ChainStatus | null;
  epoch: {
    /** Newest whose evidence is closed, and whether this judge has committed and posted. */
    newest: number | null;
    committed: boolean;
    block: number | null;
    /** Unix seconds. */
    next_ends: number;
    ends_in_seconds: number;
  };
  coverage: Coverage;
}

export interface ChainStatus {
  netuid: number;
  block: number;
  /** Null: not registered. */
  uid: number | null;
  permit: boolean;
  /** Rao. */
  stake: string;
  /** Block of its last weights, and how many blocks ago; null: never. */
  last_weights: { block: number; ago: number } | null;
}

/** Throws `Failure` (`unreachable`). */
export async function statusOf(bench: Bench, nowMs: number): Promise<Status> {
  try {
    const [chain, epoch, coverage] = await Promise.all([chainOf(bench), epochOf(bench, nowMs), coverageNow(bench, nowMs)]);
    return { judge: bench.config.hotkey.ss58, chain, epoch, coverage };
  } catch (error) {
    if (error instanceof ChainError)
      throw new Failure(EXIT.unreachable, 'chain', `The chain: ${error.message}.`, { hint: 'Check CHAIN_URL, CHAIN_GENESIS and NETUID.' });
    if (error instanceof EdgeError)
      throw new Failure(EXIT.unreachable, 'edge', `The edge: ${error.message}.`, { hint: 'Check API_ORIGIN.' });
    if (error instanceof BeaconError)
      throw new Failure(EXIT.unreachable, 'beacon', `The beacon: ${error.message}`, { hint: 'Check BEACON_URLS and BEACON_CHAIN.' });
    throw error;
  }
}

async function chainOf({ config }: Bench): Promise<ChainStatus | null> {
  const chain = config.chain === null ? null : openChain(config.chain.env);
  if (config.chain === null || chain === null) return null;
  return standing(await readSubnet(chain, config.chain.netuid, config.hotkey.ss58), config.hotkey.ss58);
}

function standing({ netuid, head, neurons }: Subnet, hotkey: string): ChainStatus {
  const own = neurons.find((neuron) => neuron.hotkey === hotkey);
  const last = own?.lastUpdate ?? 0;
  return {
    netuid,
    block: head.number,
    uid: own?.uid ?? null,
    permit: own?.permit ?? false,
    stake: String(own?.stake ?? 0n),
    last_weights: last === 0 ? null : { block: last, ago: Math.max(0, head.number - last) },
  };
}

async function epochOf({ feed, config }: Bench, nowMs: number): Promise<Status['epoch']> {
  const newest = (await feed.epochs()).find(({ hash }) => hash !== null)?.epoch ?? null;
  const own = newest === null ? null : await feed.judgement(newest);
  const next = momentAt(nowMs, config.suite.cadence.slotSeconds, config.epochSeconds).epoch + config.epochSeconds;
  return {
    newest,
    committed: own !== null,
    block: own?.block ?? null,
    next_ends: next,
    ends_in_seconds: Math.max(0, next - Math.floor(nowMs / 1000)),
  };
}

async function coverageNow(bench: Bench, nowMs: number): Promise<Coverage> {
  const { suite } = bench.config;
  const last = slotOf(suite, nowMs - RUNNING_MS);
  const from = last - (SLOTS - 1) * suite.cadence.slotSeconds;
  const slots = { from, to: last + 1 };
  const [targets, transcripts, verdicts] = await Promise.all([
    bench.feed.targets(),
    bench.feed.transcripts(slots),
    bench.feed.verdicts(slots),
  ]);
  const due = [];
  for (let slot = from; slot <= last; slot += suite.cadence.slotSeconds) due.push(...(await dueIn(bench, slot, targets)));
  const ended = new Set(transcripts.flatMap(({ id, transcript }) => (transcript === null ? [] : [id])));
  return coverageOf(SLOTS, due, ended, new Set(verdicts.map(({ id }) => id)));
}

export function showStatus({ judge, chain, epoch, coverage }: Status, paint: Paint): string {
  const { due, recorded, judged, slots, missing } = coverage;
  return [
    `judge      ${paint('bold', judge)}`,
    ...(chain === null
      ? [paint('yellow', 'chain      none: set CHAIN_URL and NETUID, else no weights are posted')]
      : chainLines(chain, paint)),
    epoch.newest === null
      ? 'epoch      none has closed yet'
      : `epoch      ${epoch.newest} ${epoch.committed ? paint('green', 'committed') : paint('yellow', 'not committed')}${epoch.block === null ? '' : `, weights in block ${epoch.block}`}`,
    `next       ends in ${epoch.ends_in_seconds} s`,
    `coverage   last ${slots} slots: ${due} challenges due, ${recorded} on record, ${judged} judged`,
    ...(missing.length === 0 ? [] : [paint('yellow', `missing    ${missing.join(' ')}`)]),
    '',
  ].join('\n');
}

function chainLines({ netuid, block, uid, permit, stake, last_weights: last }: ChainStatus, paint: Paint): string[] {
  if (uid === null) return [paint('red', `chain      not registered on subnet ${netuid}: btcli subnet register --netuid ${netuid}`)];
  const told = permit ? paint('green', 'permit') : paint('red', 'no permit: it needs more stake than the last one that has');
  return [
    `chain      uid ${uid} of subnet ${netuid}, ${told}, stake ${tao(stake)}, block ${block}`,
    last === null ? paint('yellow', 'weights    never set') : `weights    set in block ${last.block}, ${last.ago} blocks ago`,
  ];
}

/** Rao in τ, with what matters of it. */
function tao(rao: string): string {
  const whole = BigInt(rao) / 1_000_000_000n;
  const part = String((BigInt(rao) % 1_000_000_000n) / 1_000_000n).padStart(3, '0');
  return `${whole}.${part} τ`;
}
