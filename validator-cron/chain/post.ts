/**
 * Posts the weights of an epoch, one careful step per tick: read the chain, decide, sign, try it dry, keep what was signed,
 * send. What becomes of it a later tick reads from finalized blocks; what is lost dies with its era.
 */
import * as z from 'zod/mini';
import type { BeaconChain } from '#protocol/challenge/beacon.ts';
import type { Weights } from '#protocol/epoch.ts';
import { COMMIT_BYTES, commitWeightsCall, hiddenWeights, setWeightsCall } from '../../functions/chain/calls.ts';
import type { Chain } from '../../functions/chain/chain.ts';
import { ChainError, bytesOf, hexOf, parsed } from '../../functions/chain/rpc.ts';
import type { Shape } from '../../functions/chain/shape.ts';
import { readSubnet, type Subnet } from '../../functions/chain/subnet.ts';
import { ERA_BLOCKS, signExtrinsic, type ExtrinsicSigner } from './extrinsics.ts';
import { outcomeOfDryRun, outcomeOfPool, type Outcome } from './outcome.ts';
import { findSubmission, planPost, type Submission } from './plan.ts';
import { revealRound } from './reveal.ts';
import { encryptTo, type Dice } from './timelock.ts';

export interface PostAsk {
  /** Unix second the judged epoch starts at. */
  epoch: number;
  weights: Weights;
  /** Unix ms. */
  atMs: number;
}

/** What came of it. `submitted`: sent, and not yet seen; `confirmed`: in a finalized block; `waiting`: a later tick goes on; `refused`: somebody must act. */
export interface PostReport {
  state: 'submitted' | 'confirmed' | 'waiting' | 'refused';
  /** One line: cause, and what to do where something is to be done. */
  why: string;
  /** `0x…` of the extrinsic. */
  extrinsic?: string;
  /** The finalized block it is in. */
  block?: number;
  /** Of a commit. */
  revealRound?: number;
}

/** What one hotkey signed on one subnet of one chain; the newest ones. */
export interface Submissions {
  newest(): Submission | null;
  of(epoch: number): Submission | null;
  /** Durable when it returns. */
  put(submission: Submission): Promise<void>;
}

export interface PostPorts {
  chain: Chain;
  netuid: number;
  hotkey: ExtrinsicSigner & { ss58: string };
  beacon: BeaconChain;
  submissions: Submissions;
  /** Of the runtime with this number, found once. */
  shape: (chain: Chain, subnet: Subnet) => Promise<Shape>;
  dice: () => Dice;
}

/** Never throws for what the chain does: a node that is away or talks nonsense is a reason to wait. */
export async function post(ports: PostPorts, ask: PostAsk): Promise<PostReport> {
  try {
    return await step(ports, ask);
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    // Also `no subnet N`, and a node of another chain.
    const act = error.fault === 'other_chain' ? ': check CHAIN_URL and CHAIN_GENESIS' : '';
    return { state: error.fault === 'other_chain' ? 'refused' : 'waiting', why: `${error.message}${act}` };
  }
}

async function step(ports: PostPorts, ask: PostAsk): Promise<PostReport> {
  const { chain, netuid, hotkey, submissions } = ports;
  const subnet = await readSubnet(chain, netuid, hotkey.ss58);
  await look(submissions, subnet, hotkey.ss58);
  const done = submissions.of(ask.epoch);
  const last = submissions.newest();
  // An epoch before the newest one has nothing left to do but to be told of.
  if (done !== null && done.epoch !== last?.epoch)
    return told(done, done.block === null ? 'refused' : 'confirmed', 'a later epoch was posted');
  const shape = await ports.shape(chain, subnet);
  const plan = planPost({ subnet, hotkey: hotkey.ss58, epoch: ask.epoch, weights: ask.weights, last, shape, nowMs: ask.atMs });
  switch (plan.do) {
    case 'confirmed':
      return told(last, 'confirmed', plan.why);
    case 'refuse':
      return { state: 'refused', why: plan.why };
    case 'wait':
      if (plan.resend === true && last !== null) return resend(ports, last, ask.epoch, plan.why);
      return { state: 'waiting', why: plan.why };
    case 'set':
    case 'commit':
      return signAndSend(ports, ask, subnet, plan.do, shape, plan.why);
  }
}

/** Finds the newest submission in the chain, where it was not found before. */
async function look(submissions: Submissions, subnet: Subnet, hotkey: string): Promise<void> {
  const last = submissions.newest();
  const found = last === null || last.block !== null ? null : findSubmission(last, subnet, hotkey);
  if (last !== null && found !== null) await submissions.put({ ...last, ...found });
}

