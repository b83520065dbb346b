/**
 * Judges an epoch whose evidence is closed: the verdicts that are missing, then findings, summary and weights, then its word for them.
 * The files are put under their hashes first, so a tick that is cut off leaves nothing half said, and the next one says the same.
 */
import { FULL_SCORE, FULL_SHARE, type Score } from '#protocol/audit.ts';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import type { CommitEpoch, Summary, Weights } from '#protocol/epoch.ts';
import type { Bench } from '../bench.ts';
import { EdgeError } from '../edge/request.ts';
import type { EpochItem } from '../edge/feed.ts';
import { assemble, FileError, readEvidence, type Assembled, type Evidence } from '../epoch.ts';
import { fanOut } from '../fan-out.ts';
import { SCORING } from '../score/parameters.ts';
import type { MinerScore } from '../score/score.ts';
import { judgeOpen } from '../challenges/share.ts';
import { callsOf } from './calls.ts';
import { windowOf } from './due.ts';

/** `unjudged`: so many verdicts are still missing, so many were given now. */
export type Closed =
  | { epoch: number; state: 'committed'; weights: Weights }
  | { epoch: number; state: 'unjudged'; left: number; judged: number };

/** Throws `EdgeError`, `BeaconError` or `FileError`. */
export async function closeEpoch(bench: Bench, epochs: readonly EpochItem[], epoch: number, round: number): Promise<Closed> {
  const { feed } = bench;
  const evidence = readEvidence(await feed.evidence(epoch));
  checkHead(evidence, epoch, bench);
  const { left, judged } = await judgeMissing(bench, evidence);
  if (left > 0) return { epoch, state: 'unjudged', left, judged };
  const assembled = await assembleOf(bench, epochs, evidence);
  await feed.putFile(epoch, 'findings', assembled.findings.text);
  await feed.putFile(epoch, 'summary', assembled.summary.text);
  const { findings, summary } = assembled;
  const said = { epoch, evidence: evidence.sha256, findings: findings.sha256, summary: summary.sha256, weights: assembled.weights };
  const weights = await committed(bench, said);
  await bench.edge.postScores(assembled.scores.map((score) => scoreOf(score, { epoch, round })));
  return { epoch, state: 'committed', weights };
}

/** What is signed must follow for outsiders too: they take the suite and the beacon from the evidence. Throws `FileError`. */
function checkHead({ head }: Evidence, epoch: number, { beacon, config: { suite } }: Bench): void {
  const due = { epoch, suite: suite.name, suite_sha256: sha256Of(canonicalJson(suite)), beacon: beacon.chain.hash };
  const wrong = (['epoch', 'suite', 'suite_sha256', 'beacon'] as const).find((name) => head[name] !== due[name]);
  if (wrong !== undefined)
    throw new FileError(
      `the evidence has ${wrong} ${head[wrong]}, this judge goes by ${due[wrong]}: check NETWORK and BEACON_CHAIN, or update`,
    );
}

function scoreOf(of: MinerScore, at: { epoch: number; round: number }): Score {
  const { hotkey, share, capacity, use, quality, tests, calls, latency, clean } = of;
  const parts = { share, capacity, use, quality, tests, calls, latency, clean };
  return { hotkey, ...at, score: Math.floor(share / (FULL_SHARE / FULL_SCORE)), parts };
}

/** How many got their verdict now, and how many are still without one. */
async function judgeMissing(bench: Bench, evidence: Evidence): Promise<{ left: number; judged: number }> {
  const { transcripts } = evidence;
  const judged = new Set((await verdictsOf(bench, evidence)).map((v) => v.id));
  if (transcripts.every((t) => judged.has(t.id))) return { left: 0, judged: 0 };
  return judgeOpen(bench, transcripts, judged);
}

async function verdictsOf({ feed }: Bench, { transcripts }: Evidence) {
  const slots = transcripts.map((t) => t.slot);
  if (slots.length === 0) return [];
  return feed.verdicts({ from: Math.min(...slots), to: Math.max(...slots) + 1 });
}

async function assembleOf(bench: Bench, epochs: readonly EpochItem[], evidence: Evidence): Promise<Assembled> {
  const { suite } = bench.config;
  const scoring = SCORING[suite.name];
  const { epoch, seconds } = evidence.head;
  const [verdicts, observations, previous] = await Promise.all([
    verdictsOf(bench, evidence),
    bench.edge.observations(epoch),
    summariesOf(bench, windowOf(epochs, epoch, scoring.window, seconds)),
  ]);
  const chutes = new Map(evidence.instances.map((line) => [line.instance, line.chute]));
  const calls = callsOf(observations, (instance) => chutes.get(instance) ?? null);
  return assemble({ evidence, verdicts, calls, previous, suite, scoring });
}

/**
 * This judge's, oldest first. What devices proved is in each and needed of the newest alone: without it a week of them fits into the memory
 * of a Worker.
 */
async function summariesOf(bench: Bench, epochs: readonly number[]): Promise<Summary[]> {
  const read = await fanOut(epochs, async (epoch) => {
    const summary = await summaryOf(bench, epoch);
    return summary && { ...summary, miners: summary.miners.map((miner) => ({ ...miner, rates: [] })) };
  });
  const known = read.filter((summary) => summary !== null).toSorted((a, b) => a.epoch - b.epoch);
  const last = known.pop();
  const newest = last === undefined ? null : await summaryOf(bench, last.epoch);
  return newest === null ? known : [...known, newest];
}

/** Null: this judge said nothing for that epoch. */
async function summaryOf({ feed }: Bench, epoch: number): Promise<Summary | null> {
  try {
    return await feed.summary(epoch);
  } catch (error) {
    if (error instanceof EdgeError && error.status === 404) return null;
    throw error;
  }
}

/** The weights that stand: where another tick of this judge was first, its own, since what goes to the chain must be what was signed for. */
async function committed({ feed }: Bench, commit: CommitEpoch): Promise<Weights> {
  try {
    await feed.commit(commit);
    return commit.weights;
  } catch (error) {
    if (!(error instanceof EdgeError) || error.code !== 'already_committed') throw error;
    return (await feed.judgement(commit.epoch))?.weights ?? commit.weights;
  }
}
