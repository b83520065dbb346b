/** Money out to miners: begun, signed, sent at most once, and ended by what finalized blocks say, whatever crashes. */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getPublicKey, secretFromSeed } from '@scure/sr25519';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as db from '../../../db/index.ts';
import { ROOT } from '../../../dev/network.ts';
import { encodeSs58 } from '../../../functions/gate/ss58.ts';
import { runPayouts } from '../../../functions/payouts/run.ts';
import { askSigner } from '../../../functions/payouts/signer.ts';
import { RUN } from '../../../functions/payouts/terms.ts';
import { brokenOf } from '../books/books.ts';
import { earnPayable } from './earn.ts';
import { crashEverywhere, openStage, type Stage, type World } from './stage.ts';

const TAO = 1_000_000_000n;
const USD = 1_000_000_000n;
/** Nano-USD per TAO. */
const RATE = 400n * USD;

let stage: Stage;
let miners = 0;

beforeAll(async () => {
  stage = await openStage();
  await stage.rate(RATE);
});
afterEach(async () => {
  expect(await brokenOf(stage.books.d)).toEqual([]);
});
afterAll(() => stage.close());

interface Miner extends World {
  hotkey: string;
  /** Where it is paid to. */
  address: string;
}

/** The signer's wallet is full, and a miner has $100 payable. */
async function miner(kind: 'tao' | 'operator' = 'tao', payable = 100n * USD): Promise<Miner> {
  const wallet = encodeSs58(getPublicKey(secretFromSeed(new Uint8Array(32).fill(9))));
  const world = await stage.world({ [wallet]: 1_000n * TAO });
  expect(world.signer.address).toBe(wallet);
  world.chain.grow(10);
  const hotkey = encodeSs58(
    new Uint8Array(32)
      .fill(10)
      .with(0, miners & 0xff)
      .with(1, miners >> 8),
  );
  const address =
    kind === 'tao'
      ? encodeSs58(
          new Uint8Array(32)
            .fill(20)
            .with(0, miners & 0xff)
            .with(1, miners >> 8),
        )
      : 'IBAN of the miner';
  miners++;
  await earnPayable(world.handle, hotkey, payable);
  return { ...world, hotkey, address };
}

async function ask({ handle, hotkey, address }: Miner, nanousd = 100n * USD, adapter: 'tao' | 'operator' = 'tao'): Promise<string> {
  const id = crypto.randomUUID();
  expect(await db.insertPayout(handle, { id, hotkey, adapter, address, nanousd })).toBe(true);
  return id;
}

async function stateOf({ handle }: World, id: string): Promise<string | undefined> {
  return (await db.findPayout(handle, id))?.state;
}

async function eraOf({ handle }: World, id: string): Promise<{ birth: number; death: number }> {
  const payout = await db.findPayout(handle, id);
  return (payout ?? { attempt: {} }).attempt as { birth: number; death: number };
}

async function has({ handle, hotkey }: Miner): Promise<{ payable: bigint; inFlight: bigint; paid: bigint }> {
  const { payable, inFlight, paid } = await db.readEarnings(handle, hotkey);
  return { payable, inFlight, paid };
}

