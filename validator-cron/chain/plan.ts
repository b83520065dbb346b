/**
 * What to do about the weights of an epoch (pure): facts of one finalized block in, a decision with its reason out. Nothing is
 * signed for a runtime whose shape is not known, twice for one epoch, or while an earlier one may still come into a block.
 */
import type { Weights } from '#protocol/epoch.ts';
import { COMMIT_VERSION } from '../../functions/chain/calls.ts';
import type { Shape } from '../../functions/chain/shape.ts';
import type { Neuron, OpenCommit, Subnet } from '../../functions/chain/subnet.ts';
import { sameWeights } from './same-weights.ts';

/** What was signed; kept before it is sent. */
export interface Submission {
  /** Unix second the judged epoch starts at. */
  epoch: number;
  kind: 'set' | 'commit';
  weights: Weights;
  /** `0x…` */
  extrinsic: string;
  hash: string;
  nonce: number;
  /** It may be in blocks `birth` to `death - 1` and in no other. */
  birth: number;
  death: number;
  /** Of a commit: the round it opens with. */
  round: number | null;
  /** The finalized block it was found in, and for a commit the chain's epoch that counts from; null: not found so far. */
  block: number | null;
  chainEpoch: number | null;
}

export interface PostFacts {
  subnet: Subnet;
  /** ss58 of the judge. */
  hotkey: string;
  epoch: number;
  weights: Weights;
  /** The newest submission, as far as it is known. */
  last: Submission | null;
  shape: Shape;
  /** Unix ms. */
  nowMs: number;
}

export type Plan =
  | { do: 'set' | 'commit' | 'confirmed'; why: string }
  /** `resend`: the same bytes once more; they may have been lost on their way. */
  | { do: 'wait'; why: string; resend?: boolean }
  | { do: 'refuse'; why: string };

/** A node that is further behind than this says nothing about now. */
const STALE_MS = 10 * 60_000;
/** Commits of one hotkey in one epoch that the chain keeps. */
const COMMITS = 10;

export function planPost(facts: PostFacts): Plan {
  const { subnet, shape, last, epoch, nowMs } = facts;
  const { spec } = subnet.runtime;
  if (shape.faults.length > 0)
    return refuse(`runtime ${spec} is not one that is known: ${shape.faults[0]}. Update the judge; nothing is signed until then`);
  if (shape.blockMs === 0) return refuse(`runtime ${spec} does not say how long a block takes. Update the judge`);
  if (nowMs - subnet.headMs > STALE_MS) return wait('the node is minutes behind: its newest finalized block is old');
  const before = last === null ? null : earlier(last, facts);
  if (before !== null) return before;
  const self = subnet.neurons.find(({ hotkey }) => hotkey === facts.hotkey);
  if (self === undefined) return refuse(`the hotkey is not registered on subnet ${subnet.netuid}: register it (btcli subnet register)`);
  const why = mayNot(facts, self) ?? unfit(facts);
  if (why !== null) return refuse(why);
  return when(facts, self, last?.epoch === epoch);
}

/** What an earlier submission leaves to do; null: it stands in nobody's way. */
function earlier(last: Submission, { subnet, epoch }: PostFacts): Plan | null {
  if (last.epoch > epoch) return refuse('weights of a later epoch were signed already');
  if (last.block === null) {
    if (subnet.head.number >= last.death - 1) return null;
    if (subnet.nonce > last.nonce)
      return wait('its nonce is spent and the chain shows nothing of it: it failed in its block. It is tried again');
    return { do: 'wait', why: 'it is sent and in no finalized block yet', resend: true };
  }
  if (last.epoch < epoch || wasDropped(last, subnet)) return null;
  return { do: 'confirmed', why: last.kind === 'set' ? 'the weights are on the chain' : 'the commit is on the chain' };
}

/** Its time to open is over, and the chain has other weights: the chain drops what does not open in its epoch. */
export function wasDropped({ kind, chainEpoch, weights }: Submission, subnet: Subnet): boolean {
  if (kind !== 'commit' || chainEpoch === null || subnet.weights === null) return false;
  return subnet.clock.index > chainEpoch + subnet.revealPeriod && !sameWeights(weights, subnet.weights);
}

/** The owner's hotkey needs neither permit nor stake. */
function mayNot({ subnet, hotkey }: PostFacts, self: Neuron): string | null {
  if (subnet.owner === hotkey) return null;
  if (!self.permit) return 'the hotkey has no validator permit: it needs more stake than the last one that has';
  if (self.stake < subnet.stakeThreshold) return `the hotkey has a stake of ${self.stake} rao, the subnet wants ${subnet.stakeThreshold}`;
  return null;
}

function unfit({ subnet, weights: { uids, values } }: PostFacts): string | null {
  const size = subnet.neurons.length;
  if (uids.length === 0 || uids.length !== values.length) return 'there are no weights to post';
  if (uids.some((uid, i) => uid >= size || (i > 0 && uid <= (uids[i - 1] ?? 0))))
    return 'the weights name a uid that is not there, or one twice';
  const least = Math.min(subnet.minAllowed, size);
  if (uids.length < least) return `the subnet wants weights of ${least} uids or more, these are of ${uids.length}`;
  return null;
}

function when({ subnet, hotkey }: PostFacts, self: Neuron, again: boolean): Plan {
  const { head, rateLimit, clock } = subnet;
  // It is included one block after the finalized head at the earliest.
  const open = self.lastUpdate + rateLimit;
  if (self.lastUpdate > 0 && head.number + 1 < open) return wait(`the subnet takes weights of the hotkey again at block ${open}`);
  if (!subnet.commitReveal) return { do: 'set', why: again ? 'the last try came into no block' : 'weights are set openly' };
  if (subnet.commitVersion !== COMMIT_VERSION)
    return refuse(`the subnet wants commits of version ${subnet.commitVersion}, known is ${COMMIT_VERSION}. Update the judge`);
  if (clock.tempo === 0) return wait('the subnet has no epochs, so no commit would open');
  const own = subnet.commits.filter((commit) => commit.hotkey === hotkey && commit.epoch === clock.index).length;
  if (own >= COMMITS) return wait(`the hotkey has ${own} commits in this epoch of the chain, which takes no more`);
  return { do: 'commit', why: again ? 'the last try was lost or did not open' : 'weights are committed' };
}

/** Where a submission is on the chain: in which block, and for a commit since which epoch. Null: not as far as this block shows. */
export function findSubmission(last: Submission, subnet: Subnet, hotkey: string): { block: number; chainEpoch: number | null } | null {
  const commit = last.kind === 'commit' ? subnet.commits.find((c) => isOf(c, last, hotkey)) : undefined;
  if (commit !== undefined) return { block: commit.block, chainEpoch: commit.epoch };
  // Also a commit that has opened meanwhile.
  const updated = subnet.neurons.find((neuron) => neuron.hotkey === hotkey)?.lastUpdate ?? 0;
  if (updated <= last.birth || subnet.weights === null || !sameWeights(last.weights, subnet.weights)) return null;
  return { block: updated, chainEpoch: null };
}

function isOf({ hotkey, block, round }: OpenCommit, last: Submission, own: string): boolean {
  return hotkey === own && round === last.round && block > last.birth && block < last.death;
}

function wait(why: string): Plan {
  return { do: 'wait', why };
}

function refuse(why: string): Plan {
  return { do: 'refuse', why };
}
