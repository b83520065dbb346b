/**
 * How long an outsider takes for an epoch of an hour with a flash: `node test/harness/epoch/replay.ts --miners 256`. Every device was
 * tested with the largest profile; each proof is of zeros, so that all of it is checked. Download and verdicts are timed apart.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MAINNET } from '#protocol/challenge/index.ts';
import { Edge } from '../../../validator-cron/verify/edge.ts';
import { verifyEpoch } from '../../../validator-cron/verify/epoch.ts';
import { zeros } from './prover.ts';
import { makeEpoch, publishEpoch } from './stage.ts';

const HOUR = 3600;
const DEVICES = 8;
const H100 = { kind: 'gpu', name: 'NVIDIA H100 80GB HBM3', memoryMb: 81_920 } as const;
/** Of an epoch in which the stage's beacon draws one flash, as it does every six hours. */
const START = 1_790_010_000;

const { values } = parseArgs({ options: { miners: { type: 'string', default: '256' }, threads: { type: 'string', default: '2' } } });

const made = await makeEpoch({
  suite: MAINNET,
  start: START,
  seconds: HOUR,
  since: START - 100 * HOUR,
  miners: Array.from({ length: Number(values.miners) }, () => ({ devices: DEVICES, device: H100, prover: zeros })),
});
const stage = await publishEpoch(made);
const cache = await mkdtemp(join(tmpdir(), 'ripcord-replay-'));
try {
  const began = performance.now();
  const before = process.cpuUsage();
  const report = await verifyEpoch(new Edge(stage.api, new AbortController().signal), {
    epoch: stage.epoch,
    judge: null,
    window: false,
    sample: 100,
    beacon: [],
    trustBeacon: false,
    chain: null,
    cache,
    threads: Number(values.threads),
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  const ms = Math.round(performance.now() - began);
  const { user, system } = process.cpuUsage(before);
  const mm = [...made.published.verdicts].filter((v) => v.kind === 'pow.mm').length;
  console.log(
    JSON.stringify({
      outcome: report.outcome,
      miners: report.evidence.miners,
      devices: report.evidence.devices,
      transcripts: report.evidence.transcripts,
      mm,
      evidenceBytes: report.evidence.bytes,
      openingBytes: stage.openingBytes,
      pulses: report.pulses.rounds,
      downloadMs: report.download.ms,
      rejudgeMs: report.verdicts.ms,
      allButDownloadMs: ms - report.download.ms,
      ms,
      cpuMs: Math.round((user + system) / 1000),
      perVerdictUs: Math.round((report.verdicts.ms * 1000) / report.verdicts.judged),
    }),
  );
} finally {
  await stage.close();
  await rm(cache, { recursive: true, force: true });
}
