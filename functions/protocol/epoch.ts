/**
 * What a score is made of, as it is published: per epoch one file of evidence by the edge, and one of each judge's findings.
 * Both are JSON lines in a fixed order, known by the SHA-256 of their bytes; whoever has them computes every number again.
 *
 *   GET /epochs                          newest first              GET /epochs/{n}              hashes, judges, weights
 *   GET /epochs/{n}/evidence             the edge's file           GET /epochs/{n}/judges/{ss58}/findings | /summary
 *   POST /audit/epochs                   a judge commits to its findings, summary, scores and weights, signed
 *
 * An epoch is named by the Unix second it starts at.
 */
import * as z from 'zod/mini';
import { transcriptSchema } from './challenge/transcript.ts';
import { verdictSchema } from './challenge/verdict.ts';

const id = z.string().check(z.minLength(1), z.maxLength(64));
const hotkey = z.string().check(z.minLength(40), z.maxLength(60));
const count = z.number().check(z.int(), z.nonnegative());
const hex32 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
/** A whole number that may pass 2^53, in decimal. */
const whole = z.string().check(z.regex(/^[0-9]{1,30}$/));

export const EPOCH_STATES = ['open', 'published', 'posted'] as const;
export type EpochState = (typeof EPOCH_STATES)[number];

/** First line of a file of evidence. */
const headSchema = z.object({
  t: z.literal('head'),
  v: z.literal(1),
  epoch: count,
  seconds: count,
  /** Of the challenge suite, and SHA-256 of its canonical JSON; the same of the scoring table. */
  suite: z.enum(['mainnet', 'development']),
  suite_sha256: hex32,
  /** Of the file before it in this edge's line of files; zeros for the first. */
  previous: hex32,
  /** The beacon that draws and seeds. */
  beacon: hex32,
});

/** Whose device or instance was there, and how long: counted once a slot. `need`: thousandths of it that its chute wanted. */
const presenceSchema = z.object({
  t: z.literal('presence'),
  hotkey,
  agent: id,
  device: id,
  kind: z.enum(['cpu', 'gpu']),
  name: z.string().check(z.maxLength(128)),
  memory_mb: count,
  /** The slot (unix seconds) it was first seen in, ever; and the slots of this epoch in which it was there, first and last. */
  since: count,
  from: count,
  to: count,
  slots: count,
  /** Sum over those slots of what its instance was needed, in thousandths; 0 for a slot without an instance. */
  need: count,
  /** Of those, slots in which it served any instance. */
  serving: count,
});

const instanceSchema = z.object({
  t: z.literal('instance'),
  hotkey,
  agent: id,
  instance: id,
  chute: id,
  version: z.string().check(z.maxLength(64)),
  since: count,
  from: count,
  to: count,
  slots: count,
});

/** What one payer's calls of one chute came to at one miner. `linked`: payer and miner are one, as far as the chain shows. */
const useSchema = z.object({
  t: z.literal('use'),
  chute: id,
  /** Another name of the payer, good for this epoch. */
  payer: z.string().check(z.maxLength(64)),
  hotkey,
  nanousd: whole,
  linked: z.boolean(),
});

/** Attempts of paying calls at one miner, and claims it was granted and let lapse. */
const servedSchema = z.object({
  t: z.literal('served'),
  hotkey,
  completed: count,
  failed: count,
  /** Milliseconds, half of the first bytes came sooner; null where none did. */
  first_byte_ms: z.nullable(count),
});

/** Who a hotkey is on the chain at the end of the epoch; absent for one that is not registered. */
const neuronSchema = z.object({
  t: z.literal('neuron'),
  uid: count,
  hotkey,
  coldkey: hotkey,
  permit: z.boolean(),
});

const transcriptLineSchema = z.extend(transcriptSchema, { t: z.literal('transcript') });

export const evidenceLineSchema = z.discriminatedUnion('t', [
  headSchema,
  presenceSchema,
  instanceSchema,
  useSchema,
  servedSchema,
  neuronSchema,
  transcriptLineSchema,
]);
export type EvidenceLine = z.infer<typeof evidenceLineSchema>;
export type EvidenceHead = z.infer<typeof headSchema>;
export type Presence = z.infer<typeof presenceSchema>;
export type InstancePresence = z.infer<typeof instanceSchema>;
export type Use = z.infer<typeof useSchema>;
export type Served = z.infer<typeof servedSchema>;
export type EpochNeuron = z.infer<typeof neuronSchema>;

/** A judge's own calls of one miner in an epoch, counted; what they are made of are its observations. */
const callsSchema = z.object({
  t: z.literal('calls'),
  hotkey,
  canaries: count,
  canaries_ok: count,
  pings: count,
  pings_ok: count,
  first_byte_ms: z.nullable(count),
  rtt_ms: z.nullable(count),
  /** Chutes (ids) whose model was confirmed not to be the one that was deployed. */
  swapped: z.array(id).check(z.maxLength(64)),
});
export type JudgeCalls = z.infer<typeof callsSchema>;

