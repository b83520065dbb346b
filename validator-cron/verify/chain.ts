/** The weights of a judge as the chain has them. */
import { Chain, FINNEY } from '../../functions/chain/chain.ts';
import { readSubnet } from '../../functions/chain/subnet.ts';
import { sameWeights } from '../chain/same-weights.ts';
import type { Judgement } from './edge.ts';
import { Missing, type Difference } from './outcome.ts';

export interface OnChain {
  uid: number;
  block: number;
  same: boolean;
  difference: Difference;
}

/**
 * The newest finalized weights of the judge: those of this epoch until it posts those of the next. Throws `Missing`.
 */
export async function compareWithChain(
  of: { url: string; genesis: string | null; netuid: number },
  judgement: Judgement,
): Promise<OnChain> {
  const chain = new Chain([of.url], null, of.genesis ?? FINNEY);
  const subnet = await readSubnet(chain, of.netuid, judgement.judge).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : 'unknown';
    throw new Missing(`The chain cannot be read: ${why}.`, 'Name another node by --chain, its network by --genesis.');
  });
  const neuron = subnet.neurons.find((n) => n.hotkey === judgement.judge);
  if (neuron === undefined || subnet.weights === null)
    throw new Missing(`${judgement.judge} has no weights in subnet ${of.netuid}.`, 'Is --netuid the one of this network?');
  const given = subnet.weights.map(([uid, value]) => `${uid}:${value}`).join(' ');
  const due = judgement.weights.uids.map((uid, k) => `${uid}:${judgement.weights.values[k] ?? 0}`).join(' ');
  return {
    uid: neuron.uid,
    block: subnet.head.number,
    same: sameWeights(judgement.weights, subnet.weights),
    difference: { at: `weights of uid ${neuron.uid} on the chain`, due: due.slice(0, 160), given: given.slice(0, 160) },
  };
}
