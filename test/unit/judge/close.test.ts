/** Epochs of a judge from closed evidence to the chain: cut off, run twice, behind, and told to wait. */
import { expect, test } from 'vitest';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import { DEVELOPMENT } from '#protocol/challenge/index.ts';
import { summarySchema, type CommitEpoch, type EvidenceHead, type Posted } from '#protocol/epoch.ts';
import { makeBench, type Bench } from '../../../validator-cron/bench.ts';
import type { PostReport } from '../../../validator-cron/chain/post.ts';
import { readConfig } from '../../../validator-cron/config.ts';
import { EdgeError } from '../../../validator-cron/edge/request.ts';
import { PATIENCE } from '../../../validator-cron/epochs/due.ts';
import { doEpochs } from '../../../validator-cron/epochs/step.ts';
import { BEACON } from './stand-in-beacon.ts';

/** What the edge would keep, in memory. */
class Shelf {
  readonly evidence = new Map<number, Uint8Array>();
  readonly files = new Map<string, string>();
  readonly commits = new Map<number, CommitEpoch>();
  readonly posts: Posted[] = [];
  /** Epochs in the order in which their weights were brought to the chain. */
  readonly asked: number[] = [];
  /** Fails the commitment that comes next. */
  failure: Error | null = null;
  report: PostReport = { state: 'submitted', why: 'sent' };

  close(epoch: number, of: Partial<EvidenceHead> = {}): void {
    const sha = sha256Of(canonicalJson(DEVELOPMENT));
    const head = {
      t: 'head',
      v: 1,
      epoch,
      seconds: 60,
      suite: 'development',
      suite_sha256: sha,
      previous: '0'.repeat(64),
      beacon: BEACON.chain.hash,
      ...of,
    };
    const neuron = { t: 'neuron', uid: 0, hotkey: '5'.repeat(48), coldkey: '5'.repeat(48), permit: true };
    this.evidence.set(epoch, new TextEncoder().encode(`${canonicalJson(head)}\n${canonicalJson(neuron)}\n`));
  }

  bench(): Bench {
    const env = { API_ORIGIN: 'http://edge.test', JUDGE_SEED: '11'.repeat(32), NETWORK: 'development', EPOCH_SECONDS: '60' };
    const made = makeBench(readConfig(env), null, new AbortController().signal);
    return {
      ...made,
      beacon: BEACON,
      edge: { ...made.edge, observations: async () => [], postScores: async () => undefined },
      feed: {
        ...made.feed,
        epochs: async () =>
          [...this.evidence.keys()]
            .toSorted((a, b) => b - a)
            .map((epoch) => ({ epoch, state: 'open' as const, hash: 'aa', weights_block: null })),
        judgement: async (epoch) => {
          const own = this.commits.get(epoch);
          const posted = this.posts.find((post) => post.epoch === epoch);
          const { extrinsic = null, block = null } = posted ?? {};
          return own === undefined ? null : { judge: 'me', weights: own.weights, extrinsic, block, reveal_round: null };
        },
        evidence: async (epoch) => this.evidence.get(epoch) ?? expect.fail(),
        verdicts: async () => [],
        summary: async (epoch) => {
          const commit = this.commits.get(epoch);
          if (commit === undefined) throw new EdgeError(`/epochs/${epoch}/judges/me/summary`, 404);
          return summarySchema.parse(JSON.parse(this.files.get(commit.summary) ?? ''));
        },
        putFile: async (_, __, text) => void this.files.set(sha256Of(text), text),
        commit: async (commit) => {
          const { failure } = this;
          this.failure = null;
          if (failure !== null) throw failure;
          if (!this.commits.has(commit.epoch)) this.commits.set(commit.epoch, commit);
        },
        posted: async (posted) => void this.posts.push(posted),
      },
      post: async ({ epoch }) => {
        this.asked.push(epoch);
        return this.report;
      },
    };
  }
}

const AT = 1_800_000;
const step = (shelf: Shelf) => doEpochs(shelf.bench(), AT);
/** As a tick that began before another one committed. */
const closing = async (shelf: Shelf) => {
  const bench = shelf.bench();
  let asked = 0;
  const late = { ...bench.feed, judgement: async (epoch: number) => (asked++ === 0 ? null : bench.feed.judgement(epoch)) };
  return (await doEpochs({ ...bench, feed: late }, AT)).closed;
};

test('a closed epoch is committed to with its files, and its weights go to the chain', async () => {
  const shelf = new Shelf();
  shelf.close(60);
  const done = await step(shelf);
  expect(done).toMatchObject({ closed: [{ epoch: 60, state: 'committed' }], weights: { epoch: 60, state: 'submitted' } });
  const commit = shelf.commits.get(60) ?? expect.fail();
  expect([shelf.files.has(commit.findings), shelf.files.has(commit.summary)]).toEqual([true, true]);
  expect(commit.evidence).toBe(sha256Of(shelf.evidence.get(60) ?? new Uint8Array()));
  expect(commit.weights).toEqual({ uids: [0], values: [65_535] });
});

test.each<Partial<EvidenceHead>>([{ epoch: 120 }, { suite: 'mainnet' }, { suite_sha256: '0'.repeat(64) }, { beacon: '0'.repeat(64) }])(
  'evidence with %j is not signed for',
  async (wrong) => {
    const shelf = new Shelf();
    shelf.close(60, wrong);
    await expect(step(shelf)).rejects.toThrow(`the evidence has ${Object.keys(wrong)[0]} `);
    expect(shelf.commits.size).toBe(0);
  },
);