/** First line of a file of findings: of which epoch, by which evidence. */
const findingsHeadSchema = z.object({ t: z.literal('head'), v: z.literal(1), epoch: count, evidence: hex32 });

/** A judge's file of findings: its head, its verdicts by id, then its calls by hotkey. */
export const findingLineSchema = z.discriminatedUnion('t', [
  findingsHeadSchema,
  z.extend(verdictSchema, { t: z.literal('verdict') }),
  callsSchema,
]);

/** What an epoch came to for one miner; all a later epoch's score needs of it. Whole numbers. */
export const minerSummarySchema = z.object({
  hotkey,
  /** Who is behind it: its coldkey, or the hotkey itself where it is not registered. */
  entity: hotkey,
  /** Of its proven devices: thousandths of a unit × seconds that they were there. */
  proven: whole,
  /** Nano-USD of use that counts for emission. */
  use: whole,
  /** Tests of it, and how many went well; and paid attempts, scaled down to a bound. */
  tests: count,
  tests_ok: count,
  calls: count,
  calls_ok: count,
  /** Latency part of this epoch, 0 to 1,000,000, and how many tests it is made of. */
  latency: count,
  timed: count,
  /** False: a hard verdict, or a confirmed swap of a model. */
  clean: z.boolean(),
  /** What its devices proved in the newest flashes, kept for the epochs that follow. */
  rates: z
    .array(
      z.object({
        target: z.string().check(z.maxLength(130)),
        /** `pow.mm`: 10⁶ multiply-adds per second, and the slot of the flash. 0: not proven. */
        rate: count,
        rate_slot: count,
        /** `pow.mem`: MiB, and the slot of that flash. */
        memory_mb: count,
        memory_slot: count,
        /** What it is paid as; null: nothing. */
        class: z.nullable(z.string().check(z.maxLength(32))),
      }),
    )
    .check(z.maxLength(4096)),
});
export type MinerSummary = z.infer<typeof minerSummarySchema>;

export const summarySchema = z.object({
  v: z.literal(1),
  epoch: count,
  seconds: count,
  /** Of the file of evidence and of the judge's findings that it follows from, and of the summary before it (zeros: none). */
  evidence: hex32,
  findings: hex32,
  previous: hex32,
  /** SHA-256 of the canonical JSON of the scoring table. */
  scoring_sha256: hex32,
  miners: z.array(minerSummarySchema).check(z.maxLength(20_000)),
});
export type Summary = z.infer<typeof summarySchema>;

/** Weights as they go to the chain: uids in rising order, the largest 65535-sum remainder rule in `validator-cron/score`. */
export const weightsSchema = z.object({
  uids: z.array(z.number().check(z.int(), z.gte(0), z.lte(65_535))).check(z.maxLength(4096)),
  values: z.array(z.number().check(z.int(), z.gte(1), z.lte(65_535))).check(z.maxLength(4096)),
});
export type Weights = z.infer<typeof weightsSchema>;

/** Body of `POST /audit/epochs`: the judge's hotkey signs the request, so it signs these hashes. */
export const commitEpochSchema = z.strictObject({
  epoch: count,
  evidence: hex32,
  findings: hex32,
  /** Of the bytes of its canonical JSON (`canonicalJson`), as all files are. */
  summary: hex32,
  weights: weightsSchema,
});
export type CommitEpoch = z.infer<typeof commitEpochSchema>;

/** How the weights of an epoch came to the chain; a judge tells it when a finalized block shows them. */
export const postedSchema = z.strictObject({
  epoch: count,
  /** `0x…` of the extrinsic, and the finalized block it is in. */
  extrinsic: z.string().check(z.regex(/^0x[0-9a-f]{64}$/)),
  block: count,
  /** With commit-reveal: the round of the beacon that reveals them. */
  reveal_round: z.nullable(count),
});
export type Posted = z.infer<typeof postedSchema>;

/** Bounds of an epoch's files and lists. */
export const EPOCH_LIMITS = {
  /** Bytes of a file of evidence, of one of findings, of a summary. */
  evidenceBytes: 64 * 1024 * 1024,
  findingsBytes: 16 * 1024 * 1024,
  summaryBytes: 8 * 1024 * 1024,
  /** Lines of evidence: devices and instances; transcripts (what is over is in the next file); payers' use; miners' attempts. */
  presence: 50_000,
  transcripts: 8_000,
  uses: 20_000,
  served: 20_000,
  /** Judges of one epoch that are listed. */
  judges: 64,
  /** Milliseconds after an epoch's end before its evidence is closed: longer than a statement may take that writes use of it. */
  graceMs: 16_000,
  /** Epochs on one page of `GET /epochs`: as long as the longest window of a score. */
  page: 1_000,
} as const;
