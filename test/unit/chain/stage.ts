/** The stand-in chain over real HTTP, whose blocks a test makes, and a judge's ports to it. */
import { Keyring } from '@polkadot/api';
import { afterEach } from 'vitest';
import { makeBeacon } from '../../../dev/beacon/beacon.ts';
import { Chain as StandIn, type ChainAsk } from '../../../dev/chain/chain.ts';
import { serveChain } from '../../../dev/chain/server.ts';
import { Chain } from '../../../functions/chain/chain.ts';
import { roundAt } from '#protocol/challenge/beacon.ts';
import { hotkeyFromSeed } from '../../../validator-cron/hotkey.ts';
import type { Submission } from '../../../validator-cron/chain/plan.ts';
import { post, type PostPorts, type PostReport, type Submissions } from '../../../validator-cron/chain/post.ts';
import { runtimeShape } from '../../../validator-cron/chain/runtime.ts';
import { TEST_BEACON } from '../../harness/beacon.ts';

export const NETUID = 64;
export const JUDGE = hotkeyFromSeed('11'.repeat(32));
const keyring = new Keyring({ type: 'sr25519', ss58Format: 42 });
/** An address that anybody knows. */
export const who = (name: string) => keyring.addFromUri(`//${name}`).address;
export const WEIGHTS = { uids: [2, 3], values: [40_000, 25_535] };
/** Rao of alpha: more than the subnet wants of a validator. */
const STAKE = 10_000_000_000_000_000n;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

export interface Stage {
  chain: StandIn;
  url: string;
  /** Unix ms, moved on by a second per block. */
  clock: { ms: number };
  /** False: the beacon gives nothing. */
  beacon: { up: boolean };
  /** Makes so many blocks, finalized if nothing else is said. */
  grow(blocks: number, finalize?: boolean): void;
  /** A judge with a memory of its own; by other nodes where that is said. */
  judge(urls?: string[], genesis?: string): Judge;
}

export interface Judge {
  ports: PostPorts;
  /** Weights of an epoch, now. */
  post(epoch?: number): Promise<PostReport>;
  kept: Submission[];
}

/** Uids: 0 the owner, 1 the judge, 2 and 3 miners. */
export async function stage(ask: Partial<ChainAsk> = {}): Promise<Stage> {
  const made = await scene(ask);
  closing.push(made.close);
  return made;
}

/** One that the test closes itself. */
export async function scene(ask: Partial<ChainAsk> = {}): Promise<Stage & { close: () => Promise<void> }> {
  const clock = { ms: 1_763_850_000_000 };
  const up = { up: true };
  const beacon = makeBeacon(TEST_BEACON);
  const signature = (round: number) => (up.up && round <= roundAt(beacon.chain, clock.ms) ? beacon.pulse(round).signature : null);
  const chain = new StandIn({
    netuid: NETUID,
    owner: { hotkey: who('Owner'), coldkey: who('Owner//cold') },
    validators: [{ hotkey: JUDGE.ss58, coldkey: who('Judge//cold'), stake: STAKE }],
    beacon: { chain: beacon.chain, signature },
    now: () => clock.ms,
    ...ask,
  });
  const grow = (blocks: number, finalize = true) => {
    for (let i = 0; i < blocks; i++) {
      clock.ms += 1_000;
      chain.produce();
      if (finalize) chain.finalize();
    }
  };
  for (const name of ['Ada', 'Bea']) chain.enlist({ hotkey: who(name), coldkey: who(`${name}//cold`) });
  grow(12);
  const server = await serveChain({ chain, metadata: null });
  const judge = (urls = [server.url], genesis = chain.genesis): Judge => {
    const kept: Submission[] = [];
    let dice = 0;
    const ports: PostPorts = {
      chain: new Chain(urls, null, genesis),
      netuid: NETUID,
      hotkey: JUDGE,
      beacon: beacon.chain,
      submissions: remembering(kept),
      shape: (asked, { head }) => runtimeShape(asked, head.hash),
      dice: () => ({ secret: new Uint8Array(32).fill(++dice), sigma: new Uint8Array(32).fill(9), nonce: new Uint8Array(12) }),
    };
    return { ports, kept, post: (epoch = 3_600) => post(ports, { epoch, weights: WEIGHTS, atMs: clock.ms }) };
  };
  return { chain, url: server.url, clock, beacon: up, grow, judge, close: () => server.close() };
}

function remembering(kept: Submission[]): Submissions {
  return {
    newest: () => kept.toSorted((a, b) => b.epoch - a.epoch)[0] ?? null,
    of: (epoch) => kept.find((one) => one.epoch === epoch) ?? null,
    put: (submission) => {
      const at = kept.findIndex((one) => one.epoch === submission.epoch);
      if (at === -1) kept.push(submission);
      else kept[at] = submission;
      return Promise.resolve();
    },
  };
}

/** Puts the stand-in to the test: what `POST /control` takes. */
export async function control(url: string, body: unknown): Promise<void> {
  const reply = await fetch(`${url}/control`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!reply.ok) throw new Error(await reply.text());
}
