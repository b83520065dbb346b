/** Money in from the chain: every finalized block once, whatever crashes; credited once, at a fresh rate. */
import { getPublicKey, secretFromSeed } from '@scure/sr25519';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { depositAddress } from '../../../functions/deposits/address.ts';
import { creditDeposits } from '../../../functions/deposits/credit.ts';
import { FOLLOW, followDeposits } from '../../../functions/deposits/follow.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { NEXT_RUNTIME } from '../../harness/chain-metadata.ts';
import { brokenOf } from '../books/books.ts';
import { crashEverywhere, openStage, type Stage, type World } from './stage.ts';

const MASTER = Buffer.from(getPublicKey(secretFromSeed(new Uint8Array(32).fill(7)))).toString('hex');
const STRANGER = encodeSs58(new Uint8Array(32).fill(200));
const TAO = 1_000_000_000n;
const USD = 1_000_000_000n;
/** Nano-USD per TAO. */
const RATE = 400_000_000_000n;

let stage: Stage;
let accounts = 0;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

function addressOf(account: string): string {
  const address = depositAddress(MASTER, account);
  if (address === null) throw new Error('no master key');
  return address;
}

interface Payer {
  account: string;
  address: string;
}

/** A followed chain, and an account with its address. */
async function begun(): Promise<World & Payer> {
  const world = await stage.world();
  world.chain.grow(3);
  expect(await followDeposits(world.env)).toBe(0);
  return { ...world, ...(await newPayer(world)) };
}

async function newPayer({ handle, chain }: World): Promise<Payer> {
  const account = `acc_${(accounts++).toString().padStart(24, '0')}`;
  const address = addressOf(account);
  expect(await db.bindDepositAddress(handle, chain.genesis.hash, account, address)).toBe(address);
  return { account, address };
}

async function seen({
  chain,
}: World): Promise<{ block_number: string; event_index: number; account_id: string; rao: string; state: string }[]> {
  return stage.books.sql(
    'select block_number, event_index, account_id, rao, state from deposits where chain = $1 order by block_number, event_index',
    [chain.genesis.hash],
  );
}

async function cursorOf({ chain, handle }: World): Promise<{ number: number; hash: string } | null> {
  return db.findCursor(handle, chain.genesis.hash);
}

async function cash(account: string): Promise<bigint> {
  const [row] = await stage.books.sql<{ posted: string }>('select posted from purses where id = $1', [`cash/${account}`]);
  return BigInt(row?.posted ?? 0);
}

const brokenBooks = () => brokenOf(stage.books.d);

