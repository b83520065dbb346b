/** An edge that holds as many agents as it can: it says so before its descriptors run out, and keeps those it has. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHotkeyFile } from '../../miner-agent/identity/hotkey.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;

beforeAll(async () => {
  network = await startNetwork({ agents: 1, maxAgents: 1 });
});

afterAll(() => network.close());

function challenge(hotkey: string, name: string): Promise<Response> {
  return network.request('/agents/challenge', { body: { hotkey, name } });
}

test('one agent too many is refused with a time to come back', async () => {
  const stranger = createHotkeyFile(join(mkdtempSync(join(tmpdir(), 'ripcord-hotkey-')), 'hotkey'));
  const reply = await challenge(stranger.ss58, 'one-too-many');
  expect(reply.status).toBe(429);
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThanOrEqual(10);
  expect(await reply.json()).toMatchObject({ code: 'rate_limited', hint: 'Try again later.' });
});

test('an agent that is here comes back after its connection went', async () => {
  network.agent(0).crash();
  await until(
    'the agent serves again',
    async () => {
      const reply = await network.request('/v1/chat/completions', {
        body: { model: 'demo/chat', max_tokens: 2, messages: [{ role: 'user', content: 'hello' }] },
      });
      await reply.arrayBuffer();
      return reply.status === 200;
    },
    { deadlineMs: 60_000 },
  );
});
