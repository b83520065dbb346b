/**
 * One epoch from its published files to `identical`: commitment → evidence → pulses → schedule → openings → verdicts → summary → weights →
 * chain. Each step trusts nothing but hashes and signatures; the first thing that does not follow ends it.
 */
import { join } from 'node:path';
import { verifyHotkey } from '../../functions/gate/hotkey.ts';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import {
  CHALLENGE_LIMITS,
  suiteOf,
  type BeaconChain,
  type Pulse,
  type Suite,
  type Transcript,
  type Verdict,
} from '#protocol/challenge/index.ts';
import { EPOCH_LIMITS, type Summary } from '#protocol/epoch.ts';
import { assemble, FileError, readEvidence, readFindings, type Evidence } from '../epoch.ts';
import { SCORING } from '../score/parameters.ts';
import { Cache } from './cache.ts';
import { compareWithChain, type ChainAsk } from './chain.ts';
import { wrongCommitment } from './commitment.ts';
import { firstDifference, firstNamed } from './compare.ts';
import type { Edge, EpochInfo, Judgement } from './edge.ts';
import { inParts } from './in-parts.ts';
import { Different, Missing, type Difference } from './outcome.ts';
import { Pool } from './pool.ts';
import { previousSummaries, readSummary } from './previous.ts';
import { readPulses, type PulseSource } from './pulses.ts';
import { isPublic, rejudge, roundsNeeded, sampled, samplingRound } from './rejudge.ts';
import { outcomesOf, type Report } from './report.ts';
import { checkSchedule, chosen, drawingRounds } from './schedule.ts';

export interface VerifyAsk {
  epoch: number;
  /** Null: the first judge of the gate that committed. */
  judge: string | null;
  /** Judge the earlier epochs of the window again, too. */
  window: boolean;
  /** Hundredths of the transcripts that are judged again. */
  sample: number;
  /** Hosts of the beacon; empty: those that the edge names. */
  beacon: readonly string[];
  trustBeacon: boolean;
  /** Null: the chain is not asked. */
  chain: ChainAsk | null;
  cache: string;
  threads: number;
  signal: AbortSignal;
  progress: (line: string) => void;
}

/** Openings that are downloaded at once, and transcripts that are asked for one by one. */
const AT_ONCE = 8;
const LOOKUPS = 512;

/** Throws `Missing`, and `Different` where nothing can be reported beside it. */
export async function verifyEpoch(edge: Edge, ask: VerifyAsk): Promise<Report> {
  const target = await targetOf(edge, ask);
  const pool = new Pool(ask.threads, { suite: target.suite.name, chain: target.chain });
  try {
    return await verify(edge, ask, target, pool);
  } finally {
    await pool.end();
  }
}

interface Target {
  info: EpochInfo;
  judgement: Judgement;
  evidence: Evidence;
  bytes: number;
  suite: Suite;
  chain: BeaconChain;
  files: Cache;
  began: number;
}

/** What is verified: the epoch, whose word on it, and the evidence, all by their hashes. */
async function targetOf(edge: Edge, ask: VerifyAsk): Promise<Target> {
  const began = performance.now();
  const info = await edge.epoch(ask.epoch);
  if (info === null || info.hash === null)
    throw new Missing(`There is no closed epoch ${ask.epoch}.`, 'GET /epochs names those there are.');
  const judgement =
    info.judges.find((j) => (ask.judge === null ? j.gate : j.judge === ask.judge)) ?? (ask.judge === null ? info.judges[0] : undefined);
  if (judgement === undefined)
    throw new Missing(
      'No such judge has committed to anything for this epoch.',
      'Wait until its state is published, or name another by --judge.',
    );
  demand(wrongCommitment(judgement, ask.epoch, verifyHotkey));
  demand(firstDifference('commitment.evidence', info.hash, judgement.evidence));
  const files = new Cache(join(ask.cache, 'files'));
  ask.progress('evidence');
  const bytes = await edge.file(`/epochs/${ask.epoch}/evidence`, info.hash, EPOCH_LIMITS.evidenceBytes, files);
  if (bytes === null)
    throw new Missing('The evidence of this epoch is not the file that its hash names.', 'Nobody can verify this epoch as it is.');
  const evidence = readEvidence(bytes);
  const { head } = evidence;
  const suite = suiteOf(head.suite);
  demand(
    firstDifference(
      'evidence.head',
      { epoch: info.epoch, seconds: info.seconds, previous: info.previous, beacon: info.beacon.chain.hash },
      {
        epoch: head.epoch,
        seconds: head.seconds,
        previous: head.previous,
        beacon: head.beacon,
      },
    ),
  );
  demand(firstDifference('suite of this program', sha256Of(canonicalJson(suite)), head.suite_sha256));
  const [before] = await edge.epochsBefore(ask.epoch);
  if (before?.hash) demand(firstDifference('evidence.head.previous', before.hash, head.previous));
  return { info, judgement, evidence, bytes: bytes.byteLength, suite, chain: info.beacon.chain, files, began };
}

