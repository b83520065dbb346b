/**
 * An epoch out of its evidence (pure): what a judge commits to and what an outsider computes again is this one function. Files are JSON
 * lines in canonical text, known by the SHA-256 of their bytes.
 */
import * as z from 'zod/mini';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import type { Suite, Transcript, Verdict } from '#protocol/challenge/index.ts';
import {
  EPOCH_LIMITS,
  evidenceLineSchema,
  findingLineSchema,
  type EpochNeuron,
  type EvidenceHead,
  type EvidenceLine,
  type InstancePresence,
  type JudgeCalls,
  type Presence,
  type Served,
  type Summary,
  type Use,
  type Weights,
} from '#protocol/epoch.ts';
import type { Scoring } from './score/parameters.ts';
import { scoreWindow, type MinerScore } from './score/score.ts';
import { summarise } from './score/summarise.ts';
import { weigh } from './score/weigh.ts';
import { jsonOrNull } from './json.ts';

/** A file is not what it must be. */
export class FileError extends Error {
  override readonly name = 'FileError';
}

/** Zeros: nothing went before. */
const NO_HASH = '0'.repeat(64);
/** Lines of any file. */
const LINES = 200_000;
const LINE_END = 0x0a;

export interface Evidence {
  /** SHA-256 of the file. */
  sha256: string;
  head: EvidenceHead;
  presence: Presence[];
  instances: InstancePresence[];
  uses: Use[];
  served: Served[];
  neurons: EpochNeuron[];
  transcripts: Transcript[];
}

/** Throws `FileError` with the number of the first line that is none. */
export function readEvidence(bytes: Uint8Array): Evidence {
  const [head, ...lines] = readLines(bytes, EPOCH_LIMITS.evidenceBytes, evidenceLineSchema);
  if (head?.t !== 'head') throw new FileError('line 1: the head is expected');
  if (lines.some((line) => line.t === 'head')) throw new FileError('there is more than one head');
  const of = <T extends EvidenceLine['t']>(t: T) => lines.filter((line): line is Extract<EvidenceLine, { t: T }> => line.t === t);
  return {
    sha256: sha256Of(bytes),
    head,
    presence: of('presence'),
    instances: of('instance'),
    uses: of('use'),
    served: of('served'),
    neurons: of('neuron'),
    transcripts: of('transcript').map(withoutKind),
  };
}

export interface Findings {
  verdicts: Verdict[];
  calls: JudgeCalls[];
}

/** Throws `FileError`. */
export function readFindings(bytes: Uint8Array): Findings {
  const lines = readLines(bytes, EPOCH_LIMITS.findingsBytes, findingLineSchema);
  return {
    verdicts: lines.flatMap((line) => (line.t === 'verdict' ? [withoutKind(line)] : [])),
    calls: lines.filter((line) => line.t === 'calls'),
  };
}

export interface AssembleInput extends Findings {
  evidence: Evidence;
  /** Of the epochs before, oldest first, as far back as the window reaches. */
  previous: readonly Summary[];
  suite: Suite;
  scoring: Scoring;
}

/** What an epoch came to: the texts of its files, their hashes, and the numbers. */
export interface Assembled {
  findings: { text: string; sha256: string };
  summary: { text: string; sha256: string; value: Summary };
  scores: MinerScore[];
  weights: Weights;
}

/**
 * Verdicts of other challenges than those in the evidence are left out. Throws `FileError` where a transcript has no verdict: who skips
 * one does not say so by silence.
 */
export function assemble({ evidence, verdicts, calls, previous, suite, scoring }: AssembleInput): Assembled {
  const { sha256, ...facts } = evidence;
  const own = verdictsOf(evidence, verdicts);
  const ordered = calls.toSorted((a, b) => compare(a.hotkey, b.hotkey));
  const head = { t: 'head', v: 1, epoch: facts.head.epoch, evidence: sha256 };
  const findings = fileOf([head, ...own.map((verdict) => ({ t: 'verdict', ...verdict })), ...ordered]);
  const earlier = previous.filter((summary) => summary.epoch < facts.head.epoch).toSorted((a, b) => a.epoch - b.epoch);
  const last = earlier.at(-1) ?? null;
  const value = summarise({
    ...facts,
    verdicts: own,
    calls: ordered,
    previous: last,
    scoring,
    suite,
    files: { evidence: sha256, findings: findings.sha256, previous: last === null ? NO_HASH : hashOf(last) },
  });
  const text = canonicalJson(value);
  const scores = scoreWindow([...earlier, value], scoring);
  const weights = weigh(scores, facts.neurons, scoring);
  return { findings, summary: { text, sha256: sha256Of(text), value }, scores, weights };
}

/** By which a summary is known to the one after it. */
export function hashOf(value: Summary): string {
  return sha256Of(canonicalJson(value));
}

function verdictsOf({ transcripts }: Evidence, verdicts: readonly Verdict[]): Verdict[] {
  const byId = new Map(verdicts.map((verdict) => [verdict.id, verdict]));
  return transcripts
    .map(({ id }) => {
      const verdict = byId.get(id);
      if (verdict === undefined) throw new FileError(`there is no verdict on ${id}`);
      return verdict;
    })
    .toSorted((a, b) => compare(a.id, b.id));
}

function fileOf(lines: readonly object[]): { text: string; sha256: string } {
  const text = lines.map((line) => `${canonicalJson(line)}\n`).join('');
  return { text, sha256: sha256Of(text) };
}

function readLines<T>(bytes: Uint8Array, most: number, schema: z.ZodMiniType<T>): T[] {
  if (bytes.byteLength > most) throw new FileError(`the file has more than ${most} bytes`);
  if (linesOf(bytes) > LINES) throw new FileError(`the file has more than ${LINES} lines`);
  const lines = new TextDecoder().decode(bytes).split('\n');
  if (lines.pop() !== '') throw new FileError('the file does not end with a line end');
  return lines.map((line, k) => {
    const parsed = z.safeParse(schema, jsonOrNull(line));
    if (!parsed.success) throw new FileError(`line ${k + 1}: ${parsed.error.issues[0]?.path.join('.') ?? ''} is not as it must be`);
    return parsed.data;
  });
}

/** Counted before there is a text of each. */
function linesOf(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_END); at >= 0 && lines <= LINES; at = bytes.indexOf(LINE_END, at + 1)) lines += 1;
  return lines;
}

function withoutKind<T extends { t: string }>(line: T): Omit<T, 't'> {
  const { t: _, ...rest } = line;
  return rest;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