describe('following', () => {
  test('an address is shown only once the chain is followed, and is the same for ever', async () => {
    const world = await stage.world();
    const account = 'acc_early';
    const address = addressOf(account);
    const bind = () => db.bindDepositAddress(world.handle, world.chain.genesis.hash, account, address);
    expect(await bind()).toBeNull();
    await followDeposits(world.env);
    expect(await bind()).toBe(address);
    expect(await bind()).toBe(address);
    // With another master key, too.
    expect(await db.bindDepositAddress(world.handle, world.chain.genesis.hash, account, STRANGER)).toBe(address);
  });

  test('a chain that is followed from now on: what was before is not read', async () => {
    const world = await begun();
    expect(await cursorOf(world)).toMatchObject({ number: 3, hash: world.chain.finalized.hash });
  });

  test('transfers to our addresses, and no others', async () => {
    const world = await begun();
    const other = await newPayer(world);
    world.chain.produce({
      transfers: [
        { from: STRANGER, to: world.address, rao: TAO },
        { from: STRANGER, to: STRANGER, rao: 9n * TAO },
        { from: world.address, to: STRANGER, rao: TAO },
        { from: world.address, to: world.address, rao: TAO },
        { from: STRANGER, to: world.address, rao: 5n * TAO, phase: 'initialization' },
        { from: STRANGER, to: world.address, rao: 5n * TAO, phase: 'finalization' },
        { from: STRANGER, to: other.address, rao: 2n * TAO },
      ],
    });
    world.chain.finalize();
    expect(await followDeposits(world.env)).toBe(1);
    expect((await seen(world)).map(({ account_id, rao, state }) => [account_id, BigInt(rao), state])).toEqual([
      [world.account, TAO, 'seen'],
      [other.account, 2n * TAO, 'seen'],
    ]);
  });

  test('two equal transfers in one block are two deposits', async () => {
    const world = await begun();
    const transfer = { from: STRANGER, to: world.address, rao: TAO };
    world.chain.produce({ transfers: [transfer, transfer] });
    world.chain.finalize();
    await followDeposits(world.env);
    expect(await seen(world)).toHaveLength(2);
    await stage.rate(RATE);
    expect(await creditDeposits(world.env)).toBe(2);
    expect(await cash(world.account)).toBe(2n * RATE);
  });

  test('a block that is dropped later is never seen; what finality keeps is', async () => {
    const world = await begun();
    const { chain } = world;
    const fork = chain.best;
    chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    // The best blocks hold two deposits; finality is behind them.
    expect(await followDeposits(world.env)).toBe(0);
    const kept = chain.produce({ on: fork, transfers: [{ from: STRANGER, to: world.address, rao: 7n * TAO }] });
    chain.finalize(kept);
    expect(await followDeposits(world.env)).toBe(1);
    expect((await seen(world)).map((d) => BigInt(d.rao))).toEqual([7n * TAO]);
  });

  test('no block is left out: more than one run takes are taken by several', async () => {
    const world = await begun();
    const { chain } = world;
    for (let i = 0; i < FOLLOW.blocks + 7; i++) chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO + BigInt(i) }] });
    chain.finalize();
    expect(await followDeposits(world.env)).toBe(FOLLOW.blocks);
    expect(await followDeposits(world.env)).toBe(7);
    expect(await followDeposits(world.env)).toBe(0);
    expect((await seen(world)).map((d) => BigInt(d.rao))).toEqual(Array.from({ length: FOLLOW.blocks + 7 }, (_, i) => TAO + BigInt(i)));
    expect(await cursorOf(world)).toMatchObject({ number: chain.best.number, hash: chain.best.hash });
  });

  test('many runs at once take every block once', async () => {
    const world = await begun();
    const { chain } = world;
    for (let i = 0; i < 23; i++) chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    chain.finalize();
    const took = await Promise.all(Array.from({ length: 6 }, () => followDeposits(world.env)));
    expect(took.reduce((sum, n) => sum + n, 0)).toBe(23);
    expect(await seen(world)).toHaveLength(23);
    expect(await cursorOf(world)).toMatchObject({ number: chain.best.number });
  });

  test('a new runtime: the block that brings it is read by the old one', async () => {
    const world = await begun();
    const { chain } = world;
    const pay = { transfers: [{ from: STRANGER, to: world.address, rao: TAO }] };
    chain.produce(pay);
    chain.produce({ ...pay, upgrade: NEXT_RUNTIME });
    chain.produce(pay);
    chain.finalize();
    expect(await followDeposits(world.env)).toBe(3);
    expect(await seen(world)).toHaveLength(3);
  });

  test('a runtime nobody knows stops it, and nothing is skipped', async () => {
    const world = await begun();
    const { chain } = world;
    const pay = { transfers: [{ from: STRANGER, to: world.address, rao: TAO }] };
    chain.produce({ ...pay, upgrade: { spec: 999, balances: 5, transfer: 2, transferName: 'Moved' } });
    chain.produce(pay);
    chain.finalize();
    await expect(followDeposits(world.env)).rejects.toThrow('there is no Balances.Transfer');
    const before = await cursorOf(world);
    await expect(followDeposits(world.env)).rejects.toThrow();
    expect(await cursorOf(world)).toEqual(before);
  });
});

