/** What a verification found, for people and for machines. */
import { VERDICTS, type Verdict } from '#protocol/challenge/index.ts';
import type { Difference } from './outcome.ts';

export interface Report {
  epoch: number;
  seconds: number;
  suite: string;
  judge: string;
  gate: boolean;
  evidence: { sha256: string; bytes: number; miners: number; devices: number; transcripts: number };
  download: { bytes: number; ms: number };
  pulses: { rounds: number; verified: boolean; public: boolean };
  schedule: { due: number; elsewhere: number; untested: number };
  verdicts: { judged: number; of: number; ms: number; outcomes: Record<string, number> };
  window: { epochs: number; rejudged: number };
  weights: { uids: number; sum: number };
  /** Null: the chain was not asked. */
  chain: { uid: number; block: number; same: boolean } | null;
  outcome: 'identical' | 'different';
  difference: Difference | null;
}

export function outcomesOf(verdicts: readonly Verdict[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { reason } of verdicts) counts[VERDICTS[reason].outcome] = (counts[VERDICTS[reason].outcome] ?? 0) + 1;
  return counts;
}

/** Lines of the report; the last one is the outcome. */
export function show(r: Report): string[] {
  const time = new Date(r.epoch * 1000).toISOString().replace('.000', '');
  const { judged, of, ms, outcomes } = r.verdicts;
  const kinds = Object.entries(outcomes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, n]) => `${n} ${name}`)
    .join(', ');
  return [
    `epoch      ${r.epoch} (${time}, ${r.seconds} s, ${r.suite})`,
    `judge      ${r.judge}${r.gate ? ', of the gate' : ''}; its commitment is signed`,
    `evidence   ${r.evidence.sha256.slice(0, 16)}…, ${size(r.evidence.bytes)}: ${r.evidence.miners} miners, ${r.evidence.devices} devices, ${r.evidence.transcripts} transcripts`,
    `download   ${size(r.download.bytes)} in ${seconds(r.download.ms)}`,
    `beacon     ${r.pulses.rounds} pulses ${r.pulses.verified ? 'verified (BLS)' : 'not verified'}${r.pulses.public ? ', drand quicknet' : ', a chain of this network'}`,
    `schedule   ${r.schedule.due} challenges of devices were due; ${r.schedule.elsewhere} of them are in later files${r.schedule.untested === 0 ? '' : `; ${r.schedule.untested} in slots in which nobody was tested`}`,
    `verdicts   ${judged} of ${of} judged again in ${seconds(ms)}${kinds === '' ? '' : `: ${kinds}`}`,
    `window     ${r.window.epochs} epochs before it, ${r.window.rejudged === 0 ? 'by their summaries' : `${r.window.rejudged} of them judged again`}`,
    `weights    ${r.weights.uids} uids, sum ${r.weights.sum}`,
    ...(r.chain === null
      ? []
      : [`chain      uid ${r.chain.uid} at block ${r.chain.block}: ${r.chain.same ? 'the same weights' : 'other weights'}`]),
    ...(r.difference === null
      ? ['identical']
      : [`  due      ${r.difference.due}`, `  given    ${r.difference.given}`, `different at ${r.difference.at}`]),
  ];
}

function size(bytes: number): string {
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