describe('in TAO', () => {
  test('all the way: the miner has it, and the books say so', async () => {
    const m = await miner();
    const id = await ask(m, 60n * USD);
    expect(await runPayouts(m.env)).toBe(2);
    expect(await stateOf(m, id)).toBe('submitted');
    expect(await has(m)).toEqual({ payable: 40n * USD, inFlight: 60n * USD, paid: 0n });
    m.chain.produce();
    // In a block, but not finalized.
    expect(await runPayouts(m.env)).toBe(0);
    expect(await stateOf(m, id)).toBe('submitted');
    m.chain.finalize();
    expect(await runPayouts(m.env)).toBe(1);
    expect(await stateOf(m, id)).toBe('paid');
    expect(await has(m)).toEqual({ payable: 40n * USD, inFlight: 0n, paid: 60n * USD });
    expect(m.chain.balance(m.address)).toBe((60n * TAO) / 400n);
    expect(m.chain.submitted).toHaveLength(1);
    expect(await runPayouts(m.env)).toBe(0);
  });

  test('the amount to send is rounded down, by the newest rate', async () => {
    const m = await miner();
    await stage.rate(333_333_333_337n);
    const id = await ask(m, 7_000_000_001n);
    await runPayouts(m.env);
    expect(await db.findPayout(m.handle, id)).toMatchObject({ rao: (7_000_000_001n * TAO) / 333_333_333_337n });
    m.chain.grow(1);
    await runPayouts(m.env);
    await stage.rate(RATE);
  });

  test('one at a time', async () => {
    const m = await miner();
    const asked = await Promise.all(
      Array.from({ length: 5 }, () =>
        db.insertPayout(m.handle, { id: crypto.randomUUID(), hotkey: m.hotkey, adapter: 'tao', address: m.address, nanousd: USD }),
      ),
    );
    expect(asked.filter(Boolean)).toHaveLength(1);
    await runPayouts(m.env);
    m.chain.grow(1);
    await runPayouts(m.env);
    await ask(m, USD);
    await runPayouts(m.env);
    m.chain.grow(1);
    await runPayouts(m.env);
    expect(await has(m)).toMatchObject({ paid: 2n * USD, inFlight: 0n });
  });

  test('what was forfeited since is not paid, and nothing moves', async () => {
    const m = await miner();
    const id = await ask(m);
    await db.forfeit(m.handle, { hotkey: m.hotkey, reason: 'cheated', ref: `forfeit-${id}` });
    await runPayouts(m.env);
    expect(await db.findPayout(m.handle, id)).toMatchObject({ state: 'failed', reason: 'less is payable by now', beginTransfer: null });
    expect(m.signer.asks.size).toBe(0);
  });

  test('a forfeit does not touch what is in flight', async () => {
    const m = await miner();
    await ask(m, 60n * USD);
    await runPayouts(m.env);
    expect(await db.forfeit(m.handle, { hotkey: m.hotkey, reason: 'cheated', ref: `forfeit-${m.hotkey}` })).toBe(40n * USD);
    m.chain.grow(1);
    await runPayouts(m.env);
    expect(await has(m)).toEqual({ payable: 0n, inFlight: 0n, paid: 60n * USD });
  });

  test('a transfer that the chain refuses is payable again', async () => {
    const m = await miner();
    const id = await ask(m);
    await runPayouts(m.env);
    m.chain.produce({ failing: true });
    m.chain.finalize();
    await runPayouts(m.env);
    expect(await db.findPayout(m.handle, id)).toMatchObject({ state: 'failed', reason: 'the chain refused the transfer' });
    expect(await has(m)).toEqual({ payable: 100n * USD, inFlight: 0n, paid: 0n });
    expect(m.chain.balance(m.address)).toBe(0n);
  });

  test('one that no block took is payable again only when none can take it any more', async () => {
    const m = await miner();
    const id = await ask(m);
    await runPayouts(m.env);
    const { birth, death } = await eraOf(m, id);
    m.chain.pool.clear();
    expect(m.chain.finalized.number).toBe(birth);
    m.chain.grow(death - 2 - birth);
    for (let i = 0; i < 3; i++) await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('submitted');
    m.chain.produce();
    await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('submitted');
    m.chain.finalize();
    expect(m.chain.finalized.number).toBe(death - 1);
    await runPayouts(m.env);
    expect(await db.findPayout(m.handle, id)).toMatchObject({ state: 'failed', reason: 'it was in no block while it was valid' });
    expect(await has(m)).toEqual({ payable: 100n * USD, inFlight: 0n, paid: 0n });
    expect(m.chain.submitted).toHaveLength(1);
  });

  test('one in the last block that could take it is paid', async () => {
    const m = await miner();
    const id = await ask(m);
    await runPayouts(m.env);
    const { birth, death } = await eraOf(m, id);
    for (let n = birth + 1; n < death - 1; n++) m.chain.produce({ withoutPool: true });
    m.chain.finalize();
    await runPayouts(m.env);
    m.chain.grow(1);
    expect(m.chain.finalized.number).toBe(death - 1);
    await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('paid');
    expect(m.chain.balance(m.address)).toBe(TAO / 4n);
  });

  test('in a block that is dropped, then in another: paid once', async () => {
    const m = await miner();
    const id = await ask(m);
    await runPayouts(m.env);
    const fork = m.chain.best;
    const [waiting] = m.chain.pool;
    m.chain.produce();
    await runPayouts(m.env);
    // The pool gives an extrinsic of a dropped block back.
    if (waiting !== undefined) m.chain.pool.set(...waiting);
    m.chain.produce({ on: fork, withoutPool: true });
    m.chain.produce();
    m.chain.finalize();
    await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('paid');
    expect(m.chain.balance(m.address)).toBe(TAO / 4n);
  });

  test('without a rate it waits', async () => {
    const lonely = await openStage();
    try {
      const world = await lonely.world();
      const hotkey = encodeSs58(new Uint8Array(32).fill(77));
      await earnPayable(world.handle, hotkey, USD);
      const m = { ...world, hotkey, address: hotkey };
      const id = await ask(m, USD);
      await lonely.rate(RATE, 16 * 60_000);
      expect(await runPayouts(world.env)).toBe(0);
      expect(await stateOf(m, id)).toBe('requested');
      expect(await has(m)).toEqual({ payable: USD, inFlight: 0n, paid: 0n });
    } finally {
      await lonely.close();
      await stage.world();
    }
  });
});

