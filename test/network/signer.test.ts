/** The signer under workerd, with its rows on disk: crons that come at once, and a process that dies in between. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeLeash } from '../../dev/leash.ts';
import { ROOT } from '../../dev/network.ts';
import { freePort, LOOPBACK } from '../../dev/ports.ts';
import { startWorker } from '../../dev/workerd.ts';
import type { PostReport } from '../../validator-cron/chain/post.ts';
import { control, NETUID, stage, WEIGHTS } from '../unit/chain/stage.ts';

const leash = makeLeash();
const SEED = '11'.repeat(32);
let folder: string | null = null;

afterAll(async () => {
  await leash.drop();
  if (folder !== null) await rm(folder, { recursive: true, force: true });
});

test('crons that come at once sign once, whatever dies in between; the seed is nowhere', async () => {
  const s = await stage({ commitReveal: true });
  folder = await mkdtemp(join(tmpdir(), 'ripcord-signer-'));
  const port = await freePort();
  const vars = {
    JUDGE_SEED: SEED,
    // The first node is away.
    CHAIN_URL: `http://127.0.0.1:1,${s.url}`,
    CHAIN_GENESIS: s.chain.genesis,
    NETUID: String(NETUID),
    BEACON_CHAIN: JSON.stringify(s.judge().ports.beacon),
  };
  const logFile = join(folder, 'signer.log');
  const wranglerToml = 'test/workerd/signer/wrangler.toml';
  const ask = { name: 'signer', root: ROOT, wranglerToml, vars, mayFetch: ['local' as const], port, folder, logFile };
  const signer = await startWorker(ask, leash, () => undefined);
  const post = async (epoch = 3_600): Promise<PostReport> => {
    const body = JSON.stringify({ epoch, weights: WEIGHTS, atMs: s.clock.ms });
    const reply = await fetch(`http://${LOOPBACK}:${port}`, { method: 'POST', body });
    return (await reply.json()) as PostReport;
  };

  // Taken and never included: what was signed is all that can come.
  await control(s.url, { drop: 1 });
  const crons = await Promise.all(Array.from({ length: 6 }, () => post()));
  const [first] = crons.filter(({ state }) => state === 'submitted');
  expect(crons.filter(({ why }) => why === 'another tick is posting')).toHaveLength(5);
  expect(first?.revealRound).toBeGreaterThan(0);

  await signer.stop('hard');
  await signer.start();
  expect(await post()).toMatchObject({ state: 'submitted', extrinsic: first?.extrinsic });
  expect([...s.chain.pool.keys()]).toEqual([first?.extrinsic]);
  s.grow(1);
  expect(await post()).toMatchObject({ state: 'confirmed', extrinsic: first?.extrinsic, block: 13, revealRound: first?.revealRound });

  // The shape of the runtime is known: no description is asked for again, and another runtime's is.
  await control(s.url, { spec: 430, changed: true });
  s.grow(10);

  expect(await post(7_200)).toMatchObject({ why: expect.stringMatching(/^runtime 430 is not one that is known/) as string });
  expect(await readFile(logFile, 'utf8')).not.toContain(SEED);
  await signer.stop();
});