test('each summary names the one before', async () => {
  const shelf = new Shelf();
  for (const epoch of [60, 120]) {
    shelf.close(epoch);
    await step(shelf);
  }
  const [first, second] = [60, 120].map((epoch) => shelf.commits.get(epoch)?.summary ?? '');
  expect(JSON.parse(shelf.files.get(second ?? '') ?? '{}')).toMatchObject({ epoch: 120, previous: first });
});

test('a judge that was away goes through what it missed, oldest first, a few in a tick', async () => {
  const shelf = new Shelf();
  for (let epoch = 60; epoch <= 300; epoch += 60) shelf.close(epoch);
  const closed = [await step(shelf), await step(shelf), await step(shelf)].map((done) => done.closed.map((of) => of.epoch));
  expect(closed).toEqual([[60, 120], [180, 240], [300]]);
  expect((await step(shelf)).closed).toEqual([]);
});

test('one whose evidence is lost is waited for, and passed over when others wait behind it; it does not come in between later', async () => {
  const shelf = new Shelf();
  for (let epoch = 60; epoch <= 60 * PATIENCE; epoch += 60) shelf.close(epoch);
  const evidence = shelf.evidence.get(60) ?? expect.fail();
  shelf.evidence.set(60, new Uint8Array());
  await expect(step(shelf)).rejects.toThrow('the head is expected');
  shelf.close(60 * (PATIENCE + 1));
  expect((await step(shelf)).closed).toMatchObject([
    { epoch: 60, state: 'passed', why: expect.stringContaining('the head is expected') },
    { epoch: 120, state: 'committed' },
    { epoch: 180, state: 'committed' },
  ]);
  shelf.evidence.set(60, evidence);
  expect((await step(shelf)).closed.map(({ epoch }) => epoch)).toEqual([240, 300]);
});

test('a tick that is cut off says nothing half; the next one says the same', async () => {
  const shelf = new Shelf();
  shelf.close(60);
  shelf.failure = new EdgeError('/audit/epochs', 503);
  await expect(step(shelf)).rejects.toThrow('503');
  const files = [...shelf.files.keys()];
  expect((await step(shelf)).closed).toMatchObject([{ epoch: 60, state: 'committed' }]);
  expect([...shelf.files.keys()]).toEqual(files);
});

test('another tick was first: its word stands, and nothing breaks', async () => {
  const shelf = new Shelf();
  shelf.close(60);
  shelf.failure = new EdgeError('/audit/epochs', 409, 'already_committed');
  shelf.commits.set(60, { epoch: 60, evidence: '', findings: '', summary: '', weights: { uids: [7], values: [65_535] } });
  expect(await closing(shelf)).toMatchObject([{ epoch: 60, state: 'committed', weights: { uids: [7] } }]);
});

test('of the summaries before, the newest is whole: what devices proved lasts on', async () => {
  const shelf = new Shelf();
  const rates = [{ target: 'agt/d', rate: 5, rate_slot: 50, memory_mb: 0, memory_slot: 0, class: 'cpu' }];
  const whole = ['proven', 'use', 'tests', 'tests_ok', 'calls', 'calls_ok', 'latency', 'timed'];
  const miner = { hotkey: '5'.repeat(48), entity: '5'.repeat(48), ...Object.fromEntries(whole.map((name) => [name, 0])) };
  for (const epoch of [60, 120]) {
    shelf.close(epoch);
    await step(shelf);
  }
  const commit = shelf.commits.get(120) ?? expect.fail();
  const summary: object = JSON.parse(shelf.files.get(commit.summary) ?? '{}');
  shelf.files.set(commit.summary, canonicalJson({ ...summary, miners: [{ ...miner, proven: '0', use: '0', clean: true, rates }] }));
  shelf.close(180);
  await step(shelf);
  expect(shelf.files.get(shelf.commits.get(180)?.summary ?? '')).toContain('"target":"agt/d"');
});

test('what the chain shows is told once; what must wait is asked again, the newest first', async () => {
  const shelf = new Shelf();
  for (const epoch of [60, 120, 180]) shelf.close(epoch);
  shelf.report = { state: 'waiting', why: 'too soon' };
  await step(shelf);
  await step(shelf);
  shelf.asked.length = 0;
  expect((await step(shelf)).weights).toEqual({ epoch: 180, state: 'waiting', why: 'too soon' });
  expect(shelf.asked).toEqual([180, 120]);

  shelf.report = { state: 'confirmed', why: 'there', extrinsic: `0x${'ab'.repeat(32)}`, block: 9 };
  await step(shelf);
  expect(shelf.posts).toEqual([180, 120].map((epoch) => ({ epoch, extrinsic: `0x${'ab'.repeat(32)}`, block: 9, reveal_round: null })));
  shelf.asked.length = 0;
  expect((await step(shelf)).weights).toBeNull();
  expect(shelf.asked).toEqual([]);
});

test('a refusal of the chain is told and committed epochs stand', async () => {
  const shelf = new Shelf();
  shelf.close(60);
  shelf.report = { state: 'refused', why: 'no permit' };
  expect(await step(shelf)).toMatchObject({ closed: [{ state: 'committed' }], weights: { state: 'refused', why: 'no permit' } });
});

test('the network of these tests is the one whose epochs they are', () => {
  expect(new Shelf().bench().config.suite).toBe(DEVELOPMENT);
});
