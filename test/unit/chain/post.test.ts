/** Weights come to the chain: set, committed and opened, and every way in which that goes wrong, on a chain that decodes and checks real bytes. */
import { describe, expect, test } from 'vitest';
import { ITEMS } from '../../../dev/chain/state.ts';
import { readSubnet } from '../../../functions/chain/subnet.ts';
import { sameWeights } from '../../../validator-cron/chain/same-weights.ts';
import { control, JUDGE, NETUID, stage, WEIGHTS, who, type Stage } from './stage.ts';

const onChain = ({ chain }: Stage) => chain.finalized.state.get(ITEMS.weights, NETUID, 1);
const SCALED = [
  [2, 65_535],
  [3, 41_835],
];
const set = { commitReveal: false };

test('a subnet is read as the chain has it', async () => {
  const s = await stage(set);
  await s.judge().post();
  s.grow(25);
  const subnet = await readSubnet(s.judge().ports.chain, NETUID, JUDGE.ss58);
  expect(subnet).toMatchObject({
    netuid: NETUID,
    head: { number: 37, hash: s.chain.finalized.hash },
    headMs: s.clock.ms,
    runtime: { spec: 424, transaction: 1 },
    owner: who('Owner'),
    clock: { tempo: 20, pending: 0 },
    revealPeriod: 1,
    commitReveal: false,
    commitVersion: 4,
    rateLimit: 10,
    versionKey: 0n,
    minAllowed: 1,
    commits: [],
    weights: SCALED,
    nonce: 1,
  });
  expect(subnet.neurons.map(({ uid, hotkey, coldkey, permit, lastUpdate }) => [uid, hotkey, coldkey, permit, lastUpdate])).toEqual([
    [0, who('Owner'), who('Owner//cold'), expect.any(Boolean), expect.any(Number)],
    [1, JUDGE.ss58, who('Judge//cold'), true, 13],
    [2, who('Ada'), who('Ada//cold'), false, 1],
    [3, who('Bea'), who('Bea//cold'), false, 1],
  ]);
  const [, judge, ada, bea] = subnet.neurons;
  expect([judge?.stake, (ada?.incentive ?? 0) > (bea?.incentive ?? 0), (ada?.emission ?? 0n) > (bea?.emission ?? 0n)]).toEqual([
    s.chain.finalized.state.get(ITEMS.alpha, JUDGE.ss58, NETUID),
    true,
    true,
  ]);
});

test('a subnet that is not there is said so', async () => {
  const s = await stage(set);
  await expect(readSubnet(s.judge().ports.chain, 99)).rejects.toThrow(/no subnet 99/);
});

describe('set openly', () => {
  test('submitted, then confirmed, and signed once', async () => {
    const s = await stage(set);
    const judge = s.judge();
    const first = await judge.post();
    expect(first).toMatchObject({ state: 'submitted', extrinsic: judge.kept[0]?.hash });
    expect(await judge.post()).toEqual({ ...first, why: 'it is sent and in no finalized block yet' });
    expect([...s.chain.pool.keys()]).toEqual([first.extrinsic]);
    s.grow(1);
    expect(onChain(s)).toEqual(SCALED);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', block: 13, extrinsic: first.extrinsic });
    s.grow(5);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', block: 13 });
    expect([judge.kept.length, s.chain.pool.size, s.chain.nextNonce(JUDGE.ss58)]).toEqual([1, 0, 1]);
  });

  test('the next epoch waits for the subnet’s limit, and the one before is told of', async () => {
    const s = await stage(set);
    const judge = s.judge();
    await judge.post(0);
    s.grow(1);
    expect(await judge.post(60)).toEqual({ state: 'waiting', why: 'the subnet takes weights of the hotkey again at block 23' });
    s.grow(9);
    expect(await judge.post(60)).toMatchObject({ state: 'submitted' });
    s.grow(1);
    expect(await judge.post(60)).toMatchObject({ state: 'confirmed', block: 23 });
    expect(await judge.post(0)).toMatchObject({ state: 'confirmed', block: 13, why: 'a later epoch was posted' });
    expect(await judge.post(30)).toMatchObject({ state: 'refused', why: expect.stringMatching(/later epoch/) as string });
  });

  test('a block that is not final says nothing', async () => {
    const s = await stage(set);
    const judge = s.judge();
    await judge.post();
    s.grow(1, false);
    expect(await judge.post()).toMatchObject({ state: 'submitted' });
    s.chain.finalize();
    expect(await judge.post()).toMatchObject({ state: 'confirmed', block: 13 });
  });
});

describe('committed', () => {
  test('the commit is found, opens by the beacon, and stands', async () => {
    const s = await stage({ commitReveal: true });
    const judge = s.judge();
    const first = await judge.post();
    expect(first).toMatchObject({ state: 'submitted', revealRound: expect.any(Number) as number });
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', block: 13, revealRound: first.revealRound });
    expect(onChain(s)).toEqual([]);
    // Tempo 20: the commit is of epoch 0, and opens in epoch 1.
    s.grow(12);
    expect(onChain(s)).toEqual(SCALED);
    s.grow(25);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', block: 13 });
    expect(judge.kept).toHaveLength(1);
  });

  test('one that does not open is made again', async () => {
    const s = await stage({ commitReveal: true });
    const judge = s.judge();
    const first = await judge.post();
    s.grow(1);
    await judge.post();
    s.beacon.up = false;
    s.grow(40);
    s.beacon.up = true;
    const second = await judge.post();
    expect(second).toMatchObject({ state: 'submitted', why: expect.stringMatching(/did not open/) as string });
    expect(second.extrinsic).not.toBe(first.extrinsic);
    s.grow(30);
    expect(sameWeights(WEIGHTS, onChain(s))).toBe(true);
  });
});

