/** What the pool and the blocks of the stand-in refuse, with the numbers of Subtensor's own errors. */
import { describe, expect, test } from 'vitest';
import { CHAIN_LIMITS } from '../../../dev/chain/chain.ts';
import { ERRORS, type ChainErrorName } from '../../../dev/chain/events.ts';
import { place } from '../../../dev/chain/neurons.ts';
import { Undecodable } from '../../../dev/chain/scale.ts';
import { ITEMS } from '../../../dev/chain/state.ts';
import { hiddenWeights } from '../../../functions/chain/calls.ts';
import { encryptTo } from '../../../validator-cron/chain/timelock.ts';
import { roundAt } from '#protocol/challenge/beacon.ts';
import {
  ADA,
  BEA,
  beacon,
  commitCall,
  JUDGE,
  mechanismCall,
  NETUID,
  outcome,
  OWNER,
  registerCall,
  setCall,
  signed,
  stage,
  STRANGER,
  submit,
  transferCall,
  type Person,
  type Stage,
} from './stage.ts';

describe('the pool', () => {
  const later = (s: Stage) => roundAt(beacon.chain, s.clock.ms) + 30;

  test.each<[what: string, due: string, make: (s: Stage) => Uint8Array]>([
    ['a stake that is too low', 'Custom 1', (s) => signed(s, ADA, setCall([3], [1]))],
    ['a subnet that there is not', 'Custom 3', (s) => signed(s, JUDGE, setCall([2], [1], { netuid: 99 }))],
    ['a round that is over', 'Custom 15', (s) => signed(s, JUDGE, commitCall(new Uint8Array(8), later(s) - 60))],
    [
      'a nonce that is spent',
      'Stale',
      (s) => {
        submit(s, signed(s, JUDGE, setCall([2], [1])));
        s.grow(6);
        return signed(s, JUDGE, setCall([2], [1]), { nonce: 0 });
      },
    ],
    ['a signature for another runtime', 'BadProof', (s) => signed(s, JUDGE, setCall([2], [1]), { spec: 423 })],
    ['a signature for another chain', 'BadProof', (s) => signed(s, JUDGE, setCall([2], [1]), { genesis: `0x${'11'.repeat(32)}` })],
    [
      'a flipped bit',
      'BadProof',
      (s) => {
        const bytes = signed(s, JUDGE, setCall([2], [1]));
        const last = bytes.length - 1;
        return bytes.with(last, (bytes[last] ?? 0) ^ 1);
      },
    ],
    [
      'a birth on another fork',
      'BadProof',
      (s) => signed(s, JUDGE, setCall([2], [1]), { birth: { number: 5, hash: `0x${'22'.repeat(32)}` } }),
    ],
    [
      'a birth yet to come',
      'AncientBirthBlock',
      (s) => signed(s, JUDGE, setCall([2], [1]), { birth: { number: 11, hash: s.chain.best.hash } }),
    ],
    ['nothing to pay with', 'Payment', (s) => signed(s, BEA, transferCall(ADA, 100_000))],
  ])('refuses %s', (_, due, make) => {
    const s = stage();
    expect(submit(s, make(s))).toBe(due);
    expect(s.chain.pool.size).toBe(0);
  });

  test('refuses who has no uid, and who is too fast', () => {
    const s = stage({ stakeThreshold: 0n });
    expect(submit(s, signed(s, STRANGER, setCall([2], [1])))).toBe('Custom 19');
    submit(s, signed(s, JUDGE, setCall([2], [1])));
    s.grow(1);
    expect(submit(s, signed(s, JUDGE, setCall([2], [1])))).toBe('Custom 6');
    s.grow(4);
    expect(submit(s, signed(s, JUDGE, setCall([2], [1])))).toMatch(/^0x/);
  });

  test('refuses the same again', () => {
    const s = stage();
    const bytes = signed(s, JUDGE, setCall([2], [1]));
    expect(submit(s, bytes)).toMatch(/^0x/);
    expect(submit(s, bytes)).toBe('Known');
  });

  test('refuses what it has no room for', () => {
    const s = stage();
    const bytes = signed(s, JUDGE, setCall([2], [1]));
    submit(s, bytes);
    const [waiting] = s.chain.pool.values();
    for (let i = 1; waiting !== undefined && i < CHAIN_LIMITS.pool; i++) s.chain.pool.set(`filler ${i}`, waiting);
    expect(submit(s, signed(s, ADA, transferCall(BEA, 100_000)))).toBe('Full');
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['cut off', (bytes) => bytes.slice(0, -1)],
    ['with more after it', (bytes) => Uint8Array.from([...bytes, 0])],
    ['unsigned', (bytes) => bytes.with(2, 0x04)],
    ['empty', () => new Uint8Array()],
  ])('does not read an extrinsic that is %s', (_, spoil) => {
    const s = stage();
    expect(() => s.chain.submit(spoil(signed(s, JUDGE, setCall([2], [1]))))).toThrow(Undecodable);
  });

  test('keeps one whose nonce is not due, and takes both in order', () => {
    const s = stage({ rateLimit: 0 });
    submit(s, signed(s, ADA, transferCall(BEA, 200_000), { nonce: 1 }));
    s.grow(1);
    expect(s.chain.pool.size).toBe(1);
    submit(s, signed(s, ADA, transferCall(BEA, 100_000), { nonce: 0 }));
    s.grow(1);
    expect(s.chain.best.state.get(ITEMS.account, BEA.ss58).data.free).toBe(300_000n);
  });

  test('an extrinsic dies with its era', () => {
    const s = stage();
    const bytes = signed(s, JUDGE, setCall([2], [1]));
    s.grow(62);
    expect(submit(s, bytes)).toMatch(/^0x/);
    s.chain.pool.clear();
    s.grow(1);
    expect(submit(s, bytes)).toBe('AncientBirthBlock');
    s.grow(1);
    expect(submit(s, bytes)).toBe('BadProof');
  });
});

