/** The chain as a process of its own: it makes blocks, and a start after a crash goes on where finality was. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { makeBeacon } from '../../dev/beacon/beacon.ts';
import { startChain } from '../../dev/chain/start.ts';
import { hotkeyOf } from '../../dev/hotkeys.ts';
import { makeLeash } from '../../dev/leash.ts';
import { TEST_BEACON } from '../harness/beacon.ts';
import { until } from '../harness/until.ts';

interface View {
  genesis: string;
  best: { number: number };
  finalized: { number: number; hash: string };
  neurons: { hotkey: string }[];
}

test('blocks come by themselves, and a crash loses none that was final', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ripcord-chain-'));
  const leash = makeLeash();
  const [judge, miner] = ['2', '3'].map((digit) => hotkeyOf(digit.repeat(64)).ss58);
  const ask = {
    folder,
    logFile: join(folder, 'log'),
    ownerSeed: '1'.repeat(64),
    judge: judge ?? '',
    // Nothing is committed here, so no pulse is asked for.
    beacon: { url: 'http://127.0.0.1:9', chain: makeBeacon(TEST_BEACON).chain },
    commitReveal: false,
    blockMs: 200,
  };
  const running = await startChain(ask, leash, () => undefined);
  try {
    const view = async () => (await (await fetch(running.url)).json()) as View;
    await running.register(miner ?? '');
    const before = await until('the registration is final', async () => {
      const now = await view();
      return now.finalized.number >= 2 && now.neurons.some(({ hotkey }) => hotkey === miner) ? now : null;
    });
    await running.part.stop('hard');
    await running.part.start();
    const after = await until('it makes blocks again', async () => {
      const now = await view();
      return now.best.number > before.finalized.number ? now : null;
    });
    expect([after.genesis, before.genesis]).toEqual([running.genesis, running.genesis]);
    expect(after.neurons.map(({ hotkey }) => hotkey)).toEqual(before.neurons.map(({ hotkey }) => hotkey));
    expect(after.neurons).toHaveLength(3);
  } finally {
    await running.part.stop('hard');
    await leash.drop();
    await rm(folder, { recursive: true, force: true });
  }
});