describe('faults', () => {
  test('an extrinsic that the pool lost is sent again, the same one', async () => {
    const s = await stage(set);
    const judge = s.judge();
    await control(s.url, { drop: 1 });
    const { extrinsic } = await judge.post();
    s.grow(3);
    expect(onChain(s)).toEqual([]);
    expect(await judge.post()).toMatchObject({ state: 'submitted', extrinsic });
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', block: 16, extrinsic });
  });

  test('one that is lost for good dies with its era, and only then another is signed', async () => {
    const s = await stage(set);
    const judge = s.judge();
    await control(s.url, { drop: 1_000 });
    const first = await judge.post();
    s.grow(62);
    expect(await judge.post()).toMatchObject({ state: 'submitted', extrinsic: first.extrinsic });
    s.grow(1);
    await control(s.url, { drop: 0 });
    const second = await judge.post();
    expect([second.state, second.extrinsic === first.extrinsic]).toEqual(['submitted', false]);
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', extrinsic: second.extrinsic });
  });

  test('a block that is dropped takes nothing with it', async () => {
    const s = await stage(set);
    const judge = s.judge();
    const { extrinsic } = await judge.post();
    s.grow(1, false);
    await control(s.url, { reorg: 1, lose: true });
    s.grow(1);
    expect(onChain(s)).toEqual([]);
    expect(await judge.post()).toMatchObject({ state: 'submitted', extrinsic });
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'confirmed', extrinsic });
  });

  test('a runtime with the same shape is signed for as itself', async () => {
    const s = await stage(set);
    await control(s.url, { spec: 470 });
    s.grow(2);
    const judge = s.judge();
    expect(await judge.post()).toMatchObject({ state: 'submitted' });
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'confirmed' });
  });

  test('for one with other calls nothing is signed', async () => {
    const s = await stage(set);
    await control(s.url, { spec: 471, changed: true });
    s.grow(2);
    const judge = s.judge();
    expect(await judge.post()).toEqual({
      state: 'refused',
      why: expect.stringMatching(/^runtime 471 is not .*call set_mechanism_weights/) as string,
    });
    expect(judge.kept).toEqual([]);
  });

  test('a runtime that comes between signature and block: the old one dies, a new one is signed', async () => {
    const s = await stage(set);
    const judge = s.judge();
    await judge.post();
    await control(s.url, { spec: 472 });
    s.chain.pool.clear();
    s.grow(1);
    const again = await judge.post();
    // Its signature is of the runtime before.
    expect(again).toMatchObject({ state: 'submitted', why: expect.stringMatching(/signature/) as string });
    s.grow(63);
    expect(await judge.post()).toMatchObject({ state: 'submitted' });
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'confirmed' });
  });

  test('weights that fail in their block are told of, and tried again after the era', async () => {
    const s = await stage(set);
    const judge = s.judge();
    await judge.post();
    s.chain.schedule(({ state }) => state.set(ITEMS.minWeights, [NETUID], 4));
    s.grow(1);
    expect(await judge.post()).toEqual({ state: 'waiting', why: expect.stringMatching(/failed in its block/) as string });
    s.grow(63);
    expect(await judge.post()).toEqual({ state: 'refused', why: 'the subnet wants weights of 4 uids or more, these are of 2' });
    s.chain.schedule(({ state }) => state.set(ITEMS.minWeights, [NETUID], 1));
    s.grow(1);
    expect(await judge.post()).toMatchObject({ state: 'submitted' });
  });

  test('a node that is busy is passed over; where all are, nothing is signed', async () => {
    const s = await stage(set);
    const away = await stage(set);
    await control(away.url, { fault: 'busy' });
    expect(await s.judge([away.url, s.url]).post()).toMatchObject({ state: 'submitted' });
    const judge = s.judge([away.url]);
    expect(await judge.post()).toEqual({ state: 'waiting', why: 'the node answered 429' });
    expect(judge.kept).toEqual([]);
  });

  test('a node of another chain is not believed', async () => {
    const s = await stage(set);
    const judge = s.judge([s.url], `0x${'aa'.repeat(32)}`);
    expect(await judge.post()).toEqual({ state: 'refused', why: expect.stringMatching(/another chain: check CHAIN_URL/) as string });
    expect(judge.kept).toEqual([]);
  });

  test('a node that stands still says nothing about now', async () => {
    const s = await stage(set);
    s.clock.ms += 11 * 60_000;
    expect(await s.judge().post()).toEqual({ state: 'waiting', why: expect.stringMatching(/minutes behind/) as string });
  });
});

describe('two of one hotkey, each with a memory of its own', () => {
  test('the chain has one', async () => {
    const s = await stage(set);
    const [one, other] = [s.judge(), s.judge()];
    await Promise.all([one.post(), other.post()]);
    s.grow(1);
    const states = [(await one.post()).state, (await other.post()).state];
    expect(states).toContain('confirmed');
    s.grow(20);
    expect(s.chain.finalized.state.get(ITEMS.lastUpdate, NETUID)[1]).toBe(13n);
    expect(onChain(s)).toEqual(SCALED);
  });
});

test('who is not registered is told what to do', async () => {
  const s = await stage({ ...set, validators: [] });
  expect(await s.judge().post()).toEqual({
    state: 'refused',
    why: `the hotkey is not registered on subnet ${NETUID}: register it (btcli subnet register)`,
  });
});
