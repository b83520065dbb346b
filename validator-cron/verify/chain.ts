/** The weights of a judge as the chain has them. */
import { Chain, FINNEY } from '../../functions/chain/chain.ts';
import { bytesOf } from '../../functions/chain/rpc.ts';
import { ScaleReader } from '../../functions/chain/scale.ts';
import { idKey, storageKey } from '../../functions/chain/storage.ts';
import { decodeSs58 } from '../../functions/gate/ss58.ts';
import { sameWeights } from '../chain/same-weights.ts';
import type { EpochInfo, Judgement } from './edge.ts';
import { Missing, type Difference } from './outcome.ts';

export interface OnChain {
  uid: number;
  block: number;
  same: boolean;
  difference: Difference;
}

export interface ChainAsk {
  url: string;
  /** Null: as the edge names it; else Bittensor's main network. */
  genesis: string | null;
  /** Null: as the edge names it. */
  netuid: number | null;
}

/**
 * At the block that the judge told, since later epochs replace what an earlier one set. What was committed and is revealed later is
 * looked up in the newest finalized block. Throws `Missing`.
 */
export async function compareWithChain(ask: ChainAsk, named: EpochInfo['chain'], judgement: Judgement): Promise<OnChain> {
  const netuid = ask.netuid ?? named?.netuid ?? null;
  if (netuid === null) throw new Missing('The edge names no subnet.', 'Name it by --netuid.');
  if (judgement.block === null)
    throw new Missing('The judge has not told in which block its weights are.', 'Wait until the state of the epoch is posted.');
  const chain = new Chain([ask.url], null, ask.genesis ?? named?.genesis ?? FINNEY);
  try {
    return await read(chain, netuid, judgement, judgement.block);
  } catch (error) {
    if (error instanceof Missing) throw error;
    const why = error instanceof Error ? error.message : 'unknown';
    throw new Missing(
      `The chain cannot be read: ${why}.`,
      'Name another node by --chain, its network by --genesis; old blocks need an archive node.',
    );
  }
}

async function read(chain: Chain, netuid: number, judgement: Judgement, toldBlock: number): Promise<OnChain> {
  const [head, told] = await chain.ask([
    { method: 'chain_getFinalizedHead', params: [] },
    { method: 'chain_getBlockHash', params: [toldBlock] },
  ]);
  if (told === null)
    throw new Missing(
      `The chain has no block ${toldBlock}, in which the judge says its weights are.`,
      'Is the node up to date? Old blocks need an archive node.',
    );
  const block = judgement.reveal_round === null ? told : head;
  const key = decodeSs58(judgement.judge) ?? new Uint8Array();
  const uid = u16Of(await storage(chain, storageKey('Uids', idKey(netuid), key), block));
  if (uid === null) throw new Missing(`${judgement.judge} is not registered in subnet ${netuid}.`, 'Is --netuid the one of this network?');
  const kept = await storage(chain, storageKey('Weights', idKey(netuid), idKey(uid)), block);
  const reader = new ScaleReader(kept ?? Uint8Array.of(0), 'weights');
  const weights = reader.list((): [number, number] => [reader.u16(), reader.u16()]);
  const due = judgement.weights.uids.map((of, k) => `${of}:${judgement.weights.values[k] ?? 0}`).join(' ');
  const given = weights.map(([of, value]) => `${of}:${value}`).join(' ');
  return {
    uid,
    block: toldBlock,
    same: sameWeights(judgement.weights, weights),
    difference: { at: `weights of uid ${uid} on the chain`, due: due.slice(0, 160), given: given.slice(0, 160) },
  };
}

async function storage(chain: Chain, key: string, block: unknown): Promise<Uint8Array | null> {
  const [value] = await chain.ask([{ method: 'state_getStorage', params: [key, block] }]);
  return value === null || value === undefined ? null : bytesOf(value, 'a stored value');
}

function u16Of(bytes: Uint8Array | null): number | null {
  return bytes === null ? null : new ScaleReader(bytes, 'a uid').u16();
}