describe('nodes', () => {
  test.each([
    ['busy', 'the node answered 429'],
    ['html', 'no JSON'],
    ['empty', 'unanswered'],
  ] as const)('a node that is %s: nothing is skipped, the next run goes on', async (fault, why) => {
    const world = await begun();
    world.chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    world.chain.finalize();
    world.node.fault = fault;
    await expect(followDeposits(world.env)).rejects.toThrow(why);
    world.node.fault = null;
    expect(await followDeposits(world.env)).toBe(1);
    expect(await seen(world)).toHaveLength(1);
  });

  test('a node that is away, and comes back', async () => {
    const world = await begun();
    world.chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    world.chain.finalize();
    await world.node.stop();
    await expect(followDeposits(world.env)).rejects.toThrow('does not answer');
    await world.node.start();
    expect(await followDeposits(world.env)).toBe(1);
  });

  test('another node answers where the first does not', async () => {
    const world = await begun();
    world.chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    world.chain.finalize();
    world.node.fault = 'busy';
    const env = { ...world.env, CHAIN_URL: `${world.env.CHAIN_URL}, ${world.env.CHAIN_ARCHIVE_URL}` };
    expect(await followDeposits(env)).toBe(1);
  });

  test('a node that is behind goes back nowhere', async () => {
    const world = await begun();
    world.chain.grow(5);
    expect(await followDeposits(world.env)).toBe(5);
    world.node.lag = 3;
    expect(await followDeposits(world.env)).toBe(0);
    expect(await cursorOf(world)).toMatchObject({ number: 8 });
  });

  test('a node of another chain is not believed', async () => {
    const world = await begun();
    world.chain.grow(2);
    world.node.genesis = `0x${'99'.repeat(32)}`;
    await expect(followDeposits(world.env)).rejects.toThrow('another chain');
    expect(await cursorOf(world)).toMatchObject({ number: 3 });
  });

  test('finalized blocks that do not follow the cursor stop it', async () => {
    const world = await begun();
    const { chain } = world;
    chain.grow(2);
    await stage.books.sql('update chain_cursors set hash = $1 where chain = $2', [`0x${'12'.repeat(32)}`, chain.genesis.hash]);
    await expect(followDeposits(world.env)).rejects.toThrow('does not follow the cursor');
    expect(await cursorOf(world)).toMatchObject({ number: 3 });
  });

  test('state that the node forgot comes from the archive', async () => {
    const world = await begun();
    const { chain, node } = world;
    chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
    chain.grow(20);
    node.keeps = 4;
    const { CHAIN_ARCHIVE_URL: _, ...alone } = world.env;
    await expect(followDeposits(alone)).rejects.toThrow('State already discarded');
    expect(await cursorOf(world)).toMatchObject({ number: 3 });
    world.archive.genesis = `0x${'99'.repeat(32)}`;
    await expect(followDeposits(world.env)).rejects.toThrow('another chain');
    world.archive.genesis = null;
    expect(await followDeposits(world.env)).toBe(21);
    expect(await seen(world)).toHaveLength(1);
  });
});

