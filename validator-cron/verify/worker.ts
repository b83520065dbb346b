/** One thread: judges what it is given, in the order it comes. */
import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { verifyPulse } from '../../functions/beacon/verify.ts';
import { verifyHotkey } from '../../functions/gate/hotkey.ts';
import { suiteOf } from '#protocol/challenge/index.ts';
import { Tiles } from '#protocol/challenge/tiles.ts';
import { Logins } from '../judge/logins.ts';
import { judgeTranscript } from '../judge/transcript.ts';
import { hashOf } from './cache.ts';
import type { Answer, Job, Setup } from './pool.ts';

/** All tiles of one round at the largest profile: flashes come one after another. */
const TILES = 8;

const setup = workerData as Setup;
const { chain } = setup;
const suite = suiteOf(setup.suite);
const tiles = new Tiles(TILES);
const logins = new Logins(verifyHotkey);

async function answer(job: Job): Promise<Answer> {
  try {
    if (job.do === 'pulse') return { ok: true, verdict: null, good: verifyPulse(chain, job.pulse) };
    const opening = typeof job.opening === 'string' ? await readFile(job.opening) : job.opening;
    const context = { suite, chain, pulses: job.pulses, tiles, logins, hash: hashOf };
    return { ok: true, verdict: judgeTranscript(job.transcript, opening, context), good: true };
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : 'unknown' };
  }
}

/** One after another: answers have the order of the jobs. */
let last = Promise.resolve();
parentPort?.on('message', (job: Job) => {
  last = last.then(async () => parentPort?.postMessage(await answer(job)));
});
