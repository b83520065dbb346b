/**
 * Closes epochs whose time is over, oldest first: begins (which settles what is in it), collects, writes the file under its hash, and
 * names it. Each step can be done again, by this cron or the next; of two files of one epoch the first that is named stands.
 */
import { bytesToHex } from '@noble/hashes/utils.js';
import * as db from '#db';
import { event } from '../events.ts';
import { edgeMac, type EdgeSecret } from '../gate/secrets.ts';
import { canonicalJson, sha256Of } from '../protocol/canonical.ts';
import { EPOCH_LIMITS, type EvidenceHead, type EvidenceLine } from '../protocol/epoch.ts';
import { EvidenceFile, presenceLine, transcriptLine } from './lines.ts';
import type { Network } from './network.ts';

/** Epochs that are closed by one cron. */
const CLOSED_AT_ONCE = 4;
/** Seconds for which the counts of closed epochs are kept. */
const KEEP_SECONDS = 2 * 86_400;

/** What closing needs of the edge. */
export interface Closing {
  base: db.Database;
  network: Network;
  /** Keeps a file under its hash. */
  put: (sha256: string, bytes: Uint8Array) => Promise<void>;
  secret: EdgeSecret;
}

/** How many were closed. */
export async function closeDue(closing: Closing, now: number): Promise<number> {
  const { base, network } = closing;
  const endedBefore = Math.floor((now - EPOCH_LIMITS.graceMs) / 1000);
  const due = await db.epochsToClose(base, { endedBefore, seconds: network.epochSeconds, limit: CLOSED_AT_ONCE });
  for (const start of due) await close(closing, start);
  return due.length;
}

async function close({ base, network, put, secret }: Closing, start: number): Promise<void> {
  const previous = await db.evidenceBefore(base, start);
  const { suite, epochSeconds: seconds } = network;
  await db.beginEpoch(base, { start, seconds, suite: suite.name, previous, transcripts: EPOCH_LIMITS.transcripts });
  await db.trimPresence(base, { epoch: start, most: EPOCH_LIMITS.presence });
  const head = headOf(network, start, previous);
  const bytes = (await collect(secret, base, head)).bytes();
  const evidence = sha256Of(bytes);
  await put(evidence, bytes);
  await db.sealEpoch(base, { start, evidence, bytes: bytes.byteLength, forgetBefore: start - KEEP_SECONDS });
  event('epoch_closed', { epoch: start, bytes: bytes.byteLength, evidence });
}

function headOf({ suite, epochSeconds, chain }: Network, epoch: number, previous: string): EvidenceHead {
  const suite_sha256 = sha256Of(canonicalJson(suite));
  return { t: 'head', v: 1, epoch, seconds: epochSeconds, suite: suite.name, suite_sha256, previous, beacon: chain.hash };
}

/** Who was there comes last: a file that is full is closed all the same, and no epoch keeps those behind it waiting. */
async function collect(secret: EdgeSecret, base: db.Database, head: EvidenceHead): Promise<EvidenceFile> {
  const { epoch, seconds } = head;
  const file = new EvidenceFile(head);
  let bad = 0;
  const take = (line: EvidenceLine | null): void => {
    if (line === null || !file.add(line)) bad += 1;
  };
  const time = { fromMs: epoch * 1000, toMs: (epoch + seconds) * 1000 };
  for (const { account, ...use } of await db.useOf(base, { ...time, limit: EPOCH_LIMITS.uses }))
    take({ t: 'use', ...use, payer: await payerName(secret, epoch, account) });
  for (const { firstByteMs, ...served } of await db.servedOf(base, { ...time, limit: EPOCH_LIMITS.served }))
    take({ t: 'served', ...served, first_byte_ms: firstByteMs });
  for (const neuron of await db.neuronsNow(base, NEURONS)) take({ t: 'neuron', ...neuron });
  for await (const body of db.transcriptsOf(base, epoch)) take(transcriptLine(body));
  for await (const row of db.presenceOf(base, epoch)) take(presenceLine(row));
  if (bad > 0) event('evidence_left_out', { epoch, lines: bad });
  return file;
}

/** Uids that a chain's weights can name. */
const NEURONS = 4_096;

/** Another name per epoch, so that nobody follows a payer through the files. */
async function payerName(secret: EdgeSecret, epoch: number, account: string): Promise<string> {
  return bytesToHex(await edgeMac(secret, 'epoch/payer', `${epoch}\n${account}`)).slice(0, 32);
}
