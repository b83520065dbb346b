/** Several judges with keys of their own, one of them hostile: a device works once for all of them, and only the gate's set shuts a gate. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { judgeSeed } from '../../dev/network.ts';
import { slotOf, type Verdict } from '../../functions/protocol/challenge/index.ts';
import { makeBench, type Bench } from '../../validator-cron/bench.ts';
import { readConfig } from '../../validator-cron/config.ts';
import { tick } from '../../validator-cron/tick.ts';
import { startNetwork, type TestNetwork } from '../harness/network.ts';
import { slotWithRoom } from '../harness/slot.ts';
import { until } from '../harness/until.ts';

let network: TestNetwork;
/** Of the gate; with a permit on the chain; with one, and malicious; with none. */
let gate: Bench;
let third: Bench;
let hostile: Bench;
let nobody: Bench;

beforeAll(async () => {
  network = await startNetwork();
  gate = judgeWith(judgeSeed(network.folder.state.edgeSecret));
  [third, hostile, nobody] = [judgeWith('a1'.repeat(32)), judgeWith('b2'.repeat(32)), judgeWith('c3'.repeat(32))];
  await permit(third, hostile);
});
afterAll(() => network?.close());

function judgeWith(seed: string): Bench {
  const env = { API_ORIGIN: network.api, JUDGE_SEED: seed, API_KEY: network.key, EPOCH_SECONDS: '60', NETWORK: 'development' };
  const beacon = { chain: network.beacon.chain, pulse: async (round: number) => network.beacon.pulse(round) };
  return { ...makeBench(readConfig(env), null, new AbortController().signal), beacon };
}

/** As the edge would read it from the chain. */
async function permit(...judges: Bench[]): Promise<void> {
  const client = new pg.Client({ connectionString: network.databaseUrl });
  await client.connect();
  for (const [uid, { config }] of judges.entries())
    await client.query(
      `insert into neurons (uid, hotkey, coldkey, permit, stake, incentive, emission, registered_block) values ($1, $2, $2, true, 1, 0, 0, 1)`,
      [uid, config.hotkey.ss58],
    );
  await client.end();
}

const verdictsOf = async (judge: Bench, slot: number) => judge.feed.verdicts({ from: slot, to: slot + 1 });

test('judges ask for the same and the device works once; they come to the same verdicts', async () => {
  const targets = await gate.feed.targets();
  const asks = targets.flatMap(({ target, kinds = [] }) => kinds.map((kind) => ({ kind, target })));
  const slot = await slotWithRoom(gate);
  const states = await Promise.all([gate, third, hostile].map((judge) => judge.feed.ask(slot, asks)));
  for (const at of asks.keys()) expect(states.filter((of) => of[at] === 'started')).toHaveLength(1);

  const judged = await until('both honest judges have judged', async () => {
    await Promise.all([gate, third].map((judge) => tick(judge, Date.now())));
    const both = await Promise.all([gate, third].map((judge) => verdictsOf(judge, slot)));
    return both.every((of) => of.length === asks.length) ? both : null;
  });
  expect(judged[0]).toEqual(judged[1]);
  expect(new Set(judged[0]?.map((v) => v.reason))).toEqual(new Set(['proven']));
  expect(await gate.feed.transcripts({ from: slot, to: slot + 1 })).toHaveLength(asks.length);
});

test('a hostile judge is heard and shuts nothing', async () => {
  const { hotkey } = network.agent(0);
  const [item] = await gate.feed.transcripts({ from: 0, to: slotOf(gate.config.suite, Date.now()) + 1 });
  const { id, kind, target } = item ?? expect.fail('there is a transcript');
  const lie: Verdict = { id, kind, target, hotkey, reason: 'wrong_leaf', elapsed_ms: 1, rate: null, class: null, wrong: null };
  await hostile.feed.postVerdicts([lie]);

  const page = (await (await network.request(`/miners/${hotkey}/verdicts`)).json()) as {
    gated: unknown;
    items: (Verdict & { judge: string })[];
  };
  expect(page.gated).toBeNull();
  expect(page.items.filter((v) => v.id === id).map((v) => [v.judge, v.reason])).toContainEqual([hostile.config.hotkey.ss58, 'wrong_leaf']);
  expect(page.items.filter((v) => v.judge === gate.config.hotkey.ss58 && v.reason !== 'proven')).toEqual([]);
  const body = { model: 'demo/chat', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 2 };
  expect((await network.request('/v1/chat/completions', { body })).status).toBe(200);
});

test('what a judge said first stands, and nobody else can say anything', async () => {
  const { hotkey } = network.agent(0);
  const [item] = await gate.feed.transcripts({ from: 0, to: slotOf(gate.config.suite, Date.now()) + 1 });
  const { id, kind, target, slot } = item ?? expect.fail('there is a transcript');
  const other: Verdict = { id, kind, target, hotkey, reason: 'wrong_leaf', elapsed_ms: 1, rate: null, class: null, wrong: null };
  await third.feed.postVerdicts([other]);
  expect((await verdictsOf(third, slot)).find((v) => v.id === id)?.reason).toBe('proven');
  await expect(nobody.feed.postVerdicts([other])).rejects.toThrow('403');
  await expect(nobody.feed.ask(slot, [{ kind, target }])).rejects.toThrow('403');
});
