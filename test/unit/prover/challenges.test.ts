import { createPublicKey, verify } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { CHALLENGE_LIMITS, challengeSeed, commitSchema, commitText, declineSchema } from '#protocol';
import type { ChallengeAsk, Device, Up } from '#protocol';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { checkWork } from '#protocol/challenge/work.ts';
import { makeSessionKeys } from '../../../miner-agent/identity/session.ts';
import { NotHeld, Possession } from '../../../miner-agent/possession/possession.ts';
import { Challenges, type ChallengeNews } from '../../../miner-agent/prover/challenges.ts';
import { cpuProver } from '../../../miner-agent/prover/cpu.ts';
import type { Prover } from '../../../miner-agent/prover/prover.ts';
import { Provers } from '../../../miner-agent/prover/provers.ts';
import type { Opening } from '../../../miner-agent/prover/upload.ts';

const HOTKEY = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const DEVICES: Device[] = [
  { id: 'cpu0', kind: 'cpu', name: 'CPU', memoryMb: 1 },
  { id: 'gpu0', kind: 'gpu', name: 'GPU', memoryMb: 1 },
];
const RANDOM = 'cd'.repeat(32);
const SAMPLE = { type: 'sample' as const, round: 12, randomness: 'ef'.repeat(32), token: 'tok', withinMs: 1_000 };

let provers = new Provers([]);
afterEach(() => provers.stop());

class HeldFiles extends Possession {
  override open(instance: string): Promise<Uint8Array> {
    return instance === 'ins_1' ? Promise.resolve(Uint8Array.of(1, 2, 3)) : Promise.reject(new NotHeld('it has no manifest here'));
  }
}

function stage({ prover = cpuProver(), upload = null }: { prover?: Prover; upload?: string | null } = {}) {
  const keys = makeSessionKeys();
  const said: Up[] = [];
  const news: ChallengeNews[] = [];
  const sent: Opening[] = [];
  provers = new Provers([prover]);
  const challenges = new Challenges({
    hotkey: HOTKEY,
    devices: () => DEVICES,
    provers,
    possession: new HeldFiles(null),
    uploads: { send: (opening) => Promise.resolve(sent.push(opening)).then(() => upload) },
    sign: keys.sign,
    say: (message) => said.push(message),
    tell: (one) => news.push(one),
  });
  return { challenges, keys, said, news, sent };
}

const ask = (more: Partial<ChallengeAsk> = {}): ChallengeAsk => ({
  type: 'challenge',
  id: 'chl_1',
  kind: 'pow.mm',
  device: 'cpu0',
  instance: null,
  target: 'agt_1/cpu0',
  profile: 'mm-128',
  steps: 4,
  round: 10,
  randomness: RANDOM,
  withinMs: 5_000,
  ...more,
});
const files = (more: Partial<ChallengeAsk> = {}) =>
  ask({ kind: 'fs', device: null, instance: 'ins_1', target: 'ins_1', profile: '', steps: 0, token: 'tok', ...more });

const never: Prover = {
  kind: 'cpu',
  helper: 'never',
  profiles: {},
  prove: (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  stop: () => Promise.resolve(),
};

test('work is committed to with the session key and opened at what the sample names', async () => {
  const { challenges, keys, said, sent, news } = stage();
  await challenges.challenge(ask());
  const commit = commitSchema.parse(said[0]);
  expect(commit).toMatchObject({ id: 'chl_1', helper: 'cpu', seen: 10 });
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(keys.sessionKey, 'hex').toString('base64url') },
    format: 'jwk',
  });
  expect(verify(null, Buffer.from(commitText(commit)), key, Buffer.from(commit.signature, 'hex'))).toBe(true);
  await challenges.sample({ ...SAMPLE, id: 'chl_1' });
  expect(sent).toMatchObject([{ id: 'chl_1', token: 'tok', withinMs: 1_000 }]);
  const seed = challengeSeed({ ...ask(), hotkey: HOTKEY });
  const work = { kind: 'pow.mm' as const, profile: 'mm-128', steps: 4, seed, randomness: RANDOM };
  expect(checkWork(work, commit.root, SAMPLE.randomness, sent[0]?.bytes ?? new Uint8Array(), new Tiles(4))).toBeNull();
  expect(news.map((one) => one.state)).toEqual(['asked', 'committed', 'opened']);
  // The next one has seen the round of that sample.
  await challenges.challenge(ask({ id: 'chl_2', round: 11 }));
  expect(commitSchema.parse(said[1]).seen).toBe(12);
});