/** The pool asks less than the block: these come in and fail. */
describe('a block', () => {
  const cases: [ChainErrorName, Person, (s: Stage) => Uint8Array, ((s: Stage) => void)?][] = [
    ['WeightVecNotEqualSize', JUDGE, () => setCall([2, 3], [1])],
    ['UidsLengthExceedUidsInSubNet', JUDGE, () => setCall([0, 1, 2, 3, 3], [1, 1, 1, 1, 1])],
    ['DuplicateUids', JUDGE, () => setCall([2, 2], [1, 1])],
    ['UidVecContainInvalidOne', JUDGE, () => setCall([2, 9], [1, 1])],
    [
      'WeightVecLengthIsLow',
      JUDGE,
      () => setCall([2], [1]),
      (s) => s.chain.schedule(({ state }) => state.set(ITEMS.minWeights, [NETUID], 3)),
    ],
    [
      'IncorrectWeightVersionKey',
      JUDGE,
      () => setCall([2], [1], { versionKey: 6n }),
      (s) => s.chain.schedule(({ state }) => state.set(ITEMS.versionKey, [NETUID], 7n)),
    ],
    ['MechanismDoesNotExist', JUDGE, () => mechanismCall(1)],
    ['CommitRevealDisabled', JUDGE, () => commitCall(new Uint8Array(8), 999_999_999)],
    ['IncorrectCommitRevealVersion', JUDGE, () => commitCall(new Uint8Array(8), 999_999_999, 3)],
    ['HotKeyAlreadyRegisteredInSubNet', ADA, () => registerCall(BEA)],
    [
      'CommitRevealEnabled',
      JUDGE,
      () => setCall([2], [1]),
      (s) => s.chain.schedule(({ state }) => state.set(ITEMS.commitReveal, [NETUID], true)),
    ],
    [
      'NeuronNoValidatorPermit',
      JUDGE,
      () => setCall([2], [1]),
      (s) => s.chain.schedule(({ state }) => place(state, ITEMS.permits, NETUID, 1, false)),
    ],
  ];

  test.each(cases)('fails with %s', (name, who, call, before) => {
    const s = stage();
    before?.(s);
    s.grow(1);
    expect(submit(s, signed(s, who, call(s)))).toMatch(/^0x/);
    s.grow(1);
    expect(outcome(s)).toBe(`7.${ERRORS.SubtensorModule[name]}`);
    expect(s.chain.best.state.get(ITEMS.weights, NETUID, 1)).toEqual([]);
  });

  /** What was right for the pool is wrong when the block is made. */
  test.each<[string, (s: Stage) => void]>([
    ['its stake is too low by then', (s) => s.chain.schedule(({ state }) => state.set(ITEMS.stakeThreshold, [], 1n << 62n))],
    ['its uid is gone by then', (s) => s.chain.schedule(({ state }) => state.remove(ITEMS.uids, [NETUID, JUDGE.ss58]))],
  ])('leaves out an extrinsic where %s', (_, between) => {
    const s = stage();
    submit(s, signed(s, JUDGE, setCall([2], [1])));
    between(s);
    s.grow(1);
    expect(s.chain.best.extrinsics).toHaveLength(1);
    expect(s.chain.pool.size).toBe(0);
  });

  test('a self-weight needs no permit, and the owner no stake', () => {
    const s = stage({ stakeThreshold: 0n });
    submit(s, signed(s, BEA, setCall([3], [1])));
    submit(s, signed(s, OWNER, setCall([2, 3], [1, 2])));
    s.grow(1);
    expect(s.chain.best.state.get(ITEMS.weights, NETUID, 3)).toEqual([[3, 65_535]]);
    expect(s.chain.best.state.get(ITEMS.weights, NETUID, 0)).toEqual([
      [2, 32_767],
      [3, 65_535],
    ]);
  });

  test.each([
    ['FundsUnavailable', 990_000],
    ['NotExpendable', 874_900],
  ])('a transfer fails with %s and costs its fee', (due, rao) => {
    const s = stage({ funds: { [ADA.ss58]: 1_000_000n } });
    submit(s, signed(s, ADA, transferCall(BEA, rao)));
    s.grow(1);
    expect(outcome(s)).toBe(due);
    expect(s.chain.best.state.get(ITEMS.account, ADA.ss58)).toMatchObject({ nonce: 1, data: { free: 875_000n } });
  });

  test('registration for a price; in a full subnet the place of who earns least', () => {
    const s = stage();
    s.chain.schedule(({ state }) => state.set(ITEMS.maxUids, [NETUID], 4));
    s.grow(1);
    submit(s, signed(s, ADA, registerCall(STRANGER)));
    s.grow(1);
    const { state } = s.chain.best;
    expect(outcome(s)).toBe('ok');
    expect(state.find(ITEMS.uids, NETUID, STRANGER.ss58)).toBe(2);
    expect(state.find(ITEMS.uids, NETUID, ADA.ss58)).toBeNull();
    expect(state.get(ITEMS.owner, STRANGER.ss58)).toBe(ADA.ss58);
    expect(state.get(ITEMS.size, NETUID)).toBe(4);
  });
});