async function verify(edge: Edge, ask: VerifyAsk, target: Target, pool: Pool): Promise<Report> {
  const { info, judgement, evidence, suite, chain, files } = target;
  const source = sourceOf(ask, info, pool);
  const part = await partOf(ask, target, source);
  ask.progress(`pulses of ${part.length} transcripts`);
  const pulses = await readPulses(source, [...roundsNeeded(part), ...drawingRounds(evidence.head, suite, chain)]);
  const schedule = await scheduleOf(edge, target, pulses);
  const own = await ownFiles(edge, ask.epoch, judgement, files);
  await openings(edge, ask, part, files);
  const previous = await previousSummaries(edge, {
    judge: judgement.judge,
    epoch: ask.epoch,
    previous: own.summary.previous,
    since: ask.epoch - SCORING[suite.name].window * info.seconds,
  });
  const download = { bytes: edge.bytes, ms: Math.round(performance.now() - target.began) };

  const again = await rejudge({
    pool,
    transcripts: part,
    pulses,
    pathOf: (t) => (t.opening === null ? null : files.pathOf(t.opening.sha256)),
    seen: (done) => ask.progress(`judged ${done} of ${part.length}`),
  });
  const rejudged = ask.window ? await windowAgain(edge, { ...ask, judge: judgement.judge }, previous) : 0;
  const difference = differenceOf(target, own, again.verdicts, previous);
  const onChain = difference === null && ask.chain !== null ? await compareWithChain(ask.chain, info.chain, judgement) : null;
  const chainSays = onChain === null || onChain.same ? null : onChain.difference;
  return {
    epoch: ask.epoch,
    seconds: evidence.head.seconds,
    suite: suite.name,
    judge: judgement.judge,
    gate: judgement.gate,
    evidence: {
      sha256: evidence.sha256,
      bytes: target.bytes,
      miners: new Set(evidence.presence.map((p) => p.hotkey)).size,
      devices: evidence.presence.length,
      transcripts: evidence.transcripts.length,
    },
    download,
    pulses: { rounds: pulses.size, verified: !ask.trustBeacon, public: isPublic(chain) },
    schedule,
    verdicts: { judged: again.judged, of: evidence.transcripts.length, ms: again.ms, outcomes: outcomesOf(again.verdicts) },
    window: { epochs: previous.length, rejudged },
    weights: { uids: judgement.weights.uids.length, sum: judgement.weights.values.reduce((sum, value) => sum + value, 0) },
    chain: onChain === null ? null : { uid: onChain.uid, block: onChain.block, same: onChain.same },
    outcome: difference === null && chainSays === null ? 'identical' : 'different',
    difference: difference ?? chainSays,
  };
}

function sourceOf(ask: VerifyAsk, info: EpochInfo, pool: Pool): PulseSource {
  return {
    chain: info.beacon.chain,
    urls: ask.beacon.length > 0 ? ask.beacon : info.beacon.urls,
    verify: ask.trustBeacon ? null : (pulse) => pool.verify(pulse),
    folder: join(ask.cache, 'pulses'),
    signal: ask.signal,
  };
}

/** What is judged again: all, or the part that a pulse names which came out after the evidence was closed. */
async function partOf(ask: VerifyAsk, { info, chain, evidence }: Target, source: PulseSource): Promise<Transcript[]> {
  if (ask.sample >= 100) return evidence.transcripts;
  const round = samplingRound(chain, info.closed_at);
  const pulse = (await readPulses(source, [round])).get(round);
  return sampled(evidence.transcripts, ask.sample, pulse?.randomness ?? '');
}