test('files are opened at once', async () => {
  const { challenges, said, sent } = stage();
  await challenges.challenge(files());
  expect(sent).toEqual([{ id: 'chl_1', token: 'tok', withinMs: 5_000, bytes: Uint8Array.of(1, 2, 3) }]);
  expect(said).toEqual([]);
});

test.each<[string, ChallengeAsk, string]>([
  ['a kind of device without a prover', ask({ device: 'gpu0' }), 'no prover for gpu'],
  ['a device that is not there', ask({ device: 'gpu7' }), 'there is no such device here'],
  ['a profile of a GPU', ask({ profile: 'mm-8192' }), 'the CPU does not prove mm-8192'],
  ['work without end', ask({ steps: 1e9 }), '1000000000 steps of mm-128 are too many'],
  ['no device at all', ask({ device: null }), 'there is no such device here'],
  ['an instance without a manifest', files({ instance: 'ins_2' }), 'it has no manifest here'],
  ['files of nothing', files({ instance: null }), 'it names no instance'],
])('%s is declined with the reason', async (_, asked, reason) => {
  const { challenges, said, sent } = stage();
  await challenges.challenge(asked);
  expect(said).toEqual([{ type: 'decline', id: 'chl_1', reason }]);
  expect(declineSchema.safeParse(said[0]).success).toBe(true);
  expect(sent).toEqual([]);
});

test('a prover that breaks is a reason without its words', async () => {
  const broken: Prover = { ...never, prove: () => Promise.reject(new TypeError('secret path /home/x')) };
  const { challenges, said } = stage({ prover: broken });
  await challenges.challenge(ask());
  expect(said).toEqual([{ type: 'decline', id: 'chl_1', reason: 'failed (TypeError)' }]);
});

test('work that takes too long is given up and declined', async () => {
  const { challenges, said } = stage({ prover: never });
  await challenges.challenge(ask({ withinMs: 10 }));
  expect(said).toEqual([{ type: 'decline', id: 'chl_1', reason: 'it took too long' }]);
});

test('the same challenge twice is worked on once; a sample of none, or a second one, finds nothing', async () => {
  const { challenges, said, sent } = stage();
  await challenges.sample({ ...SAMPLE, id: 'chl_1' });
  const both = [challenges.challenge(ask()), challenges.challenge(ask())];
  await Promise.all(both);
  expect(said).toHaveLength(1);
  await Promise.all([challenges.sample({ ...SAMPLE, id: 'chl_1' }), challenges.sample({ ...SAMPLE, id: 'chl_1', randomness: RANDOM })]);
  expect(sent).toHaveLength(1);
});

test('so many run at once and no more', async () => {
  const { challenges, said } = stage({ prover: never });
  const running = Array.from({ length: CHALLENGE_LIMITS.runningPerAgent }, (_, k) => challenges.challenge(ask({ id: `chl_${k}` })));
  await challenges.challenge(ask({ id: 'chl_more' }));
  expect(said).toEqual([{ type: 'decline', id: 'chl_more', reason: 'too many challenges at once' }]);
  challenges.lost();
  await Promise.all(running);
  expect(said).toHaveLength(1);
});

test('a session that is gone takes its challenges along, and nothing is said of them', async () => {
  const { challenges, said, sent } = stage();
  await challenges.challenge(ask());
  challenges.lost();
  await challenges.sample({ ...SAMPLE, id: 'chl_1' });
  expect([said.length, sent]).toEqual([1, []]);
});

test('an opening that does not arrive is told to the operator', async () => {
  const { challenges, news } = stage({ upload: 'the edge answered 403' });
  await challenges.challenge(files());
  expect(news.at(-1)).toMatchObject({ state: 'failed', detail: 'the edge answered 403', of: 'ins_1' });
});