describe('a commit', () => {
  const dice = { secret: new Uint8Array(32).fill(1), sigma: new Uint8Array(32).fill(2), nonce: new Uint8Array(12).fill(3) };
  const hidden = (of: Person, uids = [2, 3], values = [1, 3]) => hiddenWeights(of.publicKey, { uids, values, versionKey: 0n });
  const commit = async (s: Stage, text: Uint8Array, ahead: number) => {
    const round = roundAt(beacon.chain, s.clock.ms) + ahead;
    submit(s, signed(s, JUDGE, commitCall(await encryptTo(round, beacon.chain.publicKey, text, dice), round)));
    s.grow(1);
    return outcome(s);
  };
  const revealed = (s: Stage) => s.chain.best.state.get(ITEMS.weights, NETUID, 1);

  test('is opened in the epoch after, by the signature of its round', async () => {
    const s = stage({ commitReveal: true, tempo: 20 });
    expect(await commit(s, hidden(JUDGE), 12)).toBe('ok');
    // Block 11; the epoch comes at block 20, the round two blocks later.
    s.grow(10);
    expect(revealed(s)).toEqual([]);
    s.grow(2);
    expect(revealed(s)).toEqual([
      [2, 21_845],
      [3, 65_535],
    ]);
    expect(s.chain.best.state.get(ITEMS.lastUpdate, NETUID)[1]).toBe(11n);
  });

  test.each<[string, Uint8Array, number]>([
    ['of another hotkey', hidden(ADA), 12],
    ['with weights that break a rule', hidden(JUDGE, [2, 2]), 12],
    ['whose round comes after its epoch', hidden(JUDGE), 60],
  ])('%s is dropped without a word', async (_, text, ahead) => {
    const s = stage({ commitReveal: true, tempo: 20 });
    expect(await commit(s, text, ahead)).toBe('ok');
    s.grow(60);
    expect(revealed(s)).toEqual([]);
    expect([...s.chain.best.state.entries.keys()].filter((key) => key.includes('119e1c428ff5c7c6dac4c888a10d1443'))).toEqual([]);
  });

  test('that is no ciphertext is dropped too', async () => {
    const s = stage({ commitReveal: true, tempo: 20 });
    const round = roundAt(beacon.chain, s.clock.ms) + 12;
    submit(s, signed(s, JUDGE, commitCall(new Uint8Array(400).fill(7), round)));
    s.grow(1);
    expect(outcome(s)).toBe('ok');
    s.grow(60);
    expect(revealed(s)).toEqual([]);
  });

  test('ten of one hotkey wait in an epoch, and no more', async () => {
    const s = stage({ commitReveal: true, rateLimit: 0, tempo: 1_000 });
    const said: string[] = [];
    for (let i = 0; i < 11; i++) said.push(await commit(s, hidden(JUDGE), 500));
    expect(said).toEqual([...Array.from({ length: 10 }, () => 'ok'), `7.${ERRORS.SubtensorModule.TooManyUnrevealedCommits}`]);
  });
});