async function resend(ports: PostPorts, last: Submission, epoch: number, why: string): Promise<PostReport> {
  // One that is in a block which is not finalized is refused as outdated: that is no news.
  const outcome = await send(ports.chain, last.extrinsic);
  if (last.epoch !== epoch) return { state: 'waiting', why: `the weights of an earlier epoch: ${why}` };
  return told(last, 'submitted', outcome?.next === 'refuse' ? outcome.why : why);
}

async function signAndSend(
  ports: PostPorts,
  { epoch, weights }: PostAsk,
  subnet: Subnet,
  kind: 'set' | 'commit',
  shape: Shape,
  why: string,
): Promise<PostReport> {
  const { chain, hotkey, submissions } = ports;
  const round = kind === 'set' ? null : roundOf(ports, subnet, shape);
  if (kind === 'commit' && round === null) return { state: 'waiting', why: 'it cannot be told when a commit would open' };
  const call = await callOf(ports, subnet, weights, round);
  const [nonce] = await chain.ask([{ method: 'system_accountNextIndex', params: [hotkey.ss58] }]);
  const birth = subnet.head;
  const terms = { runtime: subnet.runtime, genesis: chain.genesis, birth, nonce: parsed(nonceSchema, nonce, 'a nonce') };
  const { bytes, hash } = signExtrinsic(call, terms, hotkey);
  const dry = outcomeOfDryRun(await dryRun(chain, bytes, birth.hash));
  if (dry !== null && dry.next !== 'known') return { state: dry.next === 'wait' ? 'waiting' : 'refused', why: dry.why };
  const submission: Submission = {
    epoch,
    kind,
    weights,
    extrinsic: hexOf(bytes),
    hash: hexOf(hash),
    nonce: terms.nonce,
    birth: birth.number,
    death: birth.number + ERA_BLOCKS,
    round,
    block: null,
    chainEpoch: null,
  };
  // What was handed out may be anywhere until its era is over: so it is kept first, and whatever the node says.
  await submissions.put(submission);
  const outcome = await send(chain, submission.extrinsic);
  if (outcome === null || outcome.next === 'known') return told(submission, 'submitted', why);
  return told(submission, outcome.next === 'wait' ? 'waiting' : 'refused', outcome.why);
}

const nonceSchema = z.int().check(z.gte(0), z.lte(0xffff_ffff));

function roundOf({ beacon }: PostPorts, { clock, head, headMs, revealPeriod, beaconRound }: Subnet, { blockMs }: Shape): number | null {
  return revealRound(beacon, { clock, at: head.number, atMs: headMs, blockMs, period: revealPeriod, beaconRound });
}

async function callOf(
  { netuid, hotkey, beacon, dice }: PostPorts,
  { versionKey }: Subnet,
  weights: Weights,
  round: number | null,
): Promise<Uint8Array> {
  if (round === null) return setWeightsCall({ netuid, ...weights, versionKey });
  const hidden = hiddenWeights(hotkey.publicKey, { ...weights, versionKey });
  const commit = await encryptTo(round, beacon.publicKey, hidden, dice());
  if (commit.length > COMMIT_BYTES) throw new ChainError('refused', `a commit of ${commit.length} bytes is more than the chain takes`);
  return commitWeightsCall({ netuid, commit, round });
}

/** As if it came from outside, on the block its era starts at. */
async function dryRun(chain: Chain, bytes: Uint8Array, at: string): Promise<Uint8Array> {
  const ask = `0x02${hexOf(bytes).slice(2)}${at.slice(2)}`;
  const [answer] = await chain.ask([{ method: 'state_call', params: ['TaggedTransactionQueue_validate_transaction', ask, at] }]);
  return bytesOf(answer, 'the dry run');
}

/** Null: a node took it. What a node refuses is an outcome; one that does not answer may have it, so that is none. */
async function send(chain: Chain, extrinsic: string): Promise<Outcome | null> {
  try {
    await chain.ask([{ method: 'author_submitExtrinsic', params: [extrinsic] }]);
    return null;
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    return error.refusal === null ? null : outcomeOfPool(error.refusal);
  }
}

function told(submission: Submission | null, state: PostReport['state'], why: string): PostReport {
  if (submission === null) return { state, why };
  const { hash, block, round } = submission;
  return { state, why, extrinsic: hash, ...(block === null ? {} : { block }), ...(round === null ? {} : { revealRound: round }) };
}
