/** An agent makes room for the next one on the same data folder: what runs is finished, what comes is served, nothing fails. */
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployEcho, type Echo } from '../harness/echo.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { Rig } from '../harness/rig.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
let rig: Rig;
let echo: Echo;
beforeAll(async () => {
  network = await startNetwork({ agents: 0, chutes: [] });
  rig = new Rig(network, 'rig', { config: 'drain_seconds = 60\n[allow]\naccounts = ["demo"]' });
});
afterAll(async () => {
  await rig?.end();
  await network?.close();
});

test('SIGTERM while a call runs and the next agent started at once: it waits, then serves; no call fails', async () => {
  const old = rig.up();
  echo = await deployEcho(network);
  const held = network.request(echo.at('/hold?tag=long&ms=60000'));
  await echo.has('long');

  old.kill('SIGTERM');
  await until('it drains', () => rig.said().includes('"event":"drain"'));
  const next = rig.up();
  await until('the next one waits', () => rig.said().includes('starts when its calls have ended'));
  // The old one takes no calls any more: this one waits for the new.
  const queued = network.request(echo.at('/hold?tag=next&ms=1'));
  await echo.release('long');
  expect((await held).status).toBe(200);
  expect(await once(old, 'exit')).toEqual([0, null]);
  expect([(await queued).status, next.exitCode]).toEqual([200, null]);

  // Beside one that stays, another of its version may not run.
  const third = rig.up();
  expect(await once(third, 'exit')).toEqual([1, null]);
  expect(rig.said()).toMatch(/another agent \(pid \d+\) uses .*; end it with ripcord-miner drain/);
  next.kill('SIGTERM');
  expect(await once(next, 'exit')).toEqual([0, null]);
});