describe('crediting', () => {
  beforeEach(async () => {
    await stage.rate(RATE);
  });

  test('exactly what the rate says, rounded down, once', async () => {
    const world = await begun();
    const rao = 1_234_567_891n;
    world.chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao }] });
    world.chain.finalize();
    await followDeposits(world.env);
    await stage.rate(437_123_456_789n);
    const credited = await Promise.all(Array.from({ length: 5 }, () => creditDeposits(world.env)));
    expect(credited.reduce((sum, n) => sum + n, 0)).toBe(1);
    expect(await cash(world.account)).toBe((rao * 437_123_456_789n) / TAO);
    expect(await db.listDeposits(world.handle, world.account, 10)).toMatchObject([
      { rao, state: 'credited', rate: 437_123_456_789n, nanousd: (rao * 437_123_456_789n) / TAO },
    ]);
    expect(await brokenBooks()).toEqual([]);
  });

  test('below the minimum it is dust; the minimum itself is not', async () => {
    const world = await begun();
    world.chain.produce({
      transfers: [
        { from: STRANGER, to: world.address, rao: 999_999n },
        { from: STRANGER, to: world.address, rao: 1_000_000n },
      ],
    });
    world.chain.finalize();
    await followDeposits(world.env);
    expect((await seen(world)).map((d) => d.state)).toEqual(['dust', 'seen']);
    expect(await creditDeposits(world.env)).toBe(1);
    expect(await cash(world.account)).toBe(RATE / 1_000n);
  });

  test('one that cannot be valued keeps no other from its credit', async () => {
    const world = await begun();
    world.chain.produce({
      transfers: [
        { from: STRANGER, to: world.address, rao: 2n * TAO },
        { from: STRANGER, to: world.address, rao: TAO / 10n },
      ],
    });
    world.chain.finalize();
    await followDeposits(world.env);
    // Two of these are more than the ledger takes at once.
    await stage.rate(90_000_000n * USD);
    expect(await creditDeposits(world.env)).toBe(1);
    expect(await cash(world.account)).toBe(9_000_000n * USD);
    expect((await seen(world)).map((d) => d.state)).toEqual(['seen', 'credited']);
    await stage.rate(RATE);
    expect(await creditDeposits(world.env)).toBe(1);
    expect(await cash(world.account)).toBe(9_000_000n * USD + 2n * RATE);
    expect(await brokenBooks()).toEqual([]);
  });

  test('a fork of a block that was credited is a different block', async () => {
    const world = await begun();
    const pay = { transfers: [{ from: STRANGER, to: world.address, rao: TAO }] };
    const fork = world.chain.best;
    const kept = world.chain.produce(pay);
    world.chain.produce({ ...pay, on: fork });
    world.chain.finalize(kept);
    await followDeposits(world.env);
    await creditDeposits(world.env);
    world.chain.grow(3);
    await followDeposits(world.env);
    await creditDeposits(world.env);
    expect(await cash(world.account)).toBe(RATE);
  });
});

test('without a fresh rate a deposit waits; an old one or one of the future values nothing', async () => {
  const lonely = await openStage();
  try {
    const world = await lonely.world();
    await followDeposits(world.env);
    const account = 'acc_waiting';
    const address = addressOf(account);
    await db.bindDepositAddress(world.handle, world.chain.genesis.hash, account, address);
    world.chain.produce({ transfers: [{ from: STRANGER, to: address, rao: TAO }] });
    world.chain.finalize();
    await followDeposits(world.env);
    await lonely.rate(RATE, 16 * 60_000);
    await lonely.rate(RATE, -60_000);
    expect(await creditDeposits(world.env)).toBe(0);
    expect(await db.listDeposits(world.handle, account, 10)).toMatchObject([{ state: 'seen', nanousd: null, rate: null }]);
    expect((await db.findHealth(world.handle)).deposits).toMatchObject({ cursor: 1 });
    await lonely.rate(RATE, 14 * 60_000);
    expect(await creditDeposits(world.env)).toBe(1);
    expect(await db.listDeposits(world.handle, account, 10)).toMatchObject([{ state: 'credited', nanousd: RATE, rate: RATE }]);
  } finally {
    await lonely.close();
    // The driver's endpoint is one for the whole process.
    await stage.world();
  }
});

test('a crash at every request of both errands: each deposit once, the books right', async () => {
  await stage.rate(RATE);
  const places = await crashEverywhere(stage.cutter, {
    async prepare() {
      const world = await begun();
      for (let i = 0; i < 4; i++) world.chain.produce({ transfers: [{ from: STRANGER, to: world.address, rao: TAO }] });
      world.chain.finalize();
      return world;
    },
    async run({ env }) {
      await followDeposits(env);
      await creditDeposits(env);
    },
    async check(world) {
      expect((await seen(world)).map((d) => d.state)).toEqual(['credited', 'credited', 'credited', 'credited']);
      expect(await cash(world.account)).toBe(4n * RATE);
      expect(await cursorOf(world)).toMatchObject({ number: 7 });
    },
  });
  expect(places).toBeGreaterThan(20);
  expect(await brokenBooks()).toEqual([]);
});
