/**
 * A made-up epoch as an edge would publish it, with real keys, signatures, pulses and openings: who was there, what was due by the
 * schedule, what agents answered, and what a judge made of it. Served over HTTP as the edge and the beacon serve it.
 */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { makeBeacon, type Beacon } from '../../../dev/beacon/beacon.ts';
import { serveBeacon } from '../../../dev/beacon/server.ts';
import { hotkeyOf } from '../../../dev/hotkeys.ts';
import { EvidenceFile } from '../../../functions/epochs/lines.ts';
import { canonicalJson, sha256Of } from '#protocol/canonical.ts';
import {
  challengeSeed,
  classFor,
  commitText,
  drawingRound,
  due,
  publishedAt,
  roundAt,
  seedingRound,
  type Due,
  type Suite,
  type Transcript,
  type Verdict,
} from '#protocol/challenge/index.ts';
import { workFor } from '#protocol/challenge/work.ts';
import type { EvidenceHead, EvidenceLine, JudgeCalls, Summary, Weights } from '#protocol/epoch.ts';
import { loginText, requestText, type Login } from '#protocol/hello.ts';
import { assemble, readEvidence, type Assembled } from '../../../validator-cron/epoch.ts';
import { roundsOf } from '../../../validator-cron/judge/transcript.ts';
import { SCORING } from '../../../validator-cron/score/parameters.ts';
import { Pool } from '../../../validator-cron/verify/pool.ts';
import type { Prover } from './prover.ts';

/** A miner with some devices of one kind, and how it answers; null: it declines. */
export interface StagedMiner {
  devices: number;
  device: { kind: 'cpu' | 'gpu'; name: string; memoryMb: number };
  prover: Prover | null;
}

export interface StageAsk {
  suite: Suite;
  /** Unix seconds; `seconds` is a whole number of slots. */
  start: number;
  seconds: number;
  /** The slot in which all devices were first seen. Absent: the first one of the epoch. */
  since?: number;
  miners: readonly StagedMiner[];
  previous?: Summary[];
}

export interface Made {
  ask: StageAsk;
  head: EvidenceHead;
  beacon: Beacon;
  hotkeys: string[];
  published: Published;
}

export interface Published {
  lines: EvidenceLine[];
  openings: Map<string, Uint8Array>;
  verdicts: Verdict[];
  weights: Weights | null;
}

export interface Stage {
  api: string;
  beacon: string;
  epoch: number;
  judge: string;
  assembled: Assembled;
  transcripts: number;
  openingBytes: number;
  close(): Promise<void>;
}

const JUDGE = hotkeyOf(sha256Of('the judge of the stage'));
const ZEROS = '0'.repeat(64);
const PERIOD = 3;
const BEACON_SEED = sha256Of('the beacon of the stage');

/** What happened, judged; nothing of it is published yet. */
export async function makeEpoch(ask: StageAsk): Promise<Made> {
  const beacon = makeBeacon({ seed: BEACON_SEED, period: PERIOD });
  const { suite, start, seconds, since = ask.start } = ask;
  const head: EvidenceHead = {
    t: 'head',
    v: 1,
    epoch: start,
    seconds,
    suite: suite.name,
    suite_sha256: sha256Of(canonicalJson(suite)),
    previous: ZEROS,
    beacon: beacon.chain.hash,
  };
  const published: Published = { lines: [], openings: new Map(), verdicts: [], weights: null };
  const agents = ask.miners.map((miner, k) => makeAgent(miner, k));
  const slots = Array.from({ length: seconds / suite.cadence.slotSeconds }, (_, k) => start + k * suite.cadence.slotSeconds);
  for (const [k, agent] of agents.entries()) {
    published.lines.push({ t: 'neuron', uid: k + 1, hotkey: agent.hotkey, coldkey: agent.hotkey, permit: false });
    for (const id of agent.devices) {
      const { kind, name, memoryMb } = agent.miner.device;
      const there = {
        from: slots[0] ?? start,
        to: slots.at(-1) ?? start,
        slots: slots.length,
        need: 1000 * slots.length,
        serving: slots.length,
      };
      const who = { hotkey: agent.hotkey, agent: agent.agent, device: id, kind, name, memory_mb: memoryMb, since };
      published.lines.push({ t: 'presence', ...who, ...there });
    }
  }
  for (const slot of slots) {
    const { randomness } = beacon.pulse(drawingRound(beacon.chain, slot));
    for (const agent of agents) {
      const targets = agent.devices.map((id) => ({ target: `${agent.agent}/${id}`, what: 'device' as const, since }));
      for (const challenge of due(suite, slot, randomness, targets)) {
        const { transcript, opening } = answer(challenge, agent, suite, beacon);
        published.lines.push({ t: 'transcript', ...transcript });
        if (opening !== null) published.openings.set(transcript.id, opening);
      }
    }
  }
  const { transcripts } = readEvidence(fileOf(head, published.lines));
  published.verdicts = await judgeAll(transcripts, published.openings, suite, beacon);
  return { ask, head, beacon, hotkeys: agents.map(({ hotkey }) => hotkey), published };
}

