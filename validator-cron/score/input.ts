/** What an epoch's summary is made of: lines of evidence, a judge's findings, and what the epoch before left. */
import { canonicalJson } from '#protocol/canonical.ts';
import { VERDICTS, type Suite, type Transcript, type Verdict } from '#protocol/challenge/index.ts';
import type { EpochNeuron, EvidenceHead, JudgeCalls, Presence, Served, Summary, Use } from '#protocol/epoch.ts';
import type { Scoring } from './parameters.ts';

export interface EpochInput {
  head: Pick<EvidenceHead, 'epoch' | 'seconds'>;
  presence: readonly Presence[];
  uses: readonly Use[];
  served: readonly Served[];
  neurons: readonly EpochNeuron[];
  transcripts: readonly Tested[];
  /** This judge's. One whose transcript is not in the evidence does not count. */
  verdicts: readonly Pick<Verdict, 'id' | 'reason' | 'rate'>[];
  calls: readonly JudgeCalls[];
  previous: Summary | null;
  /** SHA-256 of the files that this follows from; of the summary before: zeros where there is none. */
  files: { evidence: string; findings: string; previous: string };
  scoring: Scoring;
  suite: Suite;
}

/** What a score needs of a transcript. */
export type Tested = Pick<Transcript, 'id' | 'kind' | 'target' | 'hotkey' | 'slot' | 'round' | 'scheduled' | 'class'>;

/** A test and what came of it. */
export type Judged = Tested & Pick<Verdict, 'reason' | 'rate'>;

/** Each transcript that this judge has a verdict on. */
export function judgedOf({ transcripts, verdicts }: EpochInput): Judged[] {
  const byId = new Map(once(verdicts, (v) => v.id).map((v) => [v.id, v]));
  return once(transcripts, (t) => t.id).flatMap((t) => {
    const verdict = byId.get(t.id);
    return verdict === undefined ? [] : [{ ...t, reason: verdict.reason, rate: verdict.rate }];
  });
}

export function outcomeOf({ reason }: Judged): (typeof VERDICTS)[Verdict['reason']]['outcome'] {
  return VERDICTS[reason].outcome;
}

/** One of each key, the same one for everybody, in the order of the keys: so that neither order nor repetition changes anything. */
export function once<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const byKey = new Map<string, T>();
  for (const item of items) {
    const key = keyOf(item);
    const other = byKey.get(key);
    if (other === undefined || canonicalJson(item) < canonicalJson(other)) byKey.set(key, item);
  }
  return [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