describe('signers and nodes', () => {
  test.each([
    ['is away', 503],
    ['is busy', 409],
  ])('a signer that %s: nothing is sent, and it goes on later', async (_, status) => {
    const m = await miner();
    const id = await ask(m);
    m.signer.refuses = status;
    await expect(runPayouts(m.env)).rejects.toThrow(String(status));
    expect(await stateOf(m, id)).toBe('begun');
    m.signer.refuses = null;
    await runPayouts(m.env);
    m.chain.grow(1);
    await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('paid');
  });

  test.each<[string, (m: Miner) => void, string]>([
    ['to another address', (m) => (m.signer.twist = { ask: (of) => ({ ...of, to: m.signer.address }) }), 'not the transfer'],
    ['of another amount', (m) => (m.signer.twist = { ask: (of) => ({ ...of, rao: `${of.rao}0` }) }), 'not the transfer'],
    ['with another hash', (m) => (m.signer.twist = { answer: (of) => ({ ...of, hash: `0x${'00'.repeat(32)}` }) }), 'its hash'],
    ['that lives longer than it says', (m) => (m.signer.twist = { answer: (of) => ({ ...of, death: of.death - 32 }) }), 'its era'],
    ['that lives too long', (m) => (m.signer.twist = { period: 1024 }), 'its era'],
    ['that is nonsense', (m) => (m.signer.twist = { answer: (of) => ({ ...of, extrinsic: 'x' }) }), 'no signed extrinsic'],
  ])('a transfer %s is not sent', async (_, twist, why) => {
    const m = await miner();
    const id = await ask(m);
    twist(m);
    await expect(runPayouts(m.env)).rejects.toThrow(why);
    expect(await stateOf(m, id)).toBe('begun');
    expect(m.chain.submitted).toEqual([]);
    expect(await db.confirmPayout(m.handle, id, 'paid in another way')).toBe(false);
    expect(await db.failPayout(m.handle, id, 'the signer is broken')).toBe(true);
    m.signer.twist = {};
    await runPayouts(m.env);
    expect(m.chain.submitted).toEqual([]);
    expect(await has(m)).toEqual({ payable: 100n * USD, inFlight: 0n, paid: 0n });
  });

  test('a transfer that was signed too long ago and never sent is payable again', async () => {
    const m = await miner();
    const id = await ask(m);
    // The signer has answered, the edge died before it stored that, and was away until the era was over.
    await askSigner(m.env, { id, to: m.address, rao: TAO / 4n });
    m.chain.grow(70);
    await runPayouts(m.env);
    expect(await db.findPayout(m.handle, id)).toMatchObject({ state: 'failed', reason: 'it was signed too long ago' });
    expect(m.chain.submitted).toEqual([]);
    expect(await has(m)).toEqual({ payable: 100n * USD, inFlight: 0n, paid: 0n });
  });

  test('one payout that cannot go on keeps no other from its turn', async () => {
    const [stuck, fine] = [await miner(), await miner('operator')];
    const first = await ask(stuck);
    const second = await ask(fine, USD, 'operator');
    stuck.signer.refuses = 503;
    await expect(runPayouts(stuck.env)).rejects.toThrow('503');
    expect(await stateOf(stuck, first)).toBe('begun');
    expect(await stateOf(fine, second)).toBe('submitted');
    stuck.signer.refuses = null;
    await runPayouts(stuck.env);
    stuck.chain.grow(1);
    await runPayouts(stuck.env);
    expect(await stateOf(stuck, first)).toBe('paid');
    await db.confirmPayout(fine.handle, second, 'ref');
  });

  test('a signer that does not answer is asked once in a run', async () => {
    let asked = 0;
    const silent = createServer((request) => {
      asked++;
      request.socket.destroy();
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const [one, two] = [await miner(), await miner()];
    const ids = [await ask(one), await ask(two)];
    const env = { ...two.env, PAYOUT_SIGNER_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` };
    await expect(runPayouts(env)).rejects.toThrow('the signer does not answer');
    expect(asked).toBe(1);
    await new Promise((resolve) => silent.close(resolve));
    for (const id of ids) {
      expect(await stateOf(two, id)).toBe('begun');
      expect(await db.failPayout(two.handle, id, 'no signer')).toBe(true);
    }
  });

  test('a node that is away: what was sent is looked up when it is back', async () => {
    const m = await miner();
    const id = await ask(m);
    await runPayouts(m.env);
    m.chain.grow(RUN.blocks + 3);
    await m.node.stop();
    await expect(runPayouts(m.env)).rejects.toThrow('does not answer');
    expect(await stateOf(m, id)).toBe('submitted');
    await m.node.start();
    m.node.keeps = 2;
    await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('paid');
  });

  test('runs at once send it once', async () => {
    const m = await miner();
    const id = await ask(m);
    await Promise.all(Array.from({ length: 6 }, () => runPayouts(m.env)));
    expect(m.chain.submitted).toHaveLength(1);
    m.chain.grow(1);
    await Promise.all(Array.from({ length: 6 }, () => runPayouts(m.env)));
    expect(await stateOf(m, id)).toBe('paid');
    expect(await has(m)).toEqual({ payable: 0n, inFlight: 0n, paid: 100n * USD });
  });
});

describe('by the operator', () => {
  test('confirmed with what proves it, once', async () => {
    const m = await miner('operator');
    const id = await ask(m, 30n * USD, 'operator');
    expect(await runPayouts(m.env)).toBe(2);
    expect((await db.listPayoutsByHand(m.handle, 100)).map((p) => p.id)).toContain(id);
    expect(await runPayouts(m.env)).toBe(0);
    const confirmed = await Promise.all(Array.from({ length: 4 }, () => db.confirmPayout(m.handle, id, 'bank 4711')));
    expect(confirmed.filter(Boolean)).toHaveLength(1);
    expect(await db.failPayout(m.handle, id, 'too late')).toBe(false);
    expect(await db.findPayout(m.handle, id)).toMatchObject({ state: 'paid', reason: 'bank 4711' });
    expect(await has(m)).toEqual({ payable: 70n * USD, inFlight: 0n, paid: 30n * USD });
    expect(m.signer.asks.size).toBe(0);
  });

  test('failed: payable again', async () => {
    const m = await miner('operator');
    const id = await ask(m, 30n * USD, 'operator');
    expect(await db.confirmPayout(m.handle, id, 'too early')).toBe(false);
    await runPayouts(m.env);
    expect(await db.failPayout(m.handle, id, 'account closed')).toBe(true);
    expect(await db.confirmPayout(m.handle, id, 'too late')).toBe(false);
    expect(await has(m)).toEqual({ payable: 100n * USD, inFlight: 0n, paid: 0n });
  });

  test('from the command: listed, confirmed, failed, refused', async () => {
    const books = (...args: string[]) =>
      new Promise<{ code: number; out: string; err: string }>((resolve) => {
        const env = { ...process.env, DATABASE_URL: stage.books.postgres.url };
        execFile(process.execPath, ['db/books.ts', ...args], { cwd: ROOT, env }, (error, out, err) =>
          resolve({ code: error === null ? 0 : Number(error.code), out, err }),
        );
      });
    const m = await miner('operator');
    const first = await ask(m, 30n * USD, 'operator');
    expect(JSON.parse((await books('payouts', '--json')).out)).toMatchObject({ by_hand: [], others: [{ id: first, state: 'requested' }] });
    expect(await books('payouts', 'confirm', first, '--reason', 'x')).toMatchObject({
      code: 1,
      err: expect.stringContaining('not for you'),
    });
    await runPayouts(m.env);
    expect((await books('payouts')).out).toMatch(new RegExp(`30\\.00  ${first}  ${m.hotkey}  IBAN of the miner`));
    expect(await books('payouts', 'confirm', first, '--reason', 'bank 12', '--json')).toMatchObject({
      code: 0,
      out: `${JSON.stringify({ payout: first, hotkey: m.hotkey, state: 'paid', nanousd: String(30n * USD), reason: 'bank 12' })}\n`,
    });
    expect((await books('payouts', 'confirm', first, '--reason', 'bank 12')).code).toBe(1);
    const second = await ask(m, 20n * USD, 'operator');
    await runPayouts(m.env);
    expect(await books('payouts', 'fail', second, '--reason', 'no such account')).toMatchObject({
      code: 0,
      out: `20.00 USD of ${m.hotkey} are payable again.\n`,
    });
    expect(await has(m)).toEqual({ payable: 70n * USD, inFlight: 0n, paid: 30n * USD });
    expect((await books('payouts', 'fail', 'x', '--reason', 'y')).code).toBe(2);
    expect((await books('payouts', 'fail', crypto.randomUUID(), '--reason', 'y')).err).toContain('There is no payout');
  });

  test('has no say over what the chain decides', async () => {
    const m = await miner();
    const id = await ask(m);
    await runPayouts(m.env);
    expect(await db.confirmPayout(m.handle, id, 'x')).toBe(false);
    expect(await db.failPayout(m.handle, id, 'x')).toBe(false);
    m.chain.grow(1);
    await runPayouts(m.env);
    expect(await stateOf(m, id)).toBe('paid');
  });
});

describe('addresses', () => {
  const HOUR = 3_600_000;
  let hotkeys = 0;
  const A = { kind: 'tao' as const, address: '5A' };
  const B = { kind: 'tao' as const, address: '5B' };
  const C = { kind: 'operator' as const, address: '5A' };

  /** A hotkey whose wishes were made so many hours ago; the first was in force at once. */
  async function wished(...wishes: [hoursAgo: number, of: db.PayoutAddress | typeof A | typeof C][]): Promise<string> {
    const hotkey = `5Wish${hotkeys++}`;
    for (const [i, [hoursAgo, of]] of wishes.entries())
      await stage.books.sql(
        `insert into payout_addresses (id, hotkey, kind, address, requested_at, active_at)
          select gen_random_uuid(), $1, $2, $3, at, at + $5 * interval '1 hour' from (select now() - $4 * interval '1 hour' as at) t`,
        [hotkey, of.kind, of.address, hoursAgo, i === 0 ? 0 : 72],
      );
    return hotkey;
  }
  const find = async (hotkey: string) => {
    const { active, waiting } = await db.findPayoutAddresses(handle(), hotkey);
    return [active?.address ?? null, waiting?.address ?? null];
  };
  const wish = (hotkey: string, of: typeof A | typeof C) => db.askPayoutAddress(handle(), { id: crypto.randomUUID(), hotkey, ...of });
  const handle = () => stage.books.d;

  test('none, the first at once, the next after 72 hours', async () => {
    const hotkey = await wished();
    expect(await find(hotkey)).toEqual([null, null]);
    expect(await wish(hotkey, A)).toBe(true);
    expect(await find(hotkey)).toEqual(['5A', null]);
    expect(await wish(hotkey, B)).toBe(true);
    expect(await find(hotkey)).toEqual(['5A', '5B']);
    const { waiting } = await db.findPayoutAddresses(handle(), hotkey);
    const left = (waiting?.activeAt.getTime() ?? 0) - Date.now();
    expect(left).toBeGreaterThan(72 * HOUR - 60_000);
    expect(left).toBeLessThanOrEqual(72 * HOUR);
  });

  test.each<[string, Parameters<typeof wished>, (string | null)[]]>([
    [
      'a change that is not over',
      [
        [100, A],
        [71.9, B],
      ],
      ['5A', '5B'],
    ],
    [
      'a change that is over',
      [
        [100, A],
        [72.1, B],
      ],
      ['5B', null],
    ],
    [
      'two changes, the first in force before the second was wished',
      [
        [300, A],
        [200, B],
        [100, A],
      ],
      ['5A', null],
    ],
    [
      'a thief’s wish that the miner took back in time',
      [
        [200, A],
        [80, B],
        [40, A],
      ],
      ['5A', null],
    ],
    [
      'a thief’s wish that nobody took back',
      [
        [200, A],
        [80, B],
      ],
      ['5B', null],
    ],
    [
      'a wish that took the place of another',
      [
        [200, A],
        [80, B],
        [20, C],
      ],
      ['5A', '5A'],
    ],
  ])('%s', async (_, wishes, found) => {
    expect(await find(await wished(...wishes))).toEqual(found);
  });

  test('the same wish again changes nothing, and the wait does not begin anew', async () => {
    const hotkey = await wished([100, A], [50, B]);
    expect(await wish(hotkey, B)).toBe(true);
    expect(await wish(hotkey, B)).toBe(true);
    expect(await stage.books.sql('select 1 from payout_addresses where hotkey = $1', [hotkey])).toHaveLength(2);
  });

  test('whoever floods wishes does not keep the miner from taking them back', async () => {
    const hotkey = await wished([100, A]);
    const floods = [];
    for (let i = 0; i < 15; i++) floods.push(await wish(hotkey, { kind: 'tao', address: `5Thief${i}` }));
    expect(floods.filter(Boolean)).toHaveLength(10);
    expect(await find(hotkey)).toEqual(['5A', '5Thief9']);
    expect(await wish(hotkey, A)).toBe(true);
    expect(await find(hotkey)).toEqual(['5A', null]);
    expect(await wish(hotkey, B)).toBe(false);
  });
});

test('a crash at every request of a payout: sent at most once, and the miner has exactly what the books say', async () => {
  const places = await crashEverywhere(stage.cutter, {
    async prepare() {
      const m = await miner();
      return { ...m, id: await ask(m) };
    },
    async run(m) {
      await runPayouts(m.env);
      m.chain.grow(2);
      await runPayouts(m.env);
      m.chain.grow(2);
      await runPayouts(m.env);
    },
    async check(m) {
      // What was stored and never arrived dies with its era.
      if ((await stateOf(m, m.id)) === 'submitted') {
        m.chain.grow(70);
        for (let i = 0; i < 3; i++) await runPayouts(m.env);
      }
      const state = await stateOf(m, m.id);
      expect(['paid', 'failed']).toContain(state);
      expect(m.chain.balance(m.address)).toBe(state === 'paid' ? TAO / 4n : 0n);
      expect(await has(m)).toEqual(
        state === 'paid' ? { payable: 0n, inFlight: 0n, paid: 100n * USD } : { payable: 100n * USD, inFlight: 0n, paid: 0n },
      );
      expect(m.chain.submitted.length).toBeLessThanOrEqual(1);
      expect(await db.checkBooks(stage.books.d, 'I15')).toMatchObject([{ broken: 0 }]);
    },
  });
  expect(places).toBeGreaterThan(30);
});