/** Throws `Missing` for a challenge that was due, in a slot in which others were tested, and left no trace in any file. */
async function scheduleOf(edge: Edge, { evidence, suite, chain }: Target, pulses: ReadonlyMap<number, Pulse>): Promise<Report['schedule']> {
  const { head, presence, transcripts } = evidence;
  const randomness = new Map([...pulses].map(([round, pulse]) => [round, pulse.randomness]));
  const { due, open } = checkSchedule({ head, suite, chain, presence, transcripts, randomness });
  const asked = await inParts(open.slice(0, LOOKUPS), AT_ONCE, async (challenge) => ({
    challenge,
    found: await edge.transcript(challenge.id),
  }));
  const left = [...asked.filter((a) => a.found === null).map((a) => a.challenge), ...open.slice(LOOKUPS)];
  const late = (CHALLENGE_LIMITS.commitMs + CHALLENGE_LIMITS.openMs) / 1000 + suite.cadence.slotSeconds * 2;
  const [first] = chosen(left, transcripts).filter((challenge) => (challenge.slot + late) * 1000 < Date.now());
  if (first !== undefined)
    throw new Missing(
      `${first.kind} of ${first.target} was due in slot ${first.slot}, others were tested then, and it has no transcript (${first.id}).`,
      'Whoever announced the challenges of that slot left this one out; ask the edge and the judges why.',
    );
  return { due, elsewhere: open.length - left.length, untested: left.length };
}

interface OwnFiles {
  findings: ReturnType<typeof readFindings>;
  summary: Summary;
}

/** What the judge published, by the hashes that it signed. */
async function ownFiles(edge: Edge, epoch: number, judgement: Judgement, files: Cache): Promise<OwnFiles> {
  const path = `/epochs/${epoch}/judges/${judgement.judge}`;
  const findings = await edge.file(`${path}/findings`, judgement.findings, EPOCH_LIMITS.findingsBytes, files);
  const summary = await edge.file(`${path}/summary`, judgement.summary, EPOCH_LIMITS.summaryBytes, files);
  if (findings === null || summary === null)
    throw new Missing('Findings or summary are not the files that the judge signed for.', 'Name another judge by --judge.');
  return { findings: readFindings(findings), summary: readSummary(summary) };
}

async function openings(edge: Edge, ask: VerifyAsk, part: readonly Transcript[], files: Cache): Promise<void> {
  const opened = part.flatMap((t) => (t.end === 'opened' && t.opening !== null ? [{ id: t.id, ...t.opening }] : []));
  let done = 0;
  await inParts(opened, AT_ONCE, async ({ id, sha256 }) => {
    const bytes = await edge.file(`/audit/transcripts/${id}/opening`, sha256, CHALLENGE_LIMITS.openingBytes, files);
    if (bytes === null)
      throw new Missing(
        `What was opened of ${id} is not published, or is not what its hash names.`,
        'Without it nobody can judge this challenge.',
      );
    ask.progress(`openings ${++done} of ${opened.length}`);
  });
}

/** Verdicts, then summary, then weights: the first that differs. */
function differenceOf(
  { judgement, evidence, suite }: Target,
  own: OwnFiles,
  again: readonly Verdict[],
  previous: readonly Summary[],
): Difference | null {
  const words = new Map(own.findings.verdicts.map((v) => [v.id, v]));
  const judged = new Map(again.map((v) => [v.id, v]));
  const given = own.findings.verdicts.filter((v) => judged.has(v.id));
  const verdict = firstNamed('verdict', (v: Verdict) => v.id, again, given);
  if (verdict !== null) return verdict;
  const due = assembled(() =>
    assemble({
      evidence,
      verdicts: evidence.transcripts.flatMap(({ id }) => judged.get(id) ?? words.get(id) ?? []),
      calls: own.findings.calls,
      previous,
      suite,
      scoring: SCORING[suite.name],
    }),
  );
  return (
    firstNamed('miner', (m) => m.hotkey, due.summary.value.miners, own.summary.miners) ??
    firstDifference('summary', due.summary.value, own.summary) ??
    firstDifference('findings: hash', due.findings.sha256, judgement.findings) ??
    firstDifference('summary: hash', due.summary.sha256, judgement.summary) ??
    firstDifference('weights', due.weights, judgement.weights)
  );
}

function assembled<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof FileError) throw new Missing(`The findings are not whole: ${error.message}.`, 'Name another judge by --judge.');
    throw error;
  }
}

/** Each earlier epoch of the window from its own evidence. Throws `Different` at the first that does not follow. */
async function windowAgain(edge: Edge, ask: VerifyAsk, previous: readonly Summary[]): Promise<number> {
  for (const { epoch } of previous) {
    ask.progress(`epoch ${epoch} of the window`);
    const { difference } = await verifyEpoch(edge, { ...ask, epoch, window: false, chain: null });
    if (difference !== null) throw new Different({ ...difference, at: `epoch ${epoch}: ${difference.at}` });
  }
  return previous.length;
}

function demand(difference: Difference | null): void {
  if (difference !== null) throw new Different(difference);
}
