/** Only registered hotkeys mine: who is not on the subnet is told what to do, who comes onto it is let in, who loses its place is let go. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ITEMS } from '../../dev/chain/state.ts';
import { CLOSE } from '../../functions/protocol/close.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { newHotkey, RawAgent } from '../hostile/raw-agent.ts';
import { control, NETUID, scene, type Stage } from '../unit/chain/stage.ts';

let chain: Stage & { close: () => Promise<void> };
let network: TestNetwork;

beforeAll(async () => {
  chain = await scene({ commitReveal: false });
  const vars = { CHAIN_URL: chain.url, CHAIN_GENESIS: chain.chain.genesis, NETUID: String(NETUID), OPEN_MINING: '0' };
  network = await startNetwork({ agents: 0, chutes: [], vars });
});

afterAll(async () => {
  await network.close();
  await chain.close();
});

const challenge = (hotkey: string) => network.request('/agents/challenge', { body: { hotkey, name: 'rig' } });
const errands = async () => ((await (await network.cron()).json()) as { errands: Record<string, unknown> }).errands;

test('registered hotkeys only, as the finalized chain has them', async () => {
  const hotkey = newHotkey();
  expect((await challenge(hotkey.ss58)).status).toBe(503);
  expect(await errands()).toMatchObject({ neurons: 4 });
  const stranger = await challenge(hotkey.ss58);
  expect(stranger.status).toBe(403);
  expect(await stranger.json()).toMatchObject({
    code: 'hotkey_not_registered',
    detail: `This hotkey is not registered on subnet ${NETUID}.`,
    hint: expect.stringContaining(`btcli subnet register --netuid ${NETUID}`) as string,
  });

  chain.chain.enlist({ hotkey: hotkey.ss58 });
  chain.grow(1);
  expect(await errands()).toMatchObject({ neurons: 5 });
  expect((await challenge(hotkey.ss58)).status).toBe(200);
  const agent = await RawAgent.greeted(network.api, hotkey);

  // A node that is away takes nobody's place.
  await control(chain.url, { fault: 'busy' });
  expect(await errands()).toMatchObject({ neurons: 'failed' });
  await control(chain.url, { fault: null });

  const other = newHotkey().ss58;
  chain.chain.schedule(({ state }) => {
    state.remove(ITEMS.uids, [NETUID, hotkey.ss58]);
    state.set(ITEMS.uids, [NETUID, other], 4);
    state.set(ITEMS.keys, [NETUID, 4], other);
  });
  chain.grow(1);
  expect(await errands()).toMatchObject({ neurons: 5 });
  expect(await agent.closed).toBe(CLOSE.goaway);
  expect((await challenge(hotkey.ss58)).status).toBe(403);
  expect((await challenge(other)).status).toBe(200);
});
