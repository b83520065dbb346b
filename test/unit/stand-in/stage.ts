/** A chain whose blocks a test makes, people on it, and extrinsics as clients sign them. */
import { hotkeyFromSeed } from '../../../validator-cron/hotkey.ts';
import { Chain, Refused, type ChainAsk } from '../../../dev/chain/chain.ts';
import { encode, u16, u64, vec } from '../../../dev/chain/scale.ts';
import { ITEMS } from '../../../dev/chain/state.ts';
import { commitWeightsCall, setWeightsCall } from '../../../functions/chain/calls.ts';
import { makeBeacon } from '../../../dev/beacon/beacon.ts';
import { roundAt } from '#protocol/challenge/beacon.ts';
import { signExtrinsic } from '../../../validator-cron/chain/extrinsics.ts';
import { TEST_BEACON } from '../../harness/beacon.ts';

export const NETUID = 64;
const STAKE = 10_000_000_000_000_000n;

export const person = (seed: number) => hotkeyFromSeed(seed.toString(16).padStart(64, '0'));
export type Person = ReturnType<typeof person>;
export const [OWNER, JUDGE, ADA, BEA, STRANGER] = [person(1), person(2), person(3), person(4), person(5)];
export const beacon = makeBeacon(TEST_BEACON);

export interface Stage {
  chain: Chain;
  clock: { ms: number };
  /** Blocks, all final if nothing else is said. */
  grow: (blocks: number, finalize?: boolean) => void;
}

/** Uids: 0 the owner, 1 the judge, 2 and 3 miners. */
export function stage(ask: Partial<ChainAsk> = {}): Stage {
  const clock = { ms: 1_763_850_000_000 };
  const chain = new Chain({
    netuid: NETUID,
    owner: { hotkey: OWNER.ss58, coldkey: OWNER.ss58 },
    validators: [{ hotkey: JUDGE.ss58, stake: STAKE }],
    funds: { [ADA.ss58]: 10_000_000_000n },
    beacon: {
      chain: beacon.chain,
      signature: (round) => (round <= roundAt(beacon.chain, clock.ms) ? beacon.pulse(round).signature : null),
    },
    now: () => clock.ms,
    rateLimit: 5,
    ...ask,
  });
  const grow = (blocks: number, finalize = true) => {
    for (let i = 0; i < blocks; i++) {
      clock.ms += 1_000;
      chain.produce();
      if (finalize) chain.finalize();
    }
  };
  for (const { ss58: hotkey } of [ADA, BEA]) chain.enlist({ hotkey });
  grow(10);
  return { chain, clock, grow };
}

export interface Signing {
  nonce?: number;
  spec?: number;
  genesis?: string;
  birth?: { number: number; hash: string };
}

export function signed({ chain }: Stage, by: Person, call: Uint8Array, of: Signing = {}): Uint8Array {
  const terms = {
    runtime: { spec: of.spec ?? chain.best.runtime.spec, transaction: 1 },
    genesis: of.genesis ?? chain.genesis,
    birth: of.birth ?? { number: chain.finalized.number, hash: chain.finalized.hash },
    nonce: of.nonce ?? chain.nextNonce(by.ss58),
  };
  return signExtrinsic(call, terms, by).bytes;
}

/** What the pool says: a hash, or why not. */
export function submit({ chain }: Stage, bytes: Uint8Array): string {
  try {
    return chain.submit(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.why.kind === 'Custom' ? `Custom ${error.why.code}` : error.why.kind;
  }
}

export const setCall = (uids: number[], values: number[], { netuid = NETUID, versionKey = 0n } = {}) =>
  setWeightsCall({ netuid, uids, values, versionKey });

/** As `commitWeightsCall` writes it, but of any version. */
export function commitCall(commit: Uint8Array, round: number, version = 4): Uint8Array {
  const call = commitWeightsCall({ netuid: NETUID, commit, round });
  return Uint8Array.from([...call.slice(0, -2), ...encode(u16, version)]);
}

/** `burned_register`, `transfer_keep_alive` and `set_mechanism_weights` of any mechanism, by hand. */
export const registerCall = (hotkey: Person) => Uint8Array.from([7, 7, ...encode(u16, NETUID), ...hotkey.publicKey]);
export const transferCall = (to: Person, rao: number) => Uint8Array.from([5, 3, 0, ...to.publicKey, ...fourBytes(rao)]);
export const mechanismCall = (mecid: number) =>
  Uint8Array.from([7, 119, ...encode(u16, NETUID), mecid, ...encode(vec(u16), [2]), ...encode(vec(u16), [1]), ...encode(u64, 0n)]);

/** A compact number from 2^14 to 2^30. */
function fourBytes(value: number): number[] {
  const shifted = value * 4 + 2;
  return [shifted & 255, (shifted >> 8) & 255, (shifted >> 16) & 255, (shifted >>> 24) & 255];
}

/** What became of the last extrinsic of the newest block: `ok`, or its error. */
export function outcome({ chain }: Stage): string {
  const system = chain.best.state.get(ITEMS.events).flatMap(({ phase, event }) => {
    const own = phase.type === 'ApplyExtrinsic' && phase.value._0 === chain.best.extrinsics.length - 1;
    return own && event.type === 'System' ? [event.value._0] : [];
  });
  const last = system.at(-1);
  if (last?.type === 'ExtrinsicSuccess') return 'ok';
  if (last?.type !== 'ExtrinsicFailed') return 'nothing';
  const error = last.value.dispatch_error;
  if (error.type === 'Module') return `${error.value._0.index}.${error.value._0.error[0]}`;
  return error.type === 'Token' ? error.value._0.type : error.type;
}