/** Serves it. `tamper` changes what is published. */
export async function publishEpoch(made: Made, tamper: (files: Published) => void = () => undefined): Promise<Stage> {
  const { ask, head, beacon, hotkeys } = made;
  const { suite, start, seconds } = ask;
  const published = structuredClone(made.published);
  tamper(published);
  const bytes = fileOf(head, published.lines);
  const evidence = readEvidence(bytes);
  const calls: JudgeCalls[] = hotkeys.map((hotkey) => ({
    t: 'calls',
    hotkey,
    canaries: 6,
    canaries_ok: 6,
    pings: 20,
    pings_ok: 20,
    first_byte_ms: 300,
    rtt_ms: 40,
    swapped: [],
  }));
  const assembled = assemble({
    evidence,
    verdicts: published.verdicts,
    calls,
    previous: ask.previous ?? [],
    suite,
    scoring: SCORING[suite.name],
  });
  const weights = published.weights ?? assembled.weights;

  const body = JSON.stringify({
    epoch: start,
    evidence: evidence.sha256,
    findings: assembled.findings.sha256,
    summary: assembled.summary.sha256,
    weights,
  });
  const request = { origin: 'https://edge.test', method: 'POST', target: '/audit/epochs' };
  const text = requestText({ ...request, bodySha256: sha256Of(body), timestampMs: 1_700_000_000_000, nonce: '00'.repeat(16) });
  const signed = { ...request, hotkey: JUDGE.ss58, timestamp: '1700000000000', nonce: '00'.repeat(16), signature: JUDGE.sign(text), body };
  const beaconServer = await serveBeacon(beacon, BEACON_SEED, { now: () => (start + seconds + 3600) * 1000 });
  const judgement = {
    judge: JUDGE.ss58,
    gate: true,
    evidence: evidence.sha256,
    findings: assembled.findings.sha256,
    summary: assembled.summary.sha256,
    weights,
    signed,
    block: null,
    reveal_round: null,
  };
  const info = {
    epoch: start,
    state: 'published',
    hash: evidence.sha256,
    seconds,
    suite: suite.name,
    previous: ZEROS,
    closed_at: (start + seconds + 5) * 1000,
    beacon: { chain: beacon.chain, urls: [beaconServer.url] },
    judges: [judgement],
  };
  const byId = new Map(evidence.transcripts.map((t) => [t.id, t]));
  const files: Record<string, Uint8Array | string> = {
    [`/epochs/${start}`]: JSON.stringify(info),
    [`/epochs/${start}/evidence`]: bytes,
    [`/epochs/${start}/judges/${JUDGE.ss58}/findings`]: assembled.findings.text,
    [`/epochs/${start}/judges/${JUDGE.ss58}/summary`]: assembled.summary.text,
  };
  const server = createServer((asked, reply) => {
    const [path = '', search = ''] = (asked.url ?? '').split('?');
    const id = /^\/audit\/transcripts\/([^/]+)(\/opening)?$/.exec(path);
    const before = Number(new URLSearchParams(search).get('before') ?? 0);
    const listed = { items: before > start ? [{ epoch: start, state: 'published', hash: evidence.sha256 }] : [] };
    const transcript = id?.[1] === undefined ? undefined : byId.get(id[1]);
    const opening = id?.[1] === undefined ? undefined : published.openings.get(id[1]);
    const answered =
      path === '/epochs'
        ? JSON.stringify(listed)
        : id === null
          ? files[path]
          : id[2] === undefined
            ? transcript === undefined
              ? undefined
              : JSON.stringify(transcript)
            : opening;
    reply.writeHead(answered === undefined ? 404 : 200).end(answered ?? 'no');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    api: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    beacon: beaconServer.url,
    epoch: start,
    judge: JUDGE.ss58,
    assembled,
    transcripts: evidence.transcripts.length,
    openingBytes: [...published.openings.values()].reduce((sum, opening) => sum + opening.byteLength, 0),
    async close() {
      server.close();
      server.closeAllConnections();
      await beaconServer.close();
    },
  };
}

function fileOf(head: EvidenceHead, lines: readonly EvidenceLine[]): Uint8Array {
  const file = new EvidenceFile(head);
  for (const line of lines) file.add(line);
  return file.bytes();
}

interface StagedAgent {
  miner: StagedMiner;
  hotkey: string;
  agent: string;
  devices: string[];
  login: Login;
  sign: (text: string) => string;
}

function makeAgent(miner: StagedMiner, number: number): StagedAgent {
  const hotkey = hotkeyOf(sha256Of(`miner ${number} of the stage`));
  const keys = generateKeyPairSync('ed25519');
  const agent = `agt_${String(number).padStart(4, '0')}`;
  const said = {
    agent,
    challenge: 'challenge',
    origin: 'https://edge.test',
    sessionKey: Buffer.from(keys.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex'),
    sealKey: '00'.repeat(32),
    expires: 1_900_000_000_000,
    versions: [2],
  };
  return {
    miner,
    hotkey: hotkey.ss58,
    agent,
    devices: Array.from({ length: miner.devices }, (_, k) => `dev${k}`),
    login: { ...said, hotkey: hotkey.ss58, name: `n${number}`, signature: hotkey.sign(loginText(said)) },
    sign: (text) => sign(null, Buffer.from(text), keys.privateKey).toString('hex'),
  };
}

function answer(challenge: Due, of: StagedAgent, suite: Suite, beacon: Beacon): { transcript: Transcript; opening: Uint8Array | null } {
  const { kind, target, slot, id } = challenge;
  if (kind !== 'pow.mm' && kind !== 'pow.mem') throw new Error(`${kind} is of no device`);
  const device = { id: target.split('/')[1] ?? '', ...of.miner.device };
  const tested = classFor(suite, device);
  if (tested === null) throw new Error(`no class for ${device.name}`);
  const work = workFor(suite, kind, tested);
  const round = seedingRound(beacon.chain, slot, suite);
  const sentAt = publishedAt(beacon.chain, round) + 200;
  const common = {
    v: 1 as const,
    id,
    kind,
    target,
    slot,
    scheduled: true,
    hotkey: of.hotkey,
    agent: of.agent,
    device,
    instance: null,
    class: tested.name,
    ...work,
    round,
    sent_at: sentAt,
    rtt_ms: 40,
    login: of.login,
  };
  const { randomness } = beacon.pulse(round);
  const proof =
    of.miner.prover?.({ kind, ...work, seed: challengeSeed({ kind, randomness, hotkey: of.hotkey, target, id }), randomness }) ?? null;
  const none = { commit: null, sample: null, opening: null };
  if (proof === null)
    return { transcript: { ...common, ...none, declined: 'no prover', end: 'declined', ended_at: sentAt + 100 }, opening: null };
  const at = sentAt + suite.expectedMs;
  const seen = roundAt(beacon.chain, at);
  const signature = of.sign(commitText({ id, root: proof.root, seen, helper: 'stage' }));
  const sample = { round: seen + 1, sent_at: publishedAt(beacon.chain, seen + 1) + 100 };
  const opening = proof.open(beacon.pulse(sample.round).randomness);
  const told = { sha256: createHash('sha256').update(opening).digest('hex'), bytes: opening.byteLength, at: sample.sent_at + 300 };
  const commit = { root: proof.root, seen, helper: 'stage', signature, at };
  return { transcript: { ...common, commit, sample, opening: told, declined: null, end: 'opened', ended_at: told.at }, opening };
}

/** As a judge does, by the same code. */
async function judgeAll(
  transcripts: readonly Transcript[],
  openings: ReadonlyMap<string, Uint8Array>,
  suite: Suite,
  beacon: Beacon,
): Promise<Verdict[]> {
  const pool = new Pool(2, { suite: suite.name, chain: beacon.chain });
  try {
    return await Promise.all(
      transcripts.map((transcript) => {
        const { seed, sample } = roundsOf(transcript);
        const pulses = { seed: seed === null ? null : beacon.pulse(seed), sample: sample === null ? null : beacon.pulse(sample) };
        return pool.judge({ do: 'judge', transcript, opening: openings.get(transcript.id) ?? null, pulses });
      }),
    );
  } finally {
    await pool.end();
  }
}
